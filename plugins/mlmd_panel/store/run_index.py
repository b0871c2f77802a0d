"""An in-memory index of the run and node of each execution, which MLMD has no index for.

It takes some 50 bytes per execution and 400 per run; `index_reader.py` fills it and keeps it up to date.
"""

from __future__ import annotations

import bisect
import copy
from array import array
from collections.abc import Container, Iterator

from mlmd_panel.store.records import Run
from mlmd_panel.store.run_names import dag_and_run_id, may_be_shortened

# Types of contexts that are runs; `run` is from TFX's old launcher.
RUN, OLD_RUN = "pipeline_run", "run"


class RunIndex:
    """Runs, nodes, pipelines, and the executions of runs and nodes.

    Threads share an index that no longer changes; new rows are added to a copy.
    """

    def __init__(self) -> None:
        self.run_ids = array("q")
        self._created = array("q")
        self._names: list[str] = []
        self._pipelines: list[str] = []
        self._dags: list[str] = []
        self._types: list[str] = []
        # Executions in order, and the contexts of their runs and nodes, 0 for none.
        self._executions = array("q")
        self._runs = array("q")
        self._nodes = array("q")
        self.node_names: dict[int, str] = {}
        self.pipelines: dict[int, str] = {}
        # Number of executions of contexts of other types than TFX's; these are runs if they have any.
        self._others: dict[int, int] = {}
        # Contexts of other types with children; and those without a parent, which may still get one.
        self._parents: set[int] = set()
        self.orphans: dict[int, None] = {}
        # Runs whose name may be shortened and whose DAG is not known yet, and the ids of those where it is.
        self.unresolved: set[int] = set()
        self._resolved: dict[int, tuple[str, str]] = {}
        # One string object per name of a DAG, pipeline or type.
        self._same: dict[str, str] = {}
        # Number of executions with a node.
        self.nodes = 0
        # TFX's old launcher made a context for each execution of a node; their names are not kept here.
        self.has_old_nodes = False
        # Runs whose pipeline is not known yet, mostly because they have no executions.
        self.undecided: set[int] = set()

    def copy(self) -> RunIndex:
        """A copy that can be changed."""
        made = RunIndex()
        for name, value in vars(self).items():
            setattr(made, name, copy.copy(value))
        return made

    def add_pipeline(self, id_: int, name: str) -> None:
        """Adds a context of type `pipeline`."""
        self.pipelines[id_] = name

    def add_node(self, id_: int, name: str) -> None:
        """Adds a context of type `node`, named `<pipeline>.<node id>`."""
        self.node_names[id_] = name

    def add_run(self, id_: int, name: str, created: int, type_: str) -> None:
        """Adds a context of type `pipeline_run`, TFX's old `run`, named `<pipeline>.<run id>`, or another type."""
        position = bisect.bisect_left(self.run_ids, id_)
        if _is_at(self.run_ids, position, id_):
            return
        unresolved = type_ == RUN and may_be_shortened(name)
        dag_id = dag_and_run_id(name)[0] if type_ == RUN and not unresolved else ""
        self.run_ids.insert(position, id_)
        self._created.insert(position, created)
        self._names.insert(position, name)
        self._dags.insert(position, self._same.setdefault(dag_id, dag_id))
        self._pipelines.insert(position, "")
        self._types.insert(position, self._same.setdefault(type_, type_))
        if type_ not in (RUN, OLD_RUN):
            self._others[id_] = 0
            self.orphans[id_] = None
        else:
            self.undecided.add(id_)
        if unresolved:
            self.unresolved.add(id_)

    def add_parent(self, id_: int, parent: int, name: str) -> bool:
        """Adds the parent of a context of another type than TFX's; the parent's name is used as its pipeline.

        Returns:
          Whether the parent's executions may be the child's too, so that the child's must be added.
        """
        if id_ in self.orphans:
            del self.orphans[id_]
            self.decide(id_, name)
        self._parents.add(parent)
        return bool(self._others.get(parent))

    def resolve(self, run: int, dag_id: str, run_id: str) -> None:
        """Sets the DAG id and run id of a run whose name may be shortened, from a task instance."""
        position = bisect.bisect_left(self.run_ids, run)
        self._dags[position] = self._same.setdefault(dag_id, dag_id)
        self._resolved[run] = (dag_id, run_id)
        self.unresolved.discard(run)

    def would_change(self, execution: int, run: int, node: int) -> bool:
        """Whether `add_member` would change anything."""
        of, at = self.member(execution)
        return node > at or self._rank(run) > self._rank(of)

    def _rank(self, run: int) -> tuple[int, int]:
        """Of an execution's runs the one with the highest rank is used: TFX's, or the innermost, newest one."""
        return (0 if not run else 3 if run not in self._others else 1 + (run not in self._parents), run)

    def add_member(self, execution: int, run: int = 0, node: int = 0) -> None:
        """Adds an execution to the contexts of a run and of a node; 0 for none."""
        self.has_old_nodes |= bool(node) and node not in self.node_names
        position = bisect.bisect_left(self._executions, execution)
        if not _is_at(self._executions, position, execution):
            self._executions.insert(position, execution)
            self._runs.insert(position, 0)
            self._nodes.insert(position, 0)
        self.nodes += bool(node) and not self._nodes[position]
        before = self._runs[position]
        if self._rank(run) > self._rank(before):
            self._runs[position] = run
            for other, change in ((run, 1), (before, -1)):
                if other in self._others:
                    self._others[other] += change
        self._nodes[position] = max(node, self._nodes[position])

    def decide(self, run: int, pipeline: str) -> None:
        """Sets the pipeline of a run."""
        position = bisect.bisect_left(self.run_ids, run)
        self._pipelines[position] = self._same.setdefault(pipeline, pipeline)
        self.undecided.discard(run)

    def knows(self, context: int) -> bool:
        """Whether the context of a pipeline, run or node is in the index."""
        return context in self.pipelines or context in self.node_names or self.run(context) is not None

    def run(self, id_: int) -> Run | None:
        """A run by the id of its context."""
        position = bisect.bisect_left(self.run_ids, id_)
        if not _is_at(self.run_ids, position, id_):
            return None
        return self._run(position)

    def is_run(self, context: int) -> bool:
        """Whether a context is a run; one of another type than TFX's is if it has executions."""
        position = bisect.bisect_left(self.run_ids, context)
        return _is_at(self.run_ids, position, context) and self._is_listed(position)

    def name(self, run: int) -> str:
        """Name of a run's context."""
        return self._names[bisect.bisect_left(self.run_ids, run)]

    def member(self, execution: int) -> tuple[int, int]:
        """Contexts of the run and node of an execution; 0 for none."""
        position = bisect.bisect_left(self._executions, execution)
        if not _is_at(self._executions, position, execution):
            return 0, 0
        return self._runs[position], self._nodes[position]

    def visible(self, execution: int, dags: frozenset[str] | None) -> bool:
        """Whether a user may see an execution; those of no DAG are for users who may see everything."""
        if dags is None:
            return True
        run = self.member(execution)[0]
        return bool(run) and self.run_visible(run, dags)

    def run_visible(self, id_: int, dags: frozenset[str] | None) -> bool:
        """Whether a user may see a run of this index."""
        return dags is None or self._is_of(bisect.bisect_left(self.run_ids, id_), dags)

    def named(self, dag_id: str, run_id: str, dags: frozenset[str] | None) -> Run | None:
        """The newest run with these ids of Airflow, if the user may see it."""
        for position in range(len(self.run_ids) - 1, -1, -1):
            if self._dag(position) == dag_id and self._run_id(position) == run_id:
                if dags is None or self._is_of(position, dags):
                    return self._run(position)
        return None

    def runs(
        self,
        dags: frozenset[str] | None,
        pipeline: str = "",
        dag_id: str = "",
        since: int | None = None,
        until: int | None = None,
        text: str = "",
        name: str = "",
        type_: str = "",
        before: int | None = None,
        also: Container[int] = (),
    ) -> Iterator[int]:
        """Ids of runs, newest first, of those the user may see.

        Args:
          text: Somewhere in the name or the pipeline's.
          name: Somewhere in the name.
          type_: Type of their contexts.
          also: Runs that have the text elsewhere.
          before: Only lower ids.
        """
        text, name = text.casefold(), name.casefold()
        end = len(self.run_ids) if before is None else bisect.bisect_left(self.run_ids, before)
        for position in range(end - 1, -1, -1):
            if (
                (dags is None or self._is_of(position, dags))
                and (not dag_id or self._dag(position) == dag_id)
                and self._is_listed(position)
                and (not type_ or self._types[position] == type_)
                and (not pipeline or self._pipelines[position] == pipeline)
                and (since is None or self._created[position] >= since)
                and (until is None or self._created[position] < until)
                and (not text or self._has(position, text) or self.run_ids[position] in also)
                and (not name or self._is_called(position, name) or self.run_ids[position] in also)
            ):
                yield self.run_ids[position]

    def members(
        self, runs: Container[int] | None, nodes: Container[int] | None, before: int | None
    ) -> Iterator[int]:
        """Executions, newest first, of these runs and of these nodes' contexts; None for any."""
        end = len(self._executions) if before is None else bisect.bisect_left(self._executions, before)
        for position in range(end - 1, -1, -1):
            if (runs is None or self._runs[position] in runs) and (
                nodes is None or self._nodes[position] in nodes
            ):
                yield self._executions[position]

    def summary(self, dags: frozenset[str] | None) -> dict[str, tuple[set[str], int, int]]:
        """By pipeline: its DAG ids, how many runs it has, and the newest one; of runs that the user may see."""
        found: dict[str, tuple[set[str], int, int]] = {}
        for position, id_ in enumerate(self.run_ids):
            if self._is_listed(position) and (dags is None or self._is_of(position, dags)):
                ids, count, _ = found.get(self._pipelines[position], (set(), 0, 0))
                ids.add(self._dag(position))
                found[self._pipelines[position]] = (ids, count + 1, id_)
        return found

    def types(self, dags: frozenset[str] | None) -> set[str]:
        """Of the contexts that are runs, of those that the user may see."""
        known = {RUN, OLD_RUN} & set(self._types)
        if dags is not None:  # runs of other types belong to no DAG
            return {type_ for type_ in known if any(self.runs(dags, type_=type_))}
        others = [id_ for id_, count in self._others.items() if count]
        found = {self._types[bisect.bisect_left(self.run_ids, id_)] for id_ in others}
        return found | known

    def _dag(self, position: int) -> str:
        """The DAG of a run; that of another type than TFX's belongs to none, whatever its pipeline is called."""
        id_ = self.run_ids[position]
        if id_ in self._others or id_ in self.unresolved:
            return ""
        return self._dags[position] or self._pipelines[position]

    def _is_of(self, position: int, dags: frozenset[str]) -> bool:
        dag = self._dag(position)
        return bool(dag) and dag in dags

    def _is_listed(self, position: int) -> bool:
        return self._others.get(self.run_ids[position]) != 0

    def _has(self, position: int, text: str) -> bool:
        return self._is_called(position, text) or text in self._pipelines[position].casefold()

    def _is_called(self, position: int, text: str) -> bool:
        names = self._resolved.get(self.run_ids[position])
        name = self._names[position] if names is None else ":".join(names)
        return text in name.casefold()

    def _run_id(self, position: int) -> str:
        id_, name = self.run_ids[position], self._names[position]
        if id_ in self._resolved:
            return self._resolved[id_][1]
        if self._dags[position]:
            return name[len(self._dags[position]) + 1 :]
        if self._types[position] == OLD_RUN and self._pipelines[position]:
            return name.removeprefix(f"{self._pipelines[position]}.")
        return name

    def _run(self, position: int) -> Run:
        return Run(
            self.run_ids[position],
            self._names[position],
            self._pipelines[position],
            self._dag(position),
            self._run_id(position),
            self._created[position],
            self._types[position],
        )


def _is_at(ids: array, position: int, id_: int) -> bool:
    return position < len(ids) and ids[position] == id_
