"""Filters of lists: every field is optional, and all that are set must match."""

from __future__ import annotations

import dataclasses
import re

from mlmd_panel.errors import BadQuery
from mlmd_panel.store.records import ARTIFACT_STATES, EXECUTION_STATES

RUN_STATES = ("NEW", "RUNNING", "COMPLETE", "FAILED", "CANCELED", "UNKNOWN")
OPERATORS = ("=", "!=", "<", ">", "<=", ">=", "~")
_COMPARISON = re.compile(r"\s*([^=!<>~]+?)\s*(=|!=|<=|>=|<|>|~)\s*(.*?)\s*", re.DOTALL)


def _known(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value and value not in allowed:
        raise BadQuery(f"Unknown {what} {value!r}; use one of {', '.join(allowed)}.")


@dataclasses.dataclass(frozen=True)
class PropertyFilter:
    """An artifact has a property with this name, declared or custom, whose value meets a comparison.

    Attributes:
      name: Name of the property.
      op: One of `OPERATORS`; `~` means "contains" (ASCII letters in either case), `!=` "has it with another value".
      value: As text; a number compares with int and double properties too, true and false with bool ones.
        `<` and the like compare numbers if the value is one, otherwise texts.

    Raises:
      BadQuery: The name is empty, or the operator unknown.
    """

    name: str
    op: str
    value: str

    def __post_init__(self) -> None:
        if not self.name:
            raise BadQuery("A property filter needs the name of a property.")
        _known("operator", self.op or "(none)", OPERATORS)

    @classmethod
    def of_text(cls, text: str) -> PropertyFilter:
        """The filter that a text such as `span>=201401` means.

        Raises:
          BadQuery: It means none.
        """
        match = _COMPARISON.fullmatch(text)
        if not match:
            raise BadQuery(f"{text!r} is not a property filter; write it like span>=201401 or blessed=1.")
        return cls(*match.groups())


@dataclasses.dataclass(frozen=True)
class RunFilter:
    """Filter of runs.

    Attributes:
      pipeline: Name of the pipeline.
      dag_id: Airflow DAG id.
      state: One of `RUN_STATES`, see `run_state`.
      since: Created at or after; milliseconds.
      until: Created before; milliseconds.
      text: Part of the run's or pipeline's name, in either case.
      type: Type of its context, such as `system.PipelineRun`.
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
    """Filter of executions.

    Attributes:
      pipeline: Name of the pipeline.
      run: Id of the run's context.
      type: Full type name, or its last part, such as `Trainer`.
      state: One of `EXECUTION_STATES`.
      node: Node id.
      dag_id: Airflow DAG id.
      task_id: Airflow task id with its task groups; only executions of this bundle have one.
      map_index: Airflow map index; -1 for a task that is not mapped.
      since: Created at or after; milliseconds.
      until: Created before; milliseconds.
      text: Part of the type's, node's or run's name, in either case, or the id; in stores that other programs wrote
        also part of the execution's own name.
      context: Id of a context that it belongs to.
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
    """Filter of contexts.

    Attributes:
      type: Type name.
      text: Part of its type's name, name or display name, in either case, or its id.
      others: Leave out the types of TFX and this bundle, which have pages of their own.
    """

    type: str = ""
    text: str = ""
    others: bool = False


@dataclasses.dataclass(frozen=True)
class ArtifactFilter:
    """Of artifacts.

    Attributes:
      pipeline: Name of a pipeline that produced or used it.
      run: Id of the context of a run that produced, used or reused it.
      type: Type name.
      state: One of `ARTIFACT_STATES`.
      producer: Id of the node that produced it.
      properties: Filters that must all match.
      uri: Start of its URI.
      since: Created at or after; milliseconds.
      until: Created before; milliseconds.
      text: Part of its type's name, name, display name or URI, in either case, or its id.
      context: Id of a context that it belongs to.
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
