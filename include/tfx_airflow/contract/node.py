"""The request for one node, and its result."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

# Exit codes of a node's process: they say how the node ended even if its record is lost.
EXECUTED, FAILED, CACHED, SKIPPED, REFUSED = 0, 1, 20, 21, 22
EXIT_CODES = {
    "executed": EXECUTED,
    "failed": FAILED,
    "cached": CACHED,
    "skipped": SKIPPED,
    "refused": REFUSED,
}


@dataclasses.dataclass(frozen=True)
class NodeRequest:
    """One attempt at one node of one run.

    Attributes:
      ir: Path of the compiled `pipeline.json`.
      node_id: Node of that pipeline.
      run: Name of the MLMD `pipeline_run` context, see `identity.py`.
      task: Airflow names of this attempt: dag_id, run_id, task_id, map_index, try_number; key, the name of
        the attempt's own MLMD context; first_try, the first try after the task was last cleared;
        backfill, whether a backfill made the run or cleared it.
      parameters: Value by runtime parameter.
      mlmd: Address of the store, see `mlmd_connection.py`; may hold a password.
      roots: Machine folders for the `${NAME}`s of the IR.
      task_ids: Task id by node id, of the same copy of the pipeline; a node that is not named is its own task.
      absent: Upstream nodes whose tasks were skipped or have failed: nothing is read of them.
      group: Name of the MLMD context of this copy of the pipeline in all runs; empty when it needs none.
      own_history: Whether inputs from earlier runs of this pipeline are those of the same copy only.
      bundle_version: Airflow's version of the DAG bundle, such as a commit; empty when it has none.
      lineage: Whether the result describes what was read and made for a lineage catalogue.
      library_patches: Whether overhead is taken out of libraries, see `tfx_side/patches`.
      object_store: Fields of an `ObjectStoreAccess`; {} when no artifact may be in an object store. Holds credentials.
      beam: Fields of the `BeamTarget` of the node's Beam pipelines, may hold a token; {} for what the IR says.
      legacy: The legacy DAG file that the pipeline is from, as a dict of `LegacyFile`; None for others. Its folders are
        imported from, and the file itself where the node's code is in it.
      home_mark: Where tasks run on several machines, what the DAG processor's mark in `home` says; "" elsewhere, and of a
        pipeline that keeps nothing there.
      kill_grace: Seconds that the child has to record its failure when it is killed; see `NodeProcess`.
    """

    ir: str
    node_id: str
    run: str
    task: dict[str, Any]
    parameters: dict[str, Any]
    mlmd: dict[str, Any] = dataclasses.field(repr=False)
    roots: dict[str, str]
    task_ids: dict[str, str] = dataclasses.field(default_factory=dict)
    absent: tuple[str, ...] = ()
    group: str = ""
    own_history: bool = False
    bundle_version: str = ""
    lineage: bool = False
    library_patches: bool = True
    object_store: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    beam: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    legacy: dict[str, Any] | None = dataclasses.field(default=None, repr=False)
    home_mark: str = ""
    kill_grace: float = 10.0

    def to_json(self) -> str:
        """The request on one line."""
        return json.dumps(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class NodeResult:
    """How a node ended.

    Attributes:
      state: `executed`, `cached`, `skipped`, `failed` or `refused` (failed, and a retry cannot help).
      execution_id: MLMD id, 0 when nothing was registered.
      outputs: By output key, a list of {id, type, uri, note}; of examples also their span and version.
      summary: Short facts for people and for downstream tasks, such as {"blessed": true}.
      message: Reason of a skip or failure; a failure's traceback.
      started: When the child began to work on the node, its imports done; seconds since the epoch.
      seconds: How long it worked.
      beam: Seconds and counters of its Beam pipelines, see `tfx_side/node/beam_work.py`; {} when it ran none.
      lineage: What was read and made, see `tfx_side/node/lineage_facts.py`; empty unless the request asks for it.
    """

    state: str
    execution_id: int = 0
    outputs: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    summary: dict[str, Any] = dataclasses.field(default_factory=dict)
    message: str = ""
    started: float = 0.0
    seconds: float = 0.0
    beam: dict[str, Any] = dataclasses.field(default_factory=dict)
    lineage: dict[str, Any] = dataclasses.field(default_factory=dict)
