"""Finds the run that a person names: by id, by Airflow's ids, or as the latest or last blessed one of a pipeline."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence

from mlmd_panel.errors import BadQuery, NotFound
from mlmd_panel.formats import counted
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.records import Run
from mlmd_panel.store.run_summaries import RunSummary, summaries
from mlmd_panel.store.store import Dags, Store

LATEST, LAST_BLESSED = "latest", "last-blessed"
# Runs of a pipeline that are looked through for one with an evaluation, newest first.
MOST_RUNS = 1000
_AT_ONCE = 50
_NAMED = 8
_PIPELINES = 20
_RELATIVE = re.compile(
    rf"(?:(?P<pipeline>.+)/)?(?P<what>{LATEST}|{LAST_BLESSED})(?:~(?P<back>[0-9]{{1,6}}))?"
)


@dataclasses.dataclass(frozen=True)
class Referred:
    """The run that a reference names.

    Attributes:
      run: The run.
      passed_over: Newer runs of its pipeline that were no candidates: without an evaluation, or not blessed.
    """

    run: RunSummary
    passed_over: int = 0

    @property
    def note(self) -> str:
        """A sentence about the newer runs, or ""."""
        if not self.passed_over:
            return ""
        runs = "newer run is" if self.passed_over == 1 else "newer runs are"
        return (
            f"Run {self.run.run.id} ('{self.run.run.label}') is meant; {self.passed_over} {runs} without an "
            "evaluation, or not blessed."
        )


def refer(store: Store, dags: Dags, text: str, pipeline: str = "") -> Referred:
    """The run that a reference names.

    Args:
      text: An id; `dag_id:run_id`; a run id, if it is the only one; `latest`, the newest run with an evaluation, or
        `latest~2`, the second before it; `last-blessed`. The last two may begin with the pipeline, as in `taxi/latest`.
      pipeline: The pipeline of `latest` and `last-blessed`. Not needed if only one has runs.

    Raises:
      BadQuery: There is no such run, or there are several; the message names which there are.
      StoreError: The store cannot be read.
    """
    text = text.strip()
    relative = _RELATIVE.fullmatch(text)
    if relative:
        name = pipeline_of(store, dags, text, relative["pipeline"] or pipeline)
        return _relative(store, dags, name, relative["what"], int(relative["back"] or 0))
    return Referred(summaries(store, [_named(store, dags, text)])[0])


def only_branch(run: RunSummary, name: str = "") -> RunSummary:
    """The branch of a run, or the run itself if it has none.

    Args:
      name: Name of the branch. Not needed if only one has an evaluation.

    Raises:
      BadQuery: There is no such branch, or there are several with an evaluation; the message names them.
    """
    known = ", ".join(repr(branch.name) for branch in run.branches)
    if not run.branches:
        if name:
            raise BadQuery(f"Run '{run.run.label}' has no branches, so none is named {name!r}.")
        return run
    found = [one for one in run.branches if one.name == name or (not name and one.evaluation)]
    if len(found) != 1:
        what = f"has no branch {name!r}" if name else f"has {len(found)} branches with an evaluation"
        raise BadQuery(f"Run '{run.run.label}' {what}; its branches are {known}.")
    return found[0]


def pipeline_of(store: Store, dags: Dags, text: str, name: str = "") -> str:
    """The pipeline of that name, or the only one with runs.

    Args:
      text: What it is needed for, for the message.
      name: May be empty.

    Raises:
      BadQuery: There is none, or there are several; the message names them.
    """
    known = [one.name for one in store.pipelines(dags) if one.runs]
    if name in known:
        return name
    if not name and len(known) == 1:
        return known[0]
    names = ", ".join(known[:_PIPELINES]) + (", ..." if len(known) > _PIPELINES else "") or "none with runs"
    if name:
        raise BadQuery(f"There is no pipeline {name!r} in the store; it has {names}.")
    if not known:
        raise BadQuery(f"{text!r} names no run: the store has none.")
    raise BadQuery(
        f"{text!r} may be of any of {len(known)} pipelines: {names}. Name one by --pipeline, or as in {known[0]}/latest."
    )


def newest(store: Store, dags: Dags, pipeline: str) -> Iterator[RunSummary]:
    """The runs of a pipeline, newest first, up to MOST_RUNS; they are read as they are asked for."""
    after, left = None, MOST_RUNS
    while left:
        page = store.runs(RunFilter(pipeline=pipeline), dags, limit=min(_AT_ONCE, left), after=after)
        yield from summaries(store, page.rows)
        after, left = page.after, left - len(page.rows)
        if after is None:
            return


def _named(store: Store, dags: Dags, text: str) -> Run:
    if text.isascii() and text.isdecimal():
        try:
            return store.run(int(text), dags)
        except NotFound as error:
            raise _unknown(store, dags, text, str(error)) from None
    dag_id, _, run_id = text.partition(":")
    try:
        if run_id:
            return store.run_named(dag_id, run_id, dags)
    except NotFound:
        pass  # a run id may have colons too
    similar = store.runs(RunFilter(text=text), dags, limit=_AT_ONCE).rows if text else ()
    same = [run for run in similar if text in (run.run_id, run.name, run.label)]
    if len(same) > 1:
        raise BadQuery(f"{text!r} names {len(same)} runs: {_list(same)}. Name one by its id.")
    if not same:
        raise _unknown(store, dags, text, f"There is no run {text!r} in the store.", similar)
    return same[0]


def _unknown(store: Store, dags: Dags, text: str, problem: str, similar: Sequence[Run] = ()) -> BadQuery:
    runs = similar or store.runs(RunFilter(), dags, limit=_NAMED).rows
    which = f"Those that contain {text!r}" if similar else "The newest"
    known = f"{which}: {_list(runs)}." if runs else "It has no runs."
    return BadQuery(f"{problem} {known}")


def _list(runs: Sequence[Run]) -> str:
    named = [f"{run.id} ({run.dag_id or run.pipeline}:{run.label})" for run in runs[:_NAMED]]
    return ", ".join(named) + (", ..." if len(runs) > _NAMED else "")


def _relative(store: Store, dags: Dags, pipeline: str, what: str, back: int) -> Referred:
    passed, looked, fitting = 0, 0, 0
    for row in newest(store, dags, pipeline):
        looked += 1
        if not any(one.evaluation and (one.blessed or what == LATEST) for one in row.each):
            passed += 1
            continue
        if fitting == back:
            return Referred(row, passed)
        fitting += 1
    have = "have an evaluation" if what == LATEST else "are blessed"
    among = (
        f"the newest {looked:,} runs, as far as is looked," if looked == MOST_RUNS else counted(looked, "run")
    )
    reference = f"{pipeline}/{what}{f'~{back}' if back else ''}"
    raise BadQuery(f"{reference} names no run: of {among} of {pipeline!r}, {fitting} {have}.")
