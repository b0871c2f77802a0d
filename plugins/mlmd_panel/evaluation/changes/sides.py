"""What each of the two runs is made of, by lineage: the model it judged, and what that model was made from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from mlmd_panel.errors import NotFound
from mlmd_panel.store.records import Artifact, Execution, Lineage, RunDetail
from mlmd_panel.store.run_summaries import RunSummary, branches_of, last_output, latest_executions
from mlmd_panel.store.store import Dags, Store

# An evaluation, its model, the transformed examples and those before them; one more for what stands between.
_GENERATIONS = 4
_LIMIT = 1000
_RESOLVER = "Resolver"
TRAINER, TRANSFORM = "Trainer", "Transform"


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two runs.

    Attributes:
      name: `baseline` or `candidate`.
      summary: The run or branch in short.
      detail: Its executions, events and artifacts, with all their properties.
      nodes: The last execution of each node, and by lineage what trained the judged model in another run.
      evaluator: The execution that made the evaluation, or None.
      evaluated: Examples that it read.
      model: The model that it judged, or the one that the run trained; None if there is none.
      baseline_model: The model that it compared with, or None.
      trainer: The execution that trained the model, or None.
      inputs: What the Trainer read, by channel.
      trained_on: Examples that the model was trained on, before any transformation.
      cut: There is more lineage than was read.
    """

    name: str
    summary: RunSummary
    detail: RunDetail
    nodes: dict[str, Execution]
    evaluator: Execution | None
    evaluated: tuple[Artifact, ...]
    model: Artifact | None
    baseline_model: Artifact | None
    trainer: Execution | None
    inputs: dict[str, tuple[Artifact, ...]]
    trained_on: tuple[Artifact, ...]
    cut: bool

    def made(self, type_name: str) -> dict[tuple[str, str, int], Artifact]:
        """Outputs of a type of the last execution of each node, by node, channel and place."""
        nodes = {e.id: e.node or e.label for e in latest_executions(self.detail.executions)}
        return {
            (nodes[event.execution_id], event.key, event.index): self.detail.artifacts[event.artifact_id]
            for event in self.detail.events
            if event.is_output and event.execution_id in nodes and event.artifact_id in self.detail.artifacts
            and self.detail.artifacts[event.artifact_id].type == type_name
        }  # fmt: skip

    @property
    def schema(self) -> Artifact | None:
        """The schema that the model was trained with, else one that the run used."""
        given = self.inputs.get("schema", ())
        others = [artifact for artifact in self.detail.artifacts.values() if artifact.type == "Schema"]
        return next(iter([*given, *others]), None)


def read(store: Store, dags: Dags, baseline: RunSummary, candidate: RunSummary) -> tuple[Side, Side]:
    """The two runs.

    Raises:
      NotFound: A branch is gone.
      StoreError: The store cannot be read.
    """
    details = store.run_details([baseline.run, candidate.run], None)
    two = (
        _Reading("baseline", baseline, _branch(details[0], baseline), store, dags),
        _Reading("candidate", candidate, _branch(details[1], candidate), store, dags),
    )
    missing = {id_ for one in two for id_ in one.graph.artifacts if id_ not in one.detail.artifacts}
    artifacts = store.artifact_properties(missing) if missing else {}
    return two[0].side(artifacts), two[1].side(artifacts)


def _branch(detail: RunDetail, summary: RunSummary) -> RunDetail:
    if not summary.name:
        return detail
    found = branches_of(detail).get(summary.name)
    if found is None:
        raise NotFound(f"Run '{summary.run.label}' has no branch {summary.name!r} any more.")
    return found


