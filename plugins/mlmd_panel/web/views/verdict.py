"""The page that says why a run's model was blessed or not, and what other thresholds would have said."""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated, Any, Literal

from fastapi import Query

from mlmd_panel.errors import NotFound, PayloadError
from mlmd_panel.evaluation import rejudge as rejudging
from mlmd_panel.evaluation import threshold_edits
from mlmd_panel.evaluation import verdict as verdicts
from mlmd_panel.evaluation.evidence import PASSED
from mlmd_panel.evaluation.paging import page_of
from mlmd_panel.evaluation.rejudge import Rejudged
from mlmd_panel.payloads.evaluation import eval_config, evaluation
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.records import Artifact, RunDetail
from mlmd_panel.store.run_summaries import RunSummary, evaluated, summaries, summary
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.choices import PageNumber
from mlmd_panel.web.request import Id, Text, Visit, Visiting

MAX_RUNS = 100
# Runs that are looked through for some with an evaluation.
MAX_SEARCHED = 400
BOUNDS_PER_PAGE = 100

# A configuration that compares with a baseline, as the Evaluator's property has it.
_COMPARES = re.compile(r'"(?:is_?[bB]aseline"\s*:\s*true|change_?[tT]hreshold")')


def verdict(
    visit: Visiting,
    id: Id,
    branch: Text = None,
    runs: Annotated[
        int, Query(ge=1, le=MAX_RUNS, description="Number of runs with an evaluation to judge again")
    ] = 25,
    inconclusive: Annotated[
        Literal["pass", "fail"], Query(description="What the rule with intervals makes of inconclusive runs")
    ] = "fail",
    bounds: PageNumber = 1,
) -> Answer:
    """Why a run's model was blessed or not, and what other thresholds would have said of past runs.

    Edited thresholds are parameters too: `edited=1`, then `0.lower`, `0.upper`, `0.absolute`, `0.relative`,
    `0.direction` and `0.remove` of the first threshold and so on, and `a0.metric`, `a0.slice`, `a0.kind` and `a0.bound`
    of the first one added.
    """
    with visit.store.connected() as store:
        found = store.run(id, visit.dags)
        (detail,) = store.run_details([found], None)
    row = summary(detail)
    judged = [_judged(visit, detail, one) for one in row.each]
    chosen = _chosen(row, judged, branch)
    data: dict[str, Any] = {
        "summary": row,
        "branch": chosen["summary"].name,
        "branches": [
            {"name": one["summary"].name, "summary": one["summary"], "sentence": one["sentence"]}
            for one in judged
            if row.branches
        ],
        "sentence": chosen["sentence"],
        "verdict": chosen["verdict"],
        "validation": chosen["payload"].validation if chosen["payload"] else None,
        "models": chosen["payload"].candidates if chosen["payload"] else (),
        "problems": chosen["problems"],
        "inconclusive": inconclusive,
        "runs": runs,
    }
    data |= _again(visit, chosen, runs, inconclusive)
    rows = chosen["verdict"].rows if chosen["verdict"] else ()
    only_html = {
        "shown": page_of(rows, bounds, BOUNDS_PER_PAGE),
        "edits": threshold_edits,
        "written": threshold_edits.written,
    }
    return Answer("verdict.html", f"Verdict of {found.label}", data, only_html)


def _judged(visit: Visit, detail: RunDetail, row: RunSummary) -> dict[str, Any]:
    """The verdict of a run or branch; why there is none, otherwise."""
    nothing = {"summary": row, "payload": None, "verdict": None, "problems": ()}
    if row.evaluation is None:
        return {**nothing, "sentence": "No verdict: this run has no evaluation."}
    try:
        payload = evaluation.read(row.evaluation, visit.panel.files, parts=("validation",))
    except (PayloadError, NotFound) as error:
        return {
            **nothing,
            "sentence": "No verdict: the evaluation cannot be read.",
            "problems": (str(error),),
        }
    cold = payload.baseline is None and _compares(detail, row.evaluation)
    found = verdicts.verdict(payload, row.blessed, cold)
    return {
        "summary": row,
        "payload": payload,
        "verdict": found,
        "sentence": found.sentence,
        "problems": payload.problems,
    }


