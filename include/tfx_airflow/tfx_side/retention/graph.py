"""The lineage graph of a whole store, read by SQL: artifacts, executions, and which read or made what."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.tfx_side.mlmd.metadata_store import UNFINISHED
from include.tfx_airflow.tfx_side.mlmd.reader import Reader

_Event = metadata_store_pb2.Event
INPUTS = (_Event.INPUT, _Event.DECLARED_INPUT)
OUTPUTS = (_Event.OUTPUT, _Event.DECLARED_OUTPUT, _Event.PENDING_OUTPUT)
RUNNING = f"last_known_state in ({', '.join(str(int(state)) for state in UNFINISHED)})"
# Custom properties, see `marks`.
PINNED, REASON, MARKED_AT, PLACE, DELETED_AT = (
    "pinned",
    "deleted_reason",
    "deletion_marked_at",
    "deletion_place",
    "deleted_at",
)
_READ = (PINNED, MARKED_AT, PLACE, "blessed", "pushed", "is_external", "current_model_id")
_PAGE = 50_000  # rows: a server has ten seconds for each answer
VERDICTS = ("ModelEvaluation", "ModelBlessing", "InfraBlessing")
_JUDGED_AS = "model"  # the input key of Evaluator, InfraValidator, and of gates


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A row of MLMD.

    Attributes:
      state: Of `Artifact.State`; 0 where there is none.
      created: Milliseconds since the epoch.
      updated: Likewise.
    """

    id: int
    type: str
    uri: str
    state: int
    created: int
    updated: int


@dataclasses.dataclass(frozen=True)
class Execution:
    """A row of MLMD, with the contexts that it is in.

    Attributes:
      state: Of `Execution.State`.
      created: Milliseconds since the epoch.
      updated: Likewise.
      pipelines: Names.
      runs: Ids of `pipeline_run` contexts.
      nodes: Ids of nodes, without the pipeline's name.
    """

    id: int
    state: int
    created: int
    updated: int
    pipelines: frozenset[str] = frozenset()
    runs: frozenset[int] = frozenset()
    nodes: frozenset[str] = frozenset()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended, as far as the store knows."""
        return self.state in UNFINISHED


@dataclasses.dataclass(frozen=True)
class Event:
    """An execution that read or made an artifact; `time` is in milliseconds."""

    artifact: int
    execution: int
    type: int
    time: int


@dataclasses.dataclass(frozen=True)
class Seen:
    """How far the store was read; what came later is newer than this."""

    event: int
    execution: int
    running: frozenset[int]
    pinned: frozenset[int]


class Graph:
    """The graph.

    Attributes:
      artifacts: By id.
      executions: By id.
      events: By artifact and by execution, see `of_artifact` and `of_execution`.
      properties: Custom properties that retention knows: by name, the values by artifact.
      judged: Of each evaluation and blessing, the models that it is about, not baselines.
      seen: Taken before anything else was read.
    """

    def __init__(
        self,
        artifacts: Mapping[int, Artifact],
        executions: Mapping[int, Execution],
        events: list[Event],
        properties: Mapping[str, Mapping[int, Any]],
        keys: Mapping[tuple[int, int], str],
        seen: Seen,
    ):
        """Takes what was read.

        Args:
          artifacts: By id.
          executions: By id.
          events: Those of unknown artifacts or executions are left out.
          properties: As the attribute.
          keys: Input key by artifact and execution, of executions that made evaluations or blessings.
          seen: How far it was read.
        """
        self.artifacts, self.executions, self.properties, self.seen = artifacts, executions, properties, seen
        self.of_artifact: dict[int, list[Event]] = defaultdict(list)
        self.of_execution: dict[int, list[Event]] = defaultdict(list)
        for event in events:
            if event.artifact in artifacts and event.execution in executions:
                self.of_artifact[event.artifact].append(event)
                self.of_execution[event.execution].append(event)
        self.judged = self._judged(keys)

    def makers(self, artifact: int) -> list[Execution]:
        """Executions that have it as an output, cached ones included."""
        return [self.executions[e.execution] for e in self.of_artifact.get(artifact, ()) if e.type in OUTPUTS]

    def inputs(self, execution: int) -> list[int]:
        """What an execution read."""
        return [e.artifact for e in self.of_execution.get(execution, ()) if e.type in INPUTS]

    def outputs(self, execution: int) -> list[int]:
        """What an execution made, or took from the cache."""
        return [e.artifact for e in self.of_execution.get(execution, ()) if e.type in OUTPUTS]

    def number(self, name: str, artifact: int) -> float:
        """A property's value; 0 if it has none or is no number."""
        value = self.properties.get(name, {}).get(artifact, 0)
        try:
            return float(value or 0)
        except ValueError:
            return 0

    def _judged(self, keys: Mapping[tuple[int, int], str]) -> dict[int, frozenset[int]]:
        found = {}
        for artifact in self.artifacts.values():
            if artifact.type not in VERDICTS:
                continue
            models = {
                model
                for execution in self.makers(artifact.id)
                for model in self.inputs(execution.id)
                if keys.get((model, execution.id)) == _JUDGED_AS
            }
            told = int(self.number("current_model_id", artifact.id))
            found[artifact.id] = frozenset(models | ({told} & self.artifacts.keys()))
        return found


