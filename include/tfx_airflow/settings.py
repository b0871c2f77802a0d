"""Settings of the orchestrator: section [tfx_airflow] of Airflow's configuration.

Each field is read from `airflow.cfg` or `AIRFLOW__TFX_AIRFLOW__<NAME>` at the edge, never at
import, and passed on as a plain value: the TFX interpreter sees no Airflow configuration.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, TypeVar

from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import SettingsError
from include.tfx_airflow.contract.mlmd_facts import SQLITE_FILE
from include.tfx_airflow.contract.object_store import is_object_store

SECTION = "tfx_airflow"
_EXPECTED = {bool: "True or False", int: "a whole number", float: "a number"}
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}

IN_POD = "AIRFLOW_IS_K8S_EXECUTOR_POD"  # set by KubernetesExecutor, for each pod that runs a task

_Value = TypeVar("_Value", str, float, int, bool)


def _field(default: _Value, help_text: str, least: float = 0, most: float = 0) -> _Value:
    metadata = {"help": help_text, "type": type(default), "range": (least, most)}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Values of one deployment; the metadata of each field is its help text."""

    python: str = _field(
        "",
        "Python interpreter that has TFX. Empty: this machine can parse pipelines that are compiled "
        "already, and run none.",
    )
    home: str = _field(
        "",
        "Folder for compiled pipelines, artifacts of pipelines without a pipeline_root, and the "
        "embedded MLMD store. Default: `$AIRFLOW_HOME/tfx`.",
    )
    mlmd_conn_id: str = _field(
        "", "Airflow Connection of the ML Metadata store; it must exist. Empty: SQLite in `home`."
    )
    pythonpath: str = _field(
        "", "More folders, separated by `:`, from which the TFX interpreter imports your modules."
    )
    kill_grace: float = _field(
        10.0, "Seconds that a killed node has to record its failure before SIGKILL.", 0, 3600
    )
    node_server: bool = _field(
        True,
        "Fork nodes from a server that has TFX imported. False, and by default in a pod of KubernetesExecutor, which runs "
        "one task: each node is a new process that imports it.",
    )
    node_server_idle: float = _field(
        600.0, "Seconds without a request after which the node server ends; 0 for never.", 0, 365 * 86400
    )
    node_server_slots: int = _field(
        16, "Nodes that the node server runs at the same time; others wait for their turn.", 1, 1000
    )

    library_patches: bool = _field(
        True,
        "Take overhead out of Beam, TFMA and TensorFlow while a node runs; its outputs are the same. False: the "
        "libraries as they are.",
    )
    object_store_conn_id: str = _field(
        "",
        "Airflow Connection of the object store of `s3://` and `gs://` addresses. Empty: none may be used.",
    )
    staging: str = _field(
        "", "Folder for copies of artifacts that are in an object store. Default: `staging` in `home`."
    )
    staging_gib: float = _field(20.0, "GiB of such copies that are kept for the next nodes.", 0.001, 1e6)
    retention_roots: str = _field(
        "",
        "Folders, or addresses such as `s3://bucket/prefix`, separated by `:`, below which retention may delete artifacts: "
        "those of your pipeline roots. Empty: `home`.",
    )

    @property
    def mlmd_file(self) -> Path:
        """The embedded MLMD store, used when no Connection is named."""
        return Path(self.home) / SQLITE_FILE

    @property
    def staging_folder(self) -> Path:
        """Folder for copies of artifacts."""
        return Path(self.staging or Path(self.home, "staging"))

    @property
    def compiled(self) -> Path:
        """Folder of compiled pipelines."""
        return Path(self.home) / "compiled"

    def roots(self) -> dict[str, str]:
        """Machine paths that a compiled pipeline holds as `${NAME}`, filled in at run time."""
        roots = {"BUNDLE_ROOT": str(BUNDLE_ROOT), "TFX_AIRFLOW_HOME": self.home}
        if self.python:
            roots["TFX_PREFIX"] = str(Path(self.python).parent.parent)
        return roots

    def folders_of_retention(self) -> list[str]:
        """Folders and addresses below which retention may delete artifacts.

        Raises:
          SettingsError: One is not absolute, or is a file system's root.
        """
        # The colon of an address does not separate.
        folders = [root for root in re.split(r":(?!//)", self.retention_roots) if root] or [self.home]
        for folder in folders:
            if is_object_store(folder) and folder.partition("://")[2].strip("/"):
                continue
            if not os.path.isabs(folder) or os.path.normpath(folder).strip("/") == "":
                raise SettingsError(
                    f"[{SECTION}] retention_roots = {self.retention_roots!r}: {folder!r} is not the absolute path of a folder "
                    "that retention may have for itself, or an address with a bucket."
                )
        return [root.rstrip("/") if is_object_store(root) else os.path.normpath(root) for root in folders]

    def interpreter(self) -> str:
        """Path of the TFX interpreter.

        Raises:
          SettingsError: None is configured, or the configured one cannot be run.
        """
        name = f"AIRFLOW__{SECTION.upper()}__PYTHON"
        if not self.python:
            raise SettingsError(
                f"no TFX interpreter: set [{SECTION}] python ({name}) to a Python that has TFX "
                "('make setup' creates one), or ship the folder that "
                "'python -m include.tfx_airflow compile' writes."
            )
        if not os.access(self.python, os.X_OK):
            raise SettingsError(
                f"[{SECTION}] python = {self.python!r} is not an executable file; run 'make setup' "
                f"or set {name} to a Python that has TFX."
            )
        return self.python


def read_settings() -> Settings:
    """Reads [tfx_airflow] from Airflow's configuration.

    Raises:
      SettingsError: A value has the wrong type, or is out of its range.
    """
    from airflow.configuration import AIRFLOW_HOME, conf

    values: dict[str, Any] = {}
    if IN_POD in os.environ:
        values["node_server"] = False
    for field in dataclasses.fields(Settings):
        text = conf.get(SECTION, field.name, fallback=None)
        if text in (None, ""):
            continue
        values[field.name] = _value(field, text)
    home = str(values.get("home") or Path(AIRFLOW_HOME) / "tfx")
    values["home"] = os.path.abspath(os.path.expanduser(home))
    if values.get("staging"):
        values["staging"] = os.path.abspath(os.path.expanduser(str(values["staging"])))
    if values.get("python"):
        values["python"] = os.path.abspath(os.path.expanduser(str(values["python"])))
    return Settings(**values)


def _value(field: dataclasses.Field[Any], text: str) -> str | float | bool:
    kind, (least, most) = field.metadata["type"], field.metadata["range"]
    name = f"[{SECTION}] {field.name} = {text!r}"
    allowed = f" from {least:g} to {most:.0f}" if most else ""
    try:
        value = _BOOLEANS[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise SettingsError(f"{name} is not {_EXPECTED[kind]}{allowed}.") from None
    if most and not least <= value <= most:  # refuses NaN too
        raise SettingsError(f"{name} is out of range; give a value{allowed}.")
    return value


def parse_seconds() -> float | None:
    """Seconds that a DAG file may take to parse, less time to report an error; None for no limit."""
    from airflow.configuration import conf

    limit = conf.getfloat("core", "dagbag_import_timeout")
    return max(limit - 2, 1) if limit > 0 else None