def _compares(detail: RunDetail, artifact: Artifact) -> bool:
    """Whether the Evaluator's own configuration asks for a baseline."""
    makers = {
        event.execution_id for event in detail.events if event.artifact_id == artifact.id and event.is_output
    }
    said = [
        item.value
        for execution in detail.executions
        if execution.id in makers
        for item in execution.properties
        if item.name == "eval_config" and isinstance(item.value, str)
    ]
    return any(_COMPARES.search(text) for text in said)


def _chosen(row: RunSummary, judged: list[dict[str, Any]], branch: str | None) -> dict[str, Any]:
    if branch and row.branches:
        found = next((one for one in judged if one["summary"].name == branch), None)
        if found is None:
            known = ", ".join(repr(one["summary"].name) for one in judged)
            raise NotFound(f"Run '{row.run.label}' has no branch {branch!r}; it has {known}.")
        return found
    return next((one for one in judged if one["summary"].evaluation), judged[0])


def _again(visit: Visit, chosen: dict[str, Any], runs: int, inconclusive: str) -> dict[str, Any]:
    """The edited thresholds, and what they say of past runs."""
    nothing = {"thresholds": None, "rejudged": (), "counts": None, "searched_all": True, "problem": None}
    payload: EvaluationPayload | None = chosen["payload"]
    if payload is None:
        return nothing
    row: RunSummary = chosen["summary"]
    assert row.evaluation is not None  # it was read
    try:
        run = eval_config.message(visit.panel.files, row.evaluation.uri)
    except PayloadError as error:
        return {**nothing, "problem": str(error)}
    edited = threshold_edits.edit(run, threshold_edits.parse(visit.urls.query), payload)
    rows, searched_all = _past(visit, row, runs)
    found = rejudging.rejudge(visit.panel.files, rows, edited.config, payload.sole)
    return {
        "thresholds": edited,
        "rejudged": [{**_fields(one), "passes": one.passes(inconclusive)} for one in found],
        "counts": _counts(found, inconclusive),
        "searched_all": searched_all,
        "problem": None,
    }


def _fields(one: Rejudged) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}


def _counts(found: list[Rejudged], inconclusive: str) -> dict[str, int]:
    return {
        "runs": len(found),
        "recorded": sum(one.recorded is True for one in found),
        "by_rule": sum(one.by_rule == PASSED for one in found),
        "by_intervals": sum(one.passes(inconclusive) is True for one in found),
        "unknown": sum(one.by_rule == rejudging.UNKNOWN for one in found),
        "flipped": sum(
            one.recorded is not None
            and one.by_rule != rejudging.UNKNOWN
            and one.recorded != (one.by_rule == PASSED)
            for one in found
        ),
    }


def _past(visit: Visit, row: RunSummary, count: int) -> tuple[list[RunSummary], bool]:
    """The last runs of the pipeline that have an evaluation, of the same branch; and whether all were looked at."""
    if not row.run.pipeline:
        return [row], True
    found: list[RunSummary] = []
    after, searched = None, 0
    while len(found) < count and searched < MAX_SEARCHED:
        page = visit.store.runs(RunFilter(pipeline=row.run.pipeline), visit.dags, limit=MAX_RUNS, after=after)
        searched += len(page.rows)
        for one in summaries(visit.store, evaluated(visit.store, page.rows)):
            found += [part for part in one.each if part.name == row.name and part.evaluation]
        after = page.after
        if after is None:
            break
    shown = found[:count]
    if all(one.run.id != row.run.id for one in shown):
        shown.append(row)
    return shown, after is None or len(found) >= count
