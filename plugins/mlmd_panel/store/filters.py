"""Filters of lists: every field is optional, and all that are set must match."""

from __future__ import annotations

import dataclasses

from mlmd_panel.errors import BadQuery
from mlmd_panel.store.records import ARTIFACT_STATES, EXECUTION_STATES

RUN_STATES = ("NEW", "RUNNING", "COMPLETE", "FAILED", "CANCELED", "UNKNOWN")
OPERATORS = ("=", "!=", "<", ">", "<=", ">=", "~")


def _known(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value and value not in allowed:
        raise BadQuery(f"Unknown {what} {value!r}; use one of {', '.join(allowed)}.")


@dataclasses.dataclass(frozen=True)
class PropertyFilter:
    """An artifact has a property of this name, declared or custom, whose value compares so.

    Attributes:
      name: Of the property.
      op: One of `OPERATORS`; `~` is "contains", whatever the case of ASCII letters, `!=` "has it, with another value".
      value: As text; a number compares with int and double properties too, true and false with bool ones.
        `<` and its like compare numbers when the value is one, otherwise texts.

    Raises:
      BadQuery: No name, or another operator.
    """

    name: str
    op: str
    value: str

    def __post_init__(self) -> None:
        if not self.name:
            raise BadQuery("A property filter needs the name of a property.")
        _known("operator", self.op or "(none)", OPERATORS)


@dataclasses.dataclass(frozen=True)
class RunFilter:
    """Of runs.

    Attributes:
      pipeline: Its name.
      dag_id: Of Airflow.
      state: One of `RUN_STATES`, as `run_state` gives it.
      since: Created at or after; milliseconds.
      until: Created before; milliseconds.
      text: Somewhere in the run's name or its pipeline's, whatever the case.
      type: Of its context, such as `system.PipelineRun`.
    """

    pipeline: str = ""
    dag_id: str = ""
    state: str = ""
    since: int | None = None
    until: int | None = None
    text: str = ""
    type: str = ""

    def __post_init__(self) -> None:
        _known("run state", self.state, RUN_STATES)


@dataclasses.dataclass(frozen=True)
class ExecutionFilter:
    """Of executions.

    Attributes:
      pipeline: Its name.
      run: Id of the run's context.
      type: Full type name, or its last part, such as `Trainer`.
      state: One of `EXECUTION_STATES`.
      node: Node id.
      dag_id: Of Airflow.
      task_id: Of Airflow, with its task groups; only executions that this bundle made have one.
      map_index: Of Airflow; -1 of a task that is not mapped.
      since: Created at or after; milliseconds.
      until: Created before; milliseconds.
      text: Somewhere in the type's, node's or run's name, whatever the case; or the id. In stores of others somewhere
        in its own name, too.
      context: Id of a context that it is a part of.
    """

    pipeline: str = ""
    run: int | None = None
    type: str = ""
    state: str = ""
    node: str = ""
    dag_id: str = ""
    task_id: str = ""
    map_index: int | None = None
    since: int | None = None
    until: int | None = None
    text: str = ""
    context: int | None = None

    def __post_init__(self) -> None:
        _known("execution state", self.state, EXECUTION_STATES)


@dataclasses.dataclass(frozen=True)
class ContextFilter:
    """Of contexts.

    Attributes:
      type: Type name.
      text: Somewhere in its type's name, its name or its display name, whatever the case; or its id.
      others: Not of the types of TFX and this bundle, which pages of their own show.
    """

    type: str = ""
    text: str = ""
    others: bool = False


@dataclasses.dataclass(frozen=True)
class ArtifactFilter:
    """Of artifacts.

    Attributes:
      pipeline: Made or used in a run of it.
      run: Id of the run's context; made, used or reused in it.
      type: Type name.
      state: One of `ARTIFACT_STATES`.
      producer: Id of the node that made it.
      properties: All of them hold.
      uri: It begins so.
      since: Created at or after; milliseconds.
      until: Created before; milliseconds.
      text: Somewhere in its type's name, its name, its display name or its URI, whatever the case; or its id.
      context: Id of a context that it is a part of.
    """

    pipeline: str = ""
    run: int | None = None
    type: str = ""
    state: str = ""
    producer: str = ""
    properties: tuple[PropertyFilter, ...] = ()
    uri: str = ""
    since: int | None = None
    until: int | None = None
    text: str = ""
    context: int | None = None

    def __post_init__(self) -> None:
        _known("artifact state", self.state, ARTIFACT_STATES)