def read(reader: Reader, load: Callable[[list[int]], list[metadata_store_pb2.Artifact]]) -> Graph:
    """Reads the graph.

    Args:
      reader: Open.
      load: Gives artifacts as ml_metadata reads them: on servers it has its own way of storing some letters.
    """
    seen = look(reader)
    types: dict[int, str] = {id_: name for id_, name in reader.rows("select id, name from Type")}
    artifacts = {
        row[0]: Artifact(row[0], types.get(row[1], ""), row[2] or "", *(int(v or 0) for v in row[3:]))
        for row in _pages(
            reader,
            "Artifact",
            "id, type_id, uri, state, create_time_since_epoch, last_update_time_since_epoch",
        )
    }
    properties = {name: dict(_property_rows(reader, name)) for name in _READ}
    odd = {artifact.id for artifact in artifacts.values() if not artifact.uri.isascii()}
    odd |= {id_ for id_, place in properties[PLACE].items() if not str(place).isascii()} & artifacts.keys()
    for found in load(sorted(odd)):
        artifacts[found.id] = dataclasses.replace(artifacts[found.id], uri=found.uri)
        if found.id in properties[PLACE]:
            properties[PLACE][found.id] = found.custom_properties[PLACE].string_value
    executions = _executions(reader)
    events = [
        Event(*(int(v or 0) for v in row[1:]))
        for row in _pages(reader, "Event", "id, artifact_id, execution_id, type, milliseconds_since_epoch")
    ]
    keys = {
        (artifact, execution): key
        for artifact, execution, key in reader.rows(
            "select used.artifact_id, used.execution_id, p.step_key from Artifact a"
            f" join Type t on t.id = a.type_id and t.name in {VERDICTS}"
            " join Event made on made.artifact_id = a.id join Event used on used.execution_id = made.execution_id"
            f" and used.type in {INPUTS} join EventPath p on p.event_id = used.id and p.step_key = %s",
            (_JUDGED_AS,),
        )
    }
    return Graph(artifacts, executions, events, properties, keys, seen)


def look(reader: Reader) -> Seen:
    """Takes note of how far a store has come; cheap."""
    event, execution = (reader.rows(f"select max(id) from {table}")[0][0] for table in ("Event", "Execution"))
    running = reader.rows(f"select id from Execution where {RUNNING}")
    pinned = _property_rows(reader, PINNED)
    return Seen(
        event or 0,
        execution or 0,
        frozenset(row[0] for row in running),
        frozenset(id_ for id_, value in pinned if value),
    )


def _executions(reader: Reader) -> dict[int, Execution]:
    contexts = {
        id_: (kind, name)
        for id_, kind, name in reader.rows(
            "select c.id, t.name, c.name from Context c join Type t on t.id = c.type_id"
            " where t.name in ('pipeline', 'pipeline_run', 'node')"
        )
    }
    of: dict[int, dict[str, set[Any]]] = defaultdict(lambda: defaultdict(set))
    for _, context, execution in _pages(reader, "Association", "id, context_id, execution_id"):
        if context in contexts:
            kind, name = contexts[context]
            of[execution][kind].add(context if kind == "pipeline_run" else name)
    found = {}
    columns = "id, last_known_state, create_time_since_epoch, last_update_time_since_epoch"
    for id_, state, created, updated in _pages(reader, "Execution", columns):
        pipelines, nodes = of[id_]["pipeline"], of[id_]["node"]
        found[id_] = Execution(
            id_,
            int(state or 0),
            int(created),
            int(updated),
            frozenset(pipelines),
            frozenset(of[id_]["pipeline_run"]),
            frozenset(
                node.removeprefix(f"{pipeline}.")
                for pipeline in pipelines
                for node in nodes
                if node.startswith(f"{pipeline}.")
            ),
        )
    return found


def _property_rows(reader: Reader, name: str) -> list[tuple[int, Any]]:
    rows = reader.rows(
        "select artifact_id, int_value, double_value, string_value, bool_value from ArtifactProperty"
        " where name = %s and is_custom_property = true",
        (name,),
    )
    return [(id_, next((v for v in values if v is not None), None)) for id_, *values in rows]


def _pages(reader: Reader, table: str, columns: str) -> Iterator[Any]:
    last = 0
    while page := reader.rows(f"select {columns} from {table} where id > {last} order by id limit {_PAGE}"):
        yield from page
        last = page[-1][0]
