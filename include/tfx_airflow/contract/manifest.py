"""The manifest: everything the Airflow side knows about a compiled pipeline.

Standard library only; written by the TFX interpreter, read by Airflow at every parse. The IR that
TFX itself runs is beside it, in `pipeline.json`. Neither holds a machine path or a secret.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.tfx_airflow.contract.errors import ManifestError

if TYPE_CHECKING:
    from include.tfx_airflow.contract.legacy import LegacyDag

# Part of the compile key: a new number makes every pipeline compile again.
FORMAT = 3
MANIFEST_FILE = "manifest.json"
IR_FILE = "pipeline.json"
# Written instead of a manifest when the pipeline does not compile.
FAILED_FILE = "failed.json"
# Written when a legacy DAG file asks for Airflow Variables whose values are not there yet: their names.
NEEDED_FILE = "needed.json"
# Kind of the failure that a legacy DAG file without a DAG is: no other is kept for as long as the file stays as it is.
NO_DAG = "no DAG"
# Exit codes of the process that compiles.
COMPILED, PIPELINE_ERROR, CHANGED_MEANWHILE, NEEDS_VARIABLES = 0, 3, 4, 5


@dataclasses.dataclass(frozen=True)
class RuntimeParameter:
    """A `tfx.dsl.RuntimeParameter`; `kind` is `string`, `integer` or `number`.

    `default` is None if the pipeline gives none. `conflict` says which defaults the pipeline gives, and
    where, if they differ.
    """

    name: str
    kind: str
    default: Any = None
    description: str = ""
    conflict: str = ""


@dataclasses.dataclass(frozen=True)
class Node:
    """One node of the pipeline.

    Attributes:
      id: TFX node id; the Airflow task id is the same, after those of the task groups around it.
      kind: Class name, such as `Trainer`.
      type: Full name of the component class, the MLMD execution type.
      upstream: Ids of the nodes that must have ended.
      required: For each input that the node needs, the upstream nodes that may provide it: when all of them are
        skipped, so is this one.
      history: Whether it has inputs from earlier runs of its own pipeline.
      outputs: Artifact type by output key.
      parameters: Names of the runtime parameters the node uses.
      conditional: Whether it is inside a `Cond` and may be skipped.
      trigger_rule: Airflow trigger rule. `none_failed` where an upstream node may be skipped: the task itself
        then decides whether it can run, see `skips.py`.
      retries: Retries its TFX execution options ask for; None leaves the DAG's default.
      timeout_seconds: Time limit its TFX execution options ask for; 0 is none.
      doc: First paragraph of the component's docstring.
      beam: Its Beam arguments as far as they are known before a run; None if its executor runs no Beam pipeline.
    """

    id: str
    kind: str
    type: str
    upstream: tuple[str, ...] = ()
    required: tuple[tuple[str, ...], ...] = ()
    history: bool = False
    outputs: dict[str, str] = dataclasses.field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    conditional: bool = False
    trigger_rule: str = "all_success"
    retries: int | None = None
    timeout_seconds: int = 0
    doc: str = ""
    beam: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A compiled pipeline: its nodes, its parameters and what it was made from.

    Attributes:
      files: What compiling read of the user's files, and looked for, as in `fingerprint.content_key`.
      installed: The same of packages that are installed beside TFX.
      variables: Names of the environment variables that it read; of the values only a hash is kept.
      unseen: Addresses that it read and that cannot be checked, such as gs://bucket/schema.pbtxt.
      addresses: What it names in object stores, by what it is, such as "pipeline_root".
      environment: What compiled it: versions, and keys of `installed`, `variables` and `airflow_variables`.
      airflow_variables: Names of the Airflow Variables that it read; of the values only a hash is kept.
      legacy: The DAG of a legacy DAG file; None for a pipeline function.
      others: Further DAGs of that file, in folders `1`, `2`, ... beside this manifest.
    """

    pipeline_name: str
    reference: str
    nodes: tuple[Node, ...]
    runtime_parameters: tuple[RuntimeParameter, ...]
    files: tuple[str, ...]
    environment: dict[str, str]
    doc: str = ""
    installed: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    addresses: dict[str, str] = dataclasses.field(default_factory=dict)
    airflow_variables: tuple[str, ...] = ()
    legacy: LegacyDag | None = None
    others: int = 0
    format: int = FORMAT

    def to_json(self) -> str:
        """The manifest as sorted, indented JSON: equal manifests are equal bytes."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Reads what `to_json` wrote.

        Raises:
          ManifestError: The text is not a manifest of this format.
        """
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise ManifestError(
                    f"its format is {data['format']!r}, and {FORMAT} is needed; compile again."
                )
            data["nodes"] = tuple(
                Node(
                    **{
                        **n,
                        "upstream": tuple(n["upstream"]),
                        "required": tuple(tuple(names) for names in n["required"]),
                        "parameters": tuple(n["parameters"]),
                        "beam": None if n["beam"] is None else tuple(n["beam"]),
                    }
                )
                for n in data["nodes"]
            )
            data["runtime_parameters"] = tuple(RuntimeParameter(**p) for p in data["runtime_parameters"])
            for key in ("files", "installed", "variables", "unseen", "airflow_variables"):
                data[key] = tuple(data[key])
            if data["legacy"] is not None:
                # At every parse of an adopted file, and of no other.
                from include.tfx_airflow.contract.legacy import LegacyDag

                data["legacy"] = LegacyDag.of(data["legacy"])
            return cls(**data)
        except (KeyError, TypeError, ValueError) as error:
            raise ManifestError(
                f"not a manifest ({type(error).__name__}: {error}); remove it and compile again."
            ) from error

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Reads `manifest.json` of a compiled pipeline's folder."""
        return cls.from_json((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