class _Reading:
    """Reads one side: first the graph above its evaluation, then what is in it."""

    def __init__(self, name: str, summary: RunSummary, detail: RunDetail, store: Store, dags: Dags):
        self.name, self.summary, self.detail = name, summary, detail
        self._store, self._dags = store, dags
        start = summary.evaluation or last_output(detail, "Model")
        self.start = start
        self.graph = Lineage({}, {}, (), False)
        if start is not None:
            self.graph = store.lineage(start.id, dags, up=_GENERATIONS, down=0, limit=_LIMIT)
        self._makers = {e.artifact_id: e.execution_id for e in reversed(self.graph.events) if e.is_output}

    def side(self, artifacts: dict[int, Artifact]) -> Side:
        """The side; `artifacts` are those of the graph that the run's details lack, with their properties."""
        self._artifacts = {**self.graph.artifacts, **artifacts, **self.detail.artifacts}
        evaluator = self._maker(self.start) if self.summary.evaluation else None
        judged = self._inputs(evaluator)
        model = next(iter(judged.get("model", ())), None)
        if model is None and not self.summary.evaluation:
            model = self.start
        trainer = self._maker(model) if model else None
        inputs = self._inputs(trainer)
        examples = [a for some in inputs.values() for a in some if a.type == "Examples"]
        trained_on = self._sources(examples)
        return Side(
            name=self.name,
            summary=self.summary,
            detail=self.detail,
            nodes=self._nodes([evaluator, trainer, *map(self._maker, examples)]),
            evaluator=self._known(evaluator),
            evaluated=tuple(a for some in judged.values() for a in some if a.type == "Examples"),
            model=model,
            baseline_model=next(iter(judged.get("baseline_model", ())), None),
            trainer=self._known(trainer),
            inputs=inputs,
            trained_on=trained_on,
            cut=self.graph.cut and len(self.graph.artifacts) + len(self.graph.executions) >= _LIMIT,
        )

    def _maker(self, artifact: Artifact | None) -> Execution | None:
        """The execution that made it, not one that took it from the cache; None if the user may not see it."""
        found = self.graph.executions.get(self._makers.get(artifact.id, 0)) if artifact else None
        return found if found is not None and not found.hidden else None

    def _inputs(self, execution: Execution | None) -> dict[str, tuple[Artifact, ...]]:
        events = [e for e in self.graph.events if execution and e.execution_id == execution.id and e.is_input]
        found: dict[str, list[Artifact]] = {}
        for event in sorted(events, key=lambda e: (e.key, e.index)):
            if event.artifact_id in self._artifacts:
                found.setdefault(event.key, []).append(self._artifacts[event.artifact_id])
        return {key: tuple(some) for key, some in found.items()}

    def _sources(self, examples: Iterable[Artifact]) -> tuple[Artifact, ...]:
        """The Examples that these were made from, and that were made from no others, by span."""
        left, seen, found = list(examples), set(), {}
        while left:
            artifact = left.pop()
            if artifact.id in seen:
                continue
            seen.add(artifact.id)
            above = [
                one
                for some in self._inputs(self._maker(artifact)).values()
                for one in some
                if one.type == "Examples"
            ]
            left += above
            if not above:
                found[artifact.id] = artifact
        return tuple(sorted(found.values(), key=lambda a: (number(a, "span") or 0, a.id)))

    def _nodes(self, by_lineage: Iterable[Execution | None]) -> dict[str, Execution]:
        own = {e.node or e.label: e for e in latest_executions(self.detail.executions)}
        for execution in by_lineage:
            if execution is not None and execution.node not in own:
                own[execution.node or execution.label] = self._store.execution(execution.id, self._dags)
        return {node: e for node, e in own.items() if component(e) != _RESOLVER}

    def _known(self, execution: Execution | None) -> Execution | None:
        """The run's own execution of that node if it took the result from the cache, with its properties."""
        if execution is None:
            return None
        return next((e for e in self.detail.executions if e.id == execution.id), execution)


def number(artifact: Artifact, name: str) -> int | None:
    """A property that is an integer; old TFX wrote text."""
    value = artifact.property(name)
    try:
        return int(value) if isinstance(value, (int, str)) else None
    except ValueError:
        return None


def component(execution: Execution) -> str:
    """Type of an execution in short, such as Trainer."""
    return execution.type.rpartition(".")[2]


def of_json(value: Any) -> Any:
    """The value of a property that holds JSON; None if it is none."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def property_of(execution: Execution | None, name: str) -> Any:
    """Value of an execution's property, or None."""
    found = [p for p in execution.properties if p.name == name] if execution else []
    return found[0].value if found else None
