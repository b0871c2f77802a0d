"""The page that compares the evaluations of runs with that of a baseline."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from mlmd_panel.errors import BadQuery, NotFound, PanelError, PayloadError
from mlmd_panel.evaluation import baseline as baselines
from mlmd_panel.evaluation import reports, verdicts
from mlmd_panel.evaluation.baseline import Chosen, branch_of, choose
from mlmd_panel.evaluation.changes.drift import Drift
from mlmd_panel.evaluation.changes.slice_features import drifted_for
from mlmd_panel.evaluation.compare import LEVEL, OVERALL, SCOPES
from mlmd_panel.evaluation.diff import Diff, Options, diffs
from mlmd_panel.evaluation.effects import MIN_EXAMPLES
from mlmd_panel.evaluation.row import Row
from mlmd_panel.evaluation.table import chosen_names
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.records import Run
from mlmd_panel.store.run_summaries import RunSummary, evaluated, summaries
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.choices import Names, PageNumber
from mlmd_panel.web.compared_rows import ORDERS, ComparedRows, Shown
from mlmd_panel.web.forest_scales import scales
from mlmd_panel.web.links import Urls
from mlmd_panel.web.request import Id, OptionalId, Text, Visit, Visiting

MAX_CANDIDATES = 20
# Of one candidate there are never more; more take too much of the web server's memory.
MAX_CSV_ROWS = 200_000
# Runs that the pickers offer.
CHOICES = 60
# Parameters that name the runs otherwise, or make no sense of one of several candidates alone.
_OF_SEVERAL = ("base", "other", "base_branch", "other_branch", "dag_id", "run_id", "unpin", "page")
Ids = Annotated[list[Id], Query(max_length=MAX_CANDIDATES, description="Runs to compare with the baseline")]
# One of a few names; `_check` says which there are.
Kind = Annotated[str, Query(max_length=200)]


@dataclasses.dataclass(frozen=True)
class Sides:
    """What is compared.

    Attributes:
      baseline: As chosen; None without a candidate.
      candidates: Runs or branches.
      branches: Names of the branches of the candidate's run; empty if it has none, and of several candidates.
    """

    baseline: Chosen | None
    candidates: tuple[RunSummary, ...]
    branches: tuple[str, ...] = ()


def compare(
    visit: Visiting,
    candidate: Ids = [],  # noqa: B006 - FastAPI copies it
    baseline: OptionalId = None,
    against: Kind = "",
    unpin: bool = False,
    baseline_branch: Text = None,
    candidate_branch: Text = None,
    base: OptionalId = None,
    other: OptionalId = None,
    base_branch: Text = None,
    other_branch: Text = None,
    dag_id: Text = None,
    run_id: Text = None,
    metrics: Names = [],  # noqa: B006 - FastAPI copies it
    slices: Annotated[str, Query(max_length=1000, description="Part of the slice's name")] = "",
    changed: bool = False,
    verdict: Kind = "",
    min_examples: Annotated[
        int, Query(ge=0, le=10**12, description="Leave out rows of fewer; changes no verdict")
    ] = 0,
    least: Annotated[
        int,
        Query(ge=0, le=10**12, description="With fewer examples on either side nothing is said of a change"),
    ] = MIN_EXAMPLES,
    level: Annotated[float, Query(ge=0.5, lt=1, description="Of the confidence intervals")] = LEVEL,
    scope: Kind = OVERALL,
    order: Kind = "rank",
    page: PageNumber = 1,
) -> Answer:
    """Compares up to 20 runs with a baseline, slice by slice and metric by metric, and says which changes are real.

    The baseline is the run `baseline`, or chosen by `against`: blessed (the last blessed before the candidate),
    previous, own (the candidate's own Evaluator baseline), pinned or run. Of a run with several branches one is
    compared: the one requested, or the one with the same name as the other run's. `base` and `other` are older names
    of `baseline` and `candidate`. Airflow's tasks name their run by `dag_id` and `run_id`.
    """
    _check(against, scope, order, verdict)
    candidates = list(dict.fromkeys(candidate or ([other] if other else [])))
    if dag_id and run_id and not candidates:
        candidates = [visit.store.run_named(dag_id, run_id, visit.dags).id]
    sides, cookies = _sides(
        visit,
        candidates,
        baseline or base,
        against,
        (baseline_branch or base_branch, candidate_branch or other_branch),
        unpin,
    )
    options = Options(level, scope, chosen_names(metrics), least, changes=len(candidates) == 1)
    shown = Shown(slices.strip(), changed, verdict, min_examples, order)
    found, problem = _diffs(visit, sides, options)
    read = [one for one in found if isinstance(one, Diff)]
    table = ComparedRows(read, shown)
    rows = table.page(page)
    of_each = [[cells[place] for cells in rows.rows] for place in range(len(read))]
    of_first = [row for row in of_each[0] if row] if read else []
    return Answer(
        "compare.html",
        "Compare evaluations",
        {
            "baseline": sides.baseline.run if sides.baseline else None,
            "against": sides.baseline.against if sides.baseline else against,
            "note": sides.baseline.note if sides.baseline else "",
            "candidates": sides.candidates,
            "choice": shown,
            "options": options,
            "problem": problem,
            "problems": [str(one) if isinstance(one, PanelError) else "" for one in found],
            "diffs": [
                reports.as_json(one, [row for row in column if row])
                for one, column in zip(read, of_each, strict=True)
            ],
            "page": rows.page,
            "pages": rows.pages,
            "rows_in_all": rows.in_all,
        },
        {
            "found": read,
            "shown": rows,
            "rows": of_first,
            "scales": scales(of_first),
            "drifted": drifted(read[0], of_first) if read else {},
            "alone": [_alone(visit.urls, one) for one in read],
            "asked": metrics,
            "usual": Options(),
            "choices": _choices(visit, sides),
            "branches": sides.branches,
            "baseline_branches": sides.baseline.branches if sides.baseline else (),
            "kinds": baselines.KINDS,
            "scopes": SCOPES,
            "orders": ORDERS,
            "verdicts": verdicts.ORDER,
        },
        csv=lambda: _csv(found, sides.candidates, table, problem),
        markdown=lambda: "\n".join(
            reports.as_markdown(one, 50) if isinstance(one, Diff) else f"{reports.escaped(str(one))}\n"
            for one in found
        ),
        cookies=cookies,
    )


def _check(against: str, scope: str, order: str, verdict: str) -> None:
    for name, value, known in (
        ("against", against, ("", *baselines.KINDS)),
        ("scope", scope, tuple(SCOPES)),
        ("order", order, tuple(ORDERS)),
        ("verdict", verdict, ("", *verdicts.ORDER)),
    ):
        if value not in known:
            raise BadQuery(f"{name} is one of {', '.join(filter(None, known))}, not {value!r}.")


def _sides(
    visit: Visit,
    candidates: Sequence[int],
    baseline: int | None,
    against: str,
    branches: tuple[str | None, str | None],
    unpin: bool,
) -> tuple[Sides, dict[str, str | None]]:
    """What is compared, and the cookies to set."""
    if not candidates:
        run = visit.store.run(baseline, visit.dags) if baseline else None
        chosen = Chosen(baselines.RUN, summaries(visit.store, [run])[0]) if run else None
        return Sides(chosen, ()), {}
    with visit.store.connected() as store:
        whole = summaries(store, [store.run(id_, visit.dags) for id_ in candidates])
    rows = tuple(branch_of(row, branches[1] or branches[0] or None) for row in whole)
    names = tuple(branch.name for branch in whole[0].branches) if len(whole) == 1 else ()
    oldest = min(rows, key=lambda row: row.run.id)  # so that the baseline is one before all of them
    cookie = pin_name(oldest.run.pipeline)
    pinned = None if unpin else visit.cookies.get(cookie, "")
    kind = against or (baselines.RUN if baseline else baselines.PINNED if pinned else baselines.BLESSED)
    run, note = _chosen_run(visit, kind, baseline, pinned)
    chosen = choose(visit.store, visit.dags, oldest, kind, run, branches[0])
    if note:
        chosen = dataclasses.replace(chosen, note=note)
    cookies: dict[str, str | None] = {}
    if unpin:
        cookies[cookie] = None
    elif kind == baselines.PINNED and run is not None:
        cookies[cookie] = str(run.id)
    return Sides(chosen, rows, names), cookies


def _chosen_run(visit: Visit, kind: str, baseline: int | None, pinned: str | None) -> tuple[Run | None, str]:
    """The run that the address or the cookie names, and a note if the cookie's is not there any more."""
    if baseline:
        return visit.store.run(baseline, visit.dags), ""
    if kind != baselines.PINNED or not pinned or not pinned.isdecimal():
        return None, ""
    try:
        return visit.store.run(int(pinned), visit.dags), ""
    except NotFound:
        return (
            None,
            "The pinned run is not in the store any more, or you may not see it: choose another baseline.",
        )


def pin_name(pipeline: str) -> str:
    """Name of the cookie that holds the pinned baseline of a pipeline."""
    return f"mlmd_baseline_{hashlib.sha256(pipeline.encode('utf-8', 'replace')).hexdigest()[:12]}"


def _diffs(visit: Visit, sides: Sides, options: Options) -> tuple[list[Diff | PanelError], str | None]:
    if sides.baseline is None or not sides.candidates:
        return [], None
    try:
        return diffs(
            visit.store, visit.panel.files, visit.dags, sides.baseline, sides.candidates, options, visit.code
        ), None
    except (NotFound, PayloadError) as error:
        return [], str(error)


def _alone(urls: Urls, one: Diff) -> str:
    """Address of one of several candidates alone, with all else as it was chosen.

    The baseline is named: the last blessed run before this candidate may be another than that before the oldest.
    """
    own = one.against == baselines.OWN
    baseline = {
        "baseline": None if own else one.baseline.run.id,
        "baseline_branch": None if own else one.baseline.name,
        "against": one.against if one.against in (baselines.OWN, baselines.PINNED) else baselines.RUN,
    }
    candidate = {"candidate": one.candidate.run.id, "candidate_branch": one.candidate.name}
    return urls.same(**baseline, **candidate, **dict.fromkeys(_OF_SEVERAL))


def _csv(
    found: Sequence[Diff | PanelError],
    candidates: Sequence[RunSummary],
    table: ComparedRows,
    problem: str | None,
) -> str:
    """All rows of all candidates; of one that cannot be compared a row that says why.

    Raises:
      BadQuery: There are too many.
    """
    read = [one for one in found if isinstance(one, Diff)]
    rows = [table.of(place) for place in range(len(read))]
    in_all = sum(map(len, rows))
    if in_all > MAX_CSV_ROWS:
        raise BadQuery(
            f"The CSV would have {in_all:,} rows, of at most {MAX_CSV_ROWS:,}: choose fewer candidates or metrics, or "
            "filter the rows."
        )
    unread = [
        (candidate, str(one))
        for candidate, one in zip(candidates, found, strict=False)
        if isinstance(one, PanelError)
    ]
    unread += [(candidate, problem) for candidate in candidates if problem]
    return reports.as_csv(zip(read, rows, strict=True), unread)


def drifted(found: Diff, rows: Sequence[Row]) -> dict[Slice, tuple[Drift, ...]]:
    """Drift of the features that define the slices that got worse."""
    if found.changes is None:
        return {}
    worse = {row.slice for row in rows if row.verdict in (verdicts.WORSE, verdicts.SUSPECT)}
    # Of a feature that drifted in several splits the most is said.
    return {
        slice_: tuple({one.feature: one for one in reversed(drifted_for(slice_, found.changes))}.values())
        for slice_ in worse
    }


def _choices(visit: Visit, sides: Sides) -> list[Run]:
    """The last runs that have an evaluation, of the pipeline looked at when there is one, and those compared."""
    chosen = [row.run for row in sides.candidates]
    if sides.baseline and sides.baseline.run:
        chosen.append(sides.baseline.run.run)
    wanted = RunFilter(pipeline=chosen[0].pipeline) if chosen else RunFilter()
    page = visit.store.runs(wanted, visit.dags, limit=CHOICES)
    found = {run.id: run for run in [*chosen, *evaluated(visit.store, page.rows)]}
    return sorted(found.values(), key=lambda run: -run.id)
