"""Chooses what a run's evaluation is compared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from mlmd_panel.errors import NotFound
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.records import Run
from mlmd_panel.store.run_summaries import RunSummary, evaluated, summaries
from mlmd_panel.store.store import Store

PREVIOUS, BLESSED, OWN, PINNED, RUN = "previous", "blessed", "own", "pinned", "run"
KINDS = {
    BLESSED: "last blessed before it",
    PREVIOUS: "the run before it",
    OWN: "its own Evaluator's baseline",
    PINNED: "pinned",
    RUN: "a run",
}
# Most often one of the first few runs before was blessed, and few rows are read fast; no more are searched than these.
_STEPS = (4, 16, 64, 200)


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A baseline.

    Attributes:
      against: How it was chosen, one of KINDS.
      run: Run or branch; of `own` the candidate itself; None if there is none.
      note: What was not as asked for, such as that no run before was blessed; or empty.
      branches: Names of the branches of a run that was named; empty if it has none.
    """

    against: str
    run: RunSummary | None
    note: str = ""
    branches: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Before:
    """Runs before a candidate.

    Attributes:
      previous: The last with an evaluation; None if there is none.
      blessed: The last with an evaluation whose model was blessed; None if there is none.
      complete: All runs before were looked at.
    """

    previous: RunSummary | None
    blessed: RunSummary | None
    complete: bool

    def last_blessed(self) -> Chosen:
        """The last blessed run as the baseline; without one the run before, with a note."""
        if self.blessed:
            return Chosen(BLESSED, self.blessed)
        seen = (
            "No earlier run of this pipeline" if self.complete else f"None of the {sum(_STEPS)} runs before"
        )
        if self.previous:
            note = f"{seen} has a blessed model; this is the last one that was evaluated."
            return Chosen(PREVIOUS, self.previous, note)
        return Chosen(BLESSED, None, f"{seen} has an evaluation.")


def choose(
    store: Store,
    dags: frozenset[str] | None,
    candidate: RunSummary,
    against: str = BLESSED,
    run: Run | None = None,
    branch: str | None = None,
) -> Chosen:
    """The baseline for a run or branch.

    Args:
      store: The store.
      dags: DAGs the user may read; None means all.
      candidate: What is compared with it.
      against: How to choose, one of KINDS.
      run: The run, if `against` is pinned or run.
      branch: Its branch; None for the one with the candidate's name.

    Raises:
      NotFound: There is no such branch.
    """
    if against == OWN:
        return Chosen(OWN, candidate)
    if against in (RUN, PINNED):
        if run is None:
            return Chosen(against, None, "Choose the run to compare with.")
        (summary,) = summaries(store, [run])
        names = tuple(one.name for one in summary.branches)
        return Chosen(against, branch_of(summary, branch or candidate.name), branches=names)
    found = before(store, dags, candidate)
    if against == PREVIOUS:
        note = "" if found.previous else "No earlier run of this pipeline has an evaluation."
        return Chosen(PREVIOUS, found.previous, note)
    return found.last_blessed()


def before(store: Store, dags: frozenset[str] | None, candidate: RunSummary) -> Before:
    """The runs of the pipeline that were recorded before a run or branch, and can be its baseline."""
    previous: RunSummary | None = None
    after: int | None = candidate.run.id
    if not candidate.run.pipeline:
        return Before(None, None, True)
    with store.connected() as connected:
        for limit in _STEPS:
            page = connected.runs(RunFilter(pipeline=candidate.run.pipeline), dags, limit=limit, after=after)
            for row in _summaries(connected, evaluated(connected, page.rows)):
                found = _same_branch(row, candidate.name)
                if found is None or found.evaluation is None:
                    continue
                previous = previous or found
                if found.blessed:
                    return Before(previous, found, True)
            after = page.after
            if after is None:
                return Before(previous, None, True)
    return Before(previous, None, False)


def _summaries(store: Store, runs: Sequence[Run]) -> Iterator[RunSummary]:
    """Summaries of runs, of the first few at once: most often no more are asked for."""
    yield from summaries(store, runs[: _STEPS[0]])
    yield from summaries(store, runs[_STEPS[0] :])


def branch_of(row: RunSummary, name: str | None) -> RunSummary:
    """The branch of a run; the first with an evaluation if no name is given.

    Raises:
      NotFound: The run has branches, and none of that name.
    """
    if not row.branches:
        return row
    if name:
        found = _same_branch(row, name)
        if found is None:
            known = ", ".join(repr(branch.name) for branch in row.branches)
            raise NotFound(f"Run '{row.run.label}' has no branch {name!r}; it has {known}.")
        return found
    return next((branch for branch in row.branches if branch.evaluation), row.branches[0])


def _same_branch(row: RunSummary, name: str) -> RunSummary | None:
    if not row.branches:
        return row
    return next((branch for branch in row.branches if branch.name == name), None)
