"""Frozen records of what is in a store, from which pages and JSON are made.

Times are milliseconds since 1970 in UTC, as in MLMD. Ids are MLMD's, names those of TFX and MLMD.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, TypeVar

# Indexed by MLMD's numbers.
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
      value: int, float, str or bool; for a struct a dict, list or scalar (TFX's JsonValue unwrapped);
        for a proto {"type_url": ..., "base64": ...}.
      kind: int, double, string, bool, struct or proto.
      custom: Whether the type does not declare it.
    """

    name: str
    value: Any
    kind: str
    custom: bool


@dataclasses.dataclass(frozen=True)
class Task:
    """The Airflow task instance that ran an execution, in stores that this bundle wrote."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    @property
    def label(self) -> str:
        """The task id with its task groups, and the map index where there is one: `eu.Trainer`, `each.Trainer [2]`."""
        return f"{self.task_id} [{self.map_index}]" if self.map_index >= 0 else self.task_id


@dataclasses.dataclass(frozen=True)
class Run:
    """A run: a context of type `pipeline_run`, `run` (TFX's old launcher), or any type if other programs wrote it.

    Attributes:
      id: Context id.
      name: Context name, such as `<dag_id>:<run_id>`.
      pipeline: Name of its pipeline; for other programs' runs that of the parent context, or empty.
      dag_id: Its Airflow DAG; the pipeline's name if the context's name has none. Empty for other programs' runs, and
        for a shortened name until a task instance gives the DAG.
      run_id: Airflow run id, or TFX's own; otherwise the context's name.
      created: Milliseconds.
      type: Type of the context.
      display_name: Display name of the context, or empty.
    """

    id: int
    name: str
    pipeline: str
    dag_id: str
    run_id: str
    created: int
    type: str = "pipeline_run"
    display_name: str = ""

    @property
    def label(self) -> str:
        """Its name on pages."""
        return self.display_name or self.run_id or self.name


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
    """One attempt at a node in a run.

    Attributes:
      id: Execution id.
      type: Full type name, such as `tfx.components.trainer.component.Trainer`.
      node: Node id in the pipeline, such as `Trainer`; empty if another program wrote it.
      state: NEW, RUNNING, COMPLETE, FAILED, CACHED, CANCELED or UNKNOWN.
      created: Milliseconds.
      updated: Milliseconds; its end if it `has_ended`.
      run: None if it belongs to no run.
      task: None if another program wrote it.
      properties: Empty unless requested.
      given_name: `display_name`, `task_name` or name of an execution that another program wrote; may be empty.
      hidden: The user may not see it; only the id is set.
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
    given_name: str = ""
    hidden: bool = False

    @property
    def label(self) -> str:
        """Its name on pages; empty if it is hidden.

        The node; for pipelines in task groups or mapped ones the task, which distinguishes their instances.
        """
        if self.task and self.node and self.is_one_of_several:
            return self.task.label
        return self.node or self.given_name or self.type.rpartition(".")[2] or self.type

    @property
    def branch(self) -> str:
        """The task group of its pipeline, with the map index: `eu`, `each [2]`; empty without either."""
        if self.task is None:
            return ""
        within = self.task.task_id.removesuffix(self.node)
        group = within.rstrip(".") if within != self.task.task_id else ""
        return f"{group} [{self.task.map_index}]".strip() if self.task.map_index >= 0 else group

    @property
    def is_one_of_several(self) -> bool:
        """Its task is in a task group or mapped: the run may have more instances of its node."""
        return self.task is not None and (self.task.task_id != self.node or self.task.map_index >= 0)

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended, successfully or not."""
        return self.state in ("COMPLETE", "FAILED", "CACHED", "CANCELED")

    @property
    def instance(self) -> tuple:
        """What its attempts have in common: the task instance, or the node if no task is known.

        An execution that another program wrote is its only attempt.
        """
        if self.task:
            return (self.node, self.task.task_id, self.task.map_index)
        return (self.node,) if self.node else (self.id,)


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact.

    Attributes:
      id: Artifact id.
      type: Type name, such as `Examples`.
      name: Its name, or empty.
      uri: Where its files are, or empty.
      state: PENDING, LIVE, MARKED_FOR_DELETION, DELETED, ABANDONED, REFERENCE or UNKNOWN.
      created: Milliseconds.
      updated: Milliseconds.
      properties: Empty unless requested.
      display_name: Its property `display_name`, as Kubeflow Pipelines sets, or empty.
    """

    id: int
    type: str
    name: str
    uri: str
    state: str
    created: int
    updated: int
    properties: tuple[Property, ...] = ()
    display_name: str = ""

    def property(self, name: str, default: Any = None) -> Any:
        """Value of a property; the declared one if a custom one has the same name."""
        found = [p for p in self.properties if p.name == name]
        return min(found, key=lambda p: p.custom).value if found else default


@dataclasses.dataclass(frozen=True)
class Event:
    """An artifact went into an execution or came out of it.

    Attributes:
      artifact_id: The artifact.
      execution_id: The execution.
      kind: INPUT, OUTPUT, DECLARED_INPUT, DECLARED_OUTPUT, INTERNAL_INPUT, INTERNAL_OUTPUT, PENDING_OUTPUT or UNKNOWN.
        A Resolver's INTERNAL_OUTPUT is what it chose among other nodes' outputs.
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
        """Whether the execution produced the artifact or found it in the cache; False for a Resolver's choice."""
        return self.kind in ("OUTPUT", "DECLARED_OUTPUT", "PENDING_OUTPUT")

    @property
    def is_input(self) -> bool:
        """Whether the execution read the artifact."""
        return self.kind in ("INPUT", "DECLARED_INPUT", "INTERNAL_INPUT")


Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True)
class Page(Generic[Row]):
    """A page of a list, newest first.

    Attributes:
      rows: The rows.
      after: Cursor of the next (older) page; None on the last.
      searched_to: Creation time at which the search stopped to stay fast; None if it did not.
    """

    rows: tuple[Row, ...]
    after: int | None
    searched_to: int | None = None


@dataclasses.dataclass(frozen=True)
class ArtifactEvents:
    """Executions that produced an artifact, used it, or took it from the cache.

    Attributes:
      rows: Events with their executions.
      cut: There are more.
      hidden: The user may not see all of them.
    """

    rows: tuple[tuple[Event, Execution], ...]
    cut: bool
    hidden: bool


@dataclasses.dataclass(frozen=True)
class RunDetail:
    """A run with its executions in order of creation, their events, and the artifacts of those events."""

    run: Run
    executions: tuple[Execution, ...]
    events: tuple[Event, ...]
    artifacts: dict[int, Artifact]


@dataclasses.dataclass(frozen=True)
class Lineage:
    """A part of the graph of artifacts and executions around one artifact or of one run.

    Attributes:
      executions: By id; those that the user may not see are hidden.
      artifacts: By id.
      events: The edges.
      cut: The depth or the limit on artifacts and executions left out some.
    """

    executions: dict[int, Execution]
    artifacts: dict[int, Artifact]
    events: tuple[Event, ...]
    cut: bool
