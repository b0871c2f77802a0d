"""Executors that run tasks on several machines, and what these machines must share: the store, and `home`.

A SQLite file, or a `home` that each machine has for itself, would not fail: each machine would go on with a store and
artifacts of its own. So both are refused, the first when a DAG file is parsed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import get_parsing_context
from airflow.sdk.module_loading import import_string

from include.tfx_airflow.contract.errors import MlmdError, SettingsError
from include.tfx_airflow.settings import IN_POD, SECTION, Settings

# Airflow's own, by name, so that a parse need not import them.
_ON_THIS_MACHINE = ("LocalExecutor",)
_IN_PODS = "KubernetesExecutor"
_ELSEWHERE = ("CeleryExecutor", _IN_PODS)
# In `home`; written by the DAG processor, so a machine that lacks it has another `home`.
MARK = "dag-processor"
HOME = "${TFX_AIRFLOW_HOME}"


def executors() -> list[str]:
    """Class names of the configured executors that run tasks on other machines; of all teams."""
    from airflow.configuration import conf

    found = []
    for text in conf.get("core", "executor", fallback="").replace(";", ",").split(","):
        # team=alias:module.Class, of which all but the class may be missing
        path = text.rpartition("=")[2].rpartition(":")[2].strip()
        name = path.rpartition(".")[2]
        if name in _ELSEWHERE or (name and name not in _ON_THIS_MACHINE and not _is_local(path)):
            found.append(name)
    if (
        IN_POD in os.environ and _IN_PODS not in found
    ):  # pods are often given LocalExecutor, which they do not use
        found.append(_IN_PODS)
    return found


def _is_local(path: str) -> bool:
    """Whether an executor that is not Airflow's own says that it runs tasks on this machine."""
    with contextlib.suppress(ImportError):
        return bool(getattr(import_string(path), "is_local", False))
    return False


def refuse_file(path: str | Path) -> None:
    """Refuses a store that is a file where tasks run on several machines.

    Raises:
      MlmdError: It names executor, file and cure.
    """
    if found := executors():
        raise MlmdError(
            f"{found[0]} runs tasks on several machines, which cannot share the SQLite file {str(path)!r}; set [{SECTION}] "
            f"mlmd_conn_id (AIRFLOW__{SECTION.upper()}__MLMD_CONN_ID) to a Connection of type mysql or postgres."
        )


def check_parse(settings: Settings) -> None:
    """What each DAG file is parsed with: the store is none of this machine alone, and `home` has the DAG processor's mark.

    Raises:
      MlmdError: The store is a SQLite file, see `refuse_file`.
    """
    if not settings.mlmd_conn_id:
        refuse_file(settings.mlmd_file)
    mark_home(settings)


def mark_home(settings: Settings) -> None:
    """Leaves the mark of the DAG processor in `home`, by which other machines recognize it.

    Nothing else leaves one: a command that parses DAG files on a worker would vouch for the worker's own folder.
    """
    if not is_dag_processor() or not executors():
        return
    mark = Path(settings.home) / MARK
    if mark.exists():
        return
    with contextlib.suppress(OSError):  # `home` may be read-only where all pipelines are compiled
        mark.parent.mkdir(parents=True, exist_ok=True)
        descriptor, written = tempfile.mkstemp(dir=mark.parent, prefix=f".{MARK}-")
        with open(descriptor, "w", encoding="utf-8") as file:
            # No two folders have the same: see `tfx_side/node/home_mark.py`.
            file.write(f"{socket.gethostname()} {secrets.token_hex(6)}\n")
        os.chmod(written, 0o644)
        os.replace(written, mark)


def is_dag_processor() -> bool:
    """Whether this process parses DAG files for Airflow: not for a task, and not for a command."""
    # Airflow's own way to tell, for which it has no public name.
    return os.environ.get("_AIRFLOW_PROCESS_CONTEXT") == "client" and not is_task()


def is_task() -> bool:
    """Whether this process parses a DAG file to run one of its tasks."""
    return get_parsing_context().task_id is not None


def check_home(settings: Settings, what: str) -> None:
    """Checks that `home` is the DAG processor's, where tasks run on several machines.

    Args:
      settings: Say where it is.
      what: What needs it, for the message.

    Raises:
      SettingsError: It is another folder, or the DAG processor has not been here yet.
    """
    found = executors()
    if found and not (Path(settings.home) / MARK).exists():
        raise SettingsError(
            f"{found[0]} runs tasks on several machines, but [{SECTION}] home = {settings.home!r} on {socket.gethostname()!r} is "
            f"not the DAG processor's folder (it has no file {MARK!r}), and {what}; mount one shared folder at that path on all "
            "machines. If it is one, and the DAG processor may not write to it, write the file yourself, with a text of its own "
            "in it."
        )


def check_node(settings: Settings, ir: Path, parameters: Mapping[str, Any]) -> str:
    """Checks `home`, where tasks run on several machines, for the nodes of a pipeline that has artifacts or paths in it.

    Args:
      settings: Say where it is.
      ir: The compiled pipeline.
      parameters: Values of the node's RuntimeParameters.

    Returns:
      What the DAG processor's mark there says; "" where there is nothing to check.

    Raises:
      SettingsError: See `check_home`.
    """
    if not executors() or not _needs_home(ir, parameters):
        return ""
    check_home(settings, "its pipeline keeps files in it")
    return (Path(settings.home) / MARK).read_text(encoding="utf-8").strip()


def _needs_home(ir: Path, parameters: Mapping[str, Any]) -> bool:
    """Whether nodes of a pipeline may read or write below `home`: it has no other root, or a path names it."""
    text = ir.read_text(encoding="utf-8")
    if HOME in text or HOME in json.dumps(parameters):
        return True
    root = json.loads(text)["runtimeSpec"].get("pipelineRoot", {})
    return not root.get("runtimeParameter", {}).get("defaultValue", {}).get("stringValue")
