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

    @property
    def label(self) -> str:
        """The task id with its task groups, and the map index where there is one: `eu.Trainer`, `each.Trainer [2]`."""
        return f"{self.task_id} [{self.map_index}]" if self.map_index >= 0 else self.task_id


@dataclasses.dataclass(frozen=True)
class Run:
    """One run: a context of type `pipeline_run`, or `run` of TFX's old launcher, or in stores of others of any type.

    Attributes:
      id: Context id.
      name: Context name, such as `<dag_id>:<run_id>`.
      pipeline: Name of its pipeline; in stores of others of the parent context, empty without one.
      dag_id: Airflow DAG that it belongs to; the pipeline's name when the context's name does not say. Empty in stores
        of others, and of a shortened name as long as no task instance tells it.
      run_id: Airflow run id, or TFX's own; otherwise the context's name.
      created: Milliseconds.
      type: Of the context.
      display_name: Of the context, in stores of others; empty where it has none.
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
        """What it is called on pages."""
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
    """One attempt of one node in one run.

    Attributes:
      id: Execution id.
      type: Full type name, such as `tfx.components.trainer.component.Trainer`.
      node: Node id in the pipeline, such as `Trainer`; empty in stores of others.
      state: NEW, RUNNING, COMPLETE, FAILED, CACHED, CANCELED or UNKNOWN.
      created: Milliseconds.
      updated: Milliseconds; of one that `has_ended` its end.
      run: None when it belongs to no run.
      task: None in stores of others.
      properties: Empty unless asked for.
      given_name: In stores of others its `display_name`, `task_name` or name; may be empty.
      hidden: The user may not see it: there is no more than its id.
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
        """What it is called on pages; of a hidden one nothing.

        The node; where a pipeline stands in a task group or is mapped, the task, which tells its instances apart.
        """
        if self.task and self.node and self.is_one_of_several:
            return self.task.label
        return self.node or self.given_name or self.type.rpartition(".")[2] or self.type

    @property
    def branch(self) -> str:
        """The task group that its pipeline stands in, with the map index: `eu`, `each [2]`; otherwise empty."""
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
        """It is known to be done, in one way or the other."""
        return self.state in ("COMPLETE", "FAILED", "CACHED", "CANCELED")

    @property
    def instance(self) -> tuple:
        """What its attempts have in common: the task instance, or the node where no task is known.

        Executions of others are their own.
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
      name: May be empty.
      uri: Where its files are; may be empty.
      state: PENDING, LIVE, MARKED_FOR_DELETION, DELETED, ABANDONED, REFERENCE or UNKNOWN.
      created: Milliseconds.
      updated: Milliseconds.
      properties: Empty unless asked for.
      display_name: Its property of that name, as Kubeflow Pipelines gives; empty where it has none.
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
class ArtifactEvents:
    """Who made an artifact, used it, or took it from the cache.

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
    """All of one run: its executions in order of creation, their events and the artifacts of those events."""

    run: Run
    executions: tuple[Execution, ...]
    events: tuple[Event, ...]
    artifacts: dict[int, Artifact]


@dataclasses.dataclass(frozen=True)
class Lineage:
    """A part of the graph of artifacts and executions around one artifact or of one run.

    Attributes:
      executions: By id; those that the user may not see are `hidden`.
      artifacts: By id.
      events: The edges.
      cut: There is more, left out by depth or by the limit on the number of nodes.
    """

    executions: dict[int, Execution]
    artifacts: dict[int, Artifact]
    events: tuple[Event, ...]
    cut: bool
