"""What the panel knows of a store: plain frozen records, which pages and JSON are made from.

Times are milliseconds since 1970 in UTC, as MLMD keeps them. Ids are MLMD's own. Names are TFX's and MLMD's.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, TypeVar

# By MLMD's numbers for them.
EXECUTION_STATES = ("UNKNOWN", "NEW", "RUNNING", "COMPLETE", "FAILED", "CACHED", "CANCELED")
ARTIFACT_STATES = (
    "UNKNOWN",
    "PENDING",
    "LIVE",
    "MARKED_FOR_DELETION",
    "DELETED",
    "ABANDONED",
    "REFERENCE",
)


@dataclasses.dataclass(frozen=True)
class Property:
    """A property of an artifact, execution or context.

    Attributes:
      name: Its name.
      value: int, float, str, bool; of a struct what it means (dict, list or scalar; TFX's JsonValue unwrapped);
        of a proto {"type_url": ..., "base64": ...}.
      kind: int, double, string, bool, struct or proto.
      custom: Not declared by the type.
    """

    name: str
    value: Any
    kind: str
    custom: bool


@dataclasses.dataclass(frozen=True)
class Task:
    """The Airflow task instance that made an execution; of stores that this bundle wrote."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a pipeline: a context of type `pipeline_run`, or `run` in stores of TFX's old launcher.

    Attributes:
      id: Context id.
      name: Context name, such as `<dag_id>:<run_id>`.
      pipeline: Name of its pipeline.
      dag_id: Airflow DAG that it belongs to; the pipeline's name when the context's name does not say.
      run_id: Airflow run id, or TFX's own.
      created: Milliseconds.
    """

    id: int
    name: str
    pipeline: str
    dag_id: str
    run_id: str
    created: int


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """A pipeline, with what the list of pipelines shows."""

    id: int
    name: str
    dag_ids: tuple[str, ...]
    runs: int
    latest: Run | None


@dataclasses.dataclass(frozen=True)
class Execution:
    """One attempt of one node in one run.

    Attributes:
      id: Execution id.
      type: Full type name, such as `tfx.components.trainer.component.Trainer`.
      node: Node id in the pipeline, such as `Trainer`.
      state: NEW, RUNNING, COMPLETE, FAILED, CACHED, CANCELED or UNKNOWN.
      created: Milliseconds.
      updated: Milliseconds; of an execution that ended its end.
      run: None when it belongs to no run.
      task: None in stores of others.
      properties: Empty unless asked for.
    """

    id: int
    type: str
    node: str
    state: str
    created: int
    updated: int
    run: Run | None
    task: Task | None
    properties: tuple[Property, ...] = ()


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact.

    Attributes:
      id: Artifact id.
      type: Type name, such as `Examples`.
      name: May be empty.
      uri: Where its files are; may be empty.
      state: PENDING, LIVE, MARKED_FOR_DELETION, DELETED, ABANDONED, REFERENCE or UNKNOWN.
      created: Milliseconds.
      updated: Milliseconds.
      properties: Empty unless asked for.
    """

    id: int
    type: str
    name: str
    uri: str
    state: str
    created: int
    updated: int
    properties: tuple[Property, ...] = ()

    def property(self, name: str, default: Any = None) -> Any:
        """Value of a property; of two with one name the declared one."""
        found = [p for p in self.properties if p.name == name]
        return min(found, key=lambda p: p.custom).value if found else default


@dataclasses.dataclass(frozen=True)
class Event:
    """An artifact went into an execution or came out of it.

    Attributes:
      artifact_id: The artifact.
      execution_id: The execution.
      kind: INPUT, OUTPUT, DECLARED_INPUT, DECLARED_OUTPUT, INTERNAL_INPUT, INTERNAL_OUTPUT, PENDING_OUTPUT or UNKNOWN.
        A Resolver's INTERNAL_OUTPUT is what it chose among the outputs of others.
      key: Channel, such as `model`; the key of the event's path.
      index: Place among the artifacts of that channel.
      time: Milliseconds.
    """

    artifact_id: int
    execution_id: int
    kind: str
    key: str
    index: int
    time: int

    @property
    def is_output(self) -> bool:
        """The execution made the artifact, or found it in the cache; not what a Resolver passed on."""
        return self.kind in ("OUTPUT", "DECLARED_OUTPUT", "PENDING_OUTPUT")

    @property
    def is_input(self) -> bool:
        """The execution read the artifact."""
        return self.kind in ("INPUT", "DECLARED_INPUT", "INTERNAL_INPUT")


Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True)
class Page(Generic[Row]):
    """A page of a list, newest first.

    Attributes:
      rows: The rows.
      after: Cursor of the next (older) page; None on the last.
      searched_to: None, or the creation time down to which was looked before the page gave up to stay fast.
    """

    rows: tuple[Row, ...]
    after: int | None
    searched_to: int | None = None


@dataclasses.dataclass(frozen=True)
class RunDetail:
    """All of one run: its executions in order of creation, their events and the artifacts of those events."""

    run: Run
    executions: tuple[Execution, ...]
    events: tuple[Event, ...]
    artifacts: dict[int, Artifact]


@dataclasses.dataclass(frozen=True)
class Lineage:
    """A part of the graph of artifacts and executions around one artifact or of one run.

    Attributes:
      executions: By id; one of a DAG that the user may not see has node "" and run None.
      artifacts: By id.
      events: The edges.
      cut: There is more, left out by depth or by the limit on the number of nodes.
    """

    executions: dict[int, Execution]
    artifacts: dict[int, Artifact]
    events: tuple[Event, ...]
    cut: bool
