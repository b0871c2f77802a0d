"""Which run and node each execution belongs to, in memory: MLMD has no index that tells it.

Some 50 bytes an execution and 400 a run; `index_reader.py` fills it and keeps it up to date.
"""

from __future__ import annotations

import bisect
import copy
import datetime
import re
from array import array
from collections.abc import Container, Iterator

from mlmd_panel.models import Run

_DAG_ID = re.compile(r"[\w.-]+")


def dag_and_run_id(name: str) -> tuple[str, str]:
    """Of a name `<dag_id>:<run_id>`; the DAG's is empty of a name that only looks so, as TFX's LocalDagRunner gives.

    That one names a run by the time, such as 2026-01-31T12:00:00.123456.
    """
    dag_id, colon, run_id = name.partition(":")
    if not colon or not _DAG_ID.fullmatch(dag_id):
        return "", name
    try:
        datetime.datetime.fromisoformat(name)
    except ValueError:
        return dag_id, run_id
    return "", name


class RunIndex:
    """Runs, nodes, pipelines, and the executions of runs and nodes.

    Readers of many threads share one that nobody changes any more; what comes is added to a copy.
    """

    def __init__(self) -> None:
        self.run_ids = array("q")
        self._created = array("q")
        self._names: list[str] = []
        self._pipelines: list[str] = []
        self._dags: list[str] = []
        # Executions in order, with the contexts of their run and their node, 0 for none.
        self._executions = array("q")
        self._runs = array("q")
        self._nodes = array("q")
        self.node_names: dict[int, str] = {}
        self.pipelines: dict[int, str] = {}
        # Runs of TFX's old launcher.
        self._dotted: set[int] = set()
        # One string for each name of a DAG or pipeline, however many runs have it.
        self._same: dict[str, str] = {}
        # Nodes of TFX's old launcher have a context for each execution, whose names are not kept here.
        self.has_old_nodes = False
        # Runs whose pipeline is not known yet, mostly because they have no execution.
        self.undecided: set[int] = set()

    def copy(self) -> RunIndex:
        """Another one with the same in it."""
        made = RunIndex()
        for name, value in vars(self).items():
            setattr(made, name, copy.copy(value))
        return made

    def add_pipeline(self, id_: int, name: str) -> None:
        """A context of type `pipeline`."""
        self.pipelines[id_] = name

    def add_node(self, id_: int, name: str) -> None:
        """A context of type `node`, named `<pipeline>.<node id>`."""
        self.node_names[id_] = name

    def add_run(self, id_: int, name: str, created: int, dotted: bool) -> None:
        """A context of type `pipeline_run`, or of TFX's old type `run`, named `<pipeline>.<run id>`."""
        position = bisect.bisect_left(self.run_ids, id_)
        if _is_at(self.run_ids, position, id_):
            return
        dag_id = "" if dotted else dag_and_run_id(name)[0]
        self.run_ids.insert(position, id_)
        self._created.insert(position, created)
        self._names.insert(position, name)
        self._dags.insert(position, self._same.setdefault(dag_id, dag_id))
        self._pipelines.insert(position, "")
        self.undecided.add(id_)
        if dotted:
            self._dotted.add(id_)

    def add_member(self, execution: int, run: int = 0, node: int = 0) -> None:
        """An execution belongs to the contexts of a run and of a node; 0 for either says nothing."""
        self.has_old_nodes |= bool(node) and node not in self.node_names
        position = bisect.bisect_left(self._executions, execution)
        if not _is_at(self._executions, position, execution):
            self._executions.insert(position, execution)
            self._runs.insert(position, 0)
            self._nodes.insert(position, 0)
        # Of nested runs the inner one, which was made later.
        self._runs[position] = max(run, self._runs[position])
        self._nodes[position] = max(node, self._nodes[position])

    def decide(self, run: int, pipeline: str) -> None:
        """The pipeline of a run."""
        position = bisect.bisect_left(self.run_ids, run)
        self._pipelines[position] = self._same.setdefault(pipeline, pipeline)
        self.undecided.discard(run)

    def knows(self, context: int) -> bool:
        """Whether a pipeline's, run's or node's context is here."""
        return context in self.pipelines or context in self.node_names or self.run(context) is not None

    def run(self, id_: int) -> Run | None:
        """A run by the id of its context."""
        position = bisect.bisect_left(self.run_ids, id_)
        if not _is_at(self.run_ids, position, id_):
            return None
        return self._run(position)

    def name(self, run: int) -> str:
        """Name of a run's context."""
        return self._names[bisect.bisect_left(self.run_ids, run)]

    def member(self, execution: int) -> tuple[int, int]:
        """Contexts of the run and node of an execution, 0 for none."""
        position = bisect.bisect_left(self._executions, execution)
        if not _is_at(self._executions, position, execution):
            return 0, 0
        return self._runs[position], self._nodes[position]

    def visible(self, execution: int, dags: frozenset[str] | None) -> bool:
        """Whether a user may see an execution; one in no run only who may see everything."""
        if dags is None:
            return True
        run = self.member(execution)[0]
        return bool(run) and self.run_visible(run, dags)

    def run_visible(self, id_: int, dags: frozenset[str] | None) -> bool:
        """Whether a user may see a run of this index."""
        return dags is None or self._dag(bisect.bisect_left(self.run_ids, id_)) in dags

    def runs(
        self,
        dags: frozenset[str] | None,
        pipeline: str = "",
        dag_id: str = "",
        since: int | None = None,
        until: int | None = None,
        text: str = "",
        name: str = "",
        before: int | None = None,
    ) -> Iterator[int]:
        """Ids of runs, newest first, of those the user may see.

        Args:
          text: Somewhere in the name or the pipeline's.
          name: Somewhere in the name.
          before: Only lower ids.
        """
        text, name = text.casefold(), name.casefold()
        end = len(self.run_ids) if before is None else bisect.bisect_left(self.run_ids, before)
        for position in range(end - 1, -1, -1):
            dag = self._dag(position)
            if (
                (dags is None or dag in dags)
                and (not dag_id or dag == dag_id)
                and (not pipeline or self._pipelines[position] == pipeline)
                and (since is None or self._created[position] >= since)
                and (until is None or self._created[position] < until)
                and (not text or self._has(position, text))
                and (not name or name in self._names[position].casefold())
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
            dag = self._dag(position)
            if dags is None or dag in dags:
                ids, count, _ = found.get(self._pipelines[position], (set(), 0, 0))
                ids.add(dag)
                found[self._pipelines[position]] = (ids, count + 1, id_)
        return found

    def _dag(self, position: int) -> str:
        return self._dags[position] or self._pipelines[position]

    def _has(self, position: int, text: str) -> bool:
        return text in self._names[position].casefold() or text in self._pipelines[position].casefold()

    def _run(self, position: int) -> Run:
        name, dag_id, pipeline = self._names[position], self._dags[position], self._pipelines[position]
        id_, run_id = self.run_ids[position], name
        if dag_id:
            run_id = name[len(dag_id) + 1 :]
        elif id_ in self._dotted and pipeline:
            run_id = name.removeprefix(f"{pipeline}.")
        return Run(id_, name, pipeline, dag_id or pipeline, run_id, self._created[position])


def _is_at(ids: array, position: int, id_: int) -> bool:
    return position < len(ids) and ids[position] == id_
