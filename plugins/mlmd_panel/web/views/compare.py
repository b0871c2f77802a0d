"""The page that compares the evaluations of two runs."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import Query

from mlmd_panel.errors import NotFound, PayloadError
from mlmd_panel.evaluation import compare as comparing
from mlmd_panel.evaluation.key_metrics import default_keys, of_evaluation
from mlmd_panel.evaluation.paging import page_of
from mlmd_panel.evaluation.table import chosen_names, picked
from mlmd_panel.payloads.evaluation import evaluation
from mlmd_panel.payloads.evaluation.metrics import MetricKey
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.records import Run
from mlmd_panel.store.run_summaries import RunSummary, summaries
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.evaluation_query import Names, PageNumber
from mlmd_panel.web.request import OptionalId, Text, Visit, Visiting

MAX_ROWS = 2000
# Slices of only one side that are named above the table.
MAX_NAMED = 50
CHOICES = 60


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which rows of a comparison are shown."""

    metrics: tuple[str, ...]
    slices: str
    changed: bool
    worse: bool
    min_examples: int


def compare(
    visit: Visiting,
    base: OptionalId = None,
    other: OptionalId = None,
    base_branch: Text = None,
    other_branch: Text = None,
    metrics: Names = [],  # noqa: B006 - FastAPI copies it
    slices: Annotated[str, Query(max_length=1000, description="Part of the slice's name")] = "",
    changed: bool = False,
    worse: bool = False,
    min_examples: Annotated[int, Query(ge=0, le=10**12)] = 0,
    page: PageNumber = 1,
) -> Answer:
    """Metrics of two runs in each slice, with their difference; the default baseline is the previous run.

    The baseline is `base`, the candidate `other`. Of a run with several branches one is compared: the one requested,
    or the one with the same name as the other run's.
    """
    two = _runs(visit, base, other)
    branches = [row.branches if row else () for row in two]
    two = _branches(two, base_branch, other_branch)
    choices = _choices(visit, two)
    data: dict = {"base": two[0], "other": two[1], "comparison": None, "problem": None}
    choice = Choice((), slices.strip(), changed, worse, min_examples)
    only_html: dict = {"choices": choices, "asked": metrics}
    if two[0] and two[1]:
        try:
            base_read = _evaluation(visit, two[0], choice.slices)
            other_read = _evaluation(visit, two[1], choice.slices)
        except (NotFound, PayloadError) as error:
            data["problem"] = str(error)
        else:
            named = comparing.names(base_read, other_read)
            available = tuple(named.values())
            usual = [named[key] for key in _usual(visit, two) if key in named] or available[:5]
            names, unknown, _ = picked(chosen_names(metrics), available, usual, len(available))
            choice = dataclasses.replace(choice, metrics=names)
            found = comparing.compare(base_read, other_read, frozenset(names), choice.slices)
            shown = page_of([row for row in found.rows if _wanted(row, choice)], page, MAX_ROWS)
            only_html["shown"] = shown
            data["comparison"] = {
                "rows": shown.rows,
                "rows_in_all": shown.in_all,
                "first": shown.first,
                "page": shown.page,
                "pages": shown.pages,
                "slices": len(found.slices),
                "only_base": found.only_base[:MAX_NAMED],
                "only_base_in_all": len(found.only_base),
                "only_other": found.only_other[:MAX_NAMED],
                "only_other_in_all": len(found.only_other),
                "weighting_differs": found.weighting_differs,
                "models": [base_read.candidates, other_read.candidates],
                "problems": [base_read.problems, other_read.problems],
                "cut": found.cut,
                "available_metrics": available,
                "unknown_metrics": unknown,
            }
    data["choice"] = choice
    only_html |= {"choices": choices, "branches": branches}
    return Answer("compare.html", "Compare two evaluations", data, only_html)


def _branches(
    two: list[RunSummary | None], base_name: str | None, other_name: str | None
) -> list[RunSummary | None]:
    """Of each run the branch that is compared."""
    base, other = two
    if other is not None:
        other = _branch(other, other_name or base_name)
    if base is not None:
        base = _branch(base, base_name or (other.name if other else None))
    return [base, other]


def _branch(row: RunSummary, name: str | None) -> RunSummary:
    if not row.branches:
        return row
    if name:
        found = next((branch for branch in row.branches if branch.name == name), None)
        if found is None:
            known = ", ".join(repr(branch.name) for branch in row.branches)
            raise NotFound(f"Run '{row.run.label}' has no branch {name!r}; it has {known}.")
        return found
    return next((branch for branch in row.branches if branch.evaluation), row.branches[0])


def _usual(visit: Visit, two: list[RunSummary | None]) -> tuple[MetricKey, ...]:
    return default_keys(
        [of_evaluation(visit.panel.files, row.evaluation) for row in two if row and row.evaluation]
    )


def _runs(visit: Visit, base: int | None, other: int | None) -> list[RunSummary | None]:
    found: list[RunSummary | None] = [
        summaries(visit.store, [visit.store.run(id_, visit.dags)])[0] if id_ else None
        for id_ in (base, other)
    ]
    if found[1] and not found[0]:
        before = RunFilter(pipeline=found[1].run.pipeline)
        rows = visit.store.runs(before, visit.dags, limit=20, after=found[1].run.id).rows
        found[0] = next((row for row in summaries(visit.store, rows) if _has_evaluation(row)), None)
    return found


def _choices(visit: Visit, two: list[RunSummary | None]) -> list[Run]:
    """The last runs that have an evaluation, of the pipeline looked at when there is one, and the two themselves."""
    chosen = [row.run for row in two if row]
    wanted = RunFilter(pipeline=chosen[0].pipeline) if chosen else RunFilter()
    rows = summaries(visit.store, visit.store.runs(wanted, visit.dags, limit=CHOICES).rows)
    found = {run.id: run for run in [*chosen, *(row.run for row in rows if _has_evaluation(row))]}
    return sorted(found.values(), key=lambda run: -run.id)


def _has_evaluation(row: RunSummary) -> bool:
    return any(branch.evaluation for branch in row.each)


def _evaluation(visit: Visit, row: RunSummary, search: str) -> evaluation.EvaluationPayload:
    if row.evaluation is None:
        what = f"Branch '{row.name}' of run" if row.name else "Run"
        raise NotFound(
            f"{what} '{row.run.run_id}' has no evaluation: it has no Evaluator, or its Evaluator has not finished."
        )
    return evaluation.read(row.evaluation, visit.panel.files, parts=(), search=search)


def _wanted(row: comparing.Row, choice: Choice) -> bool:
    if choice.changed and not row.changed:
        return False
    if choice.worse and row.outcome != comparing.WORSE:
        return False
    known = [side.examples for side in (row.base, row.other) if side and side.examples is not None]
    return not choice.min_examples or not known or min(known) >= choice.min_examples
