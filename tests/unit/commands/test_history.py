"""The table of a DAG's runs."""

from __future__ import annotations

from typing import Any

from include.tfx_airflow.commands import history

AUC = {"auc": {"value": 0.94791, "lower": 0.93, "upper": 0.96}}


def _examples(*spans: int) -> list[dict[str, Any]]:
    return [
        {"id": span, "type": "Examples", "uri": "u", "note": "", "span": span, "version": 0} for span in spans
    ]


def _task(name: str, outputs: dict[str, Any] | None = None, **summary: Any) -> dict[str, Any]:
    value = {"state": "executed", "outputs": outputs or {}, "summary": summary}
    return {"task": name, "state": "success", "seconds": 1.0, "value": value}


def _run(*tasks: dict[str, Any], state: str = "success") -> dict[str, Any]:
    return {
        "run_id": "r",
        "date": "2014-03-01T00:00:00+00:00",
        "state": state,
        "seconds": 71.6,
        "tasks": list(tasks),
    }


def test_run_is_told_by_span_window_metric_verdict_and_what_is_served() -> None:
    run = _run(
        {"task": "wait_for_span", "state": "success", "seconds": 0.1, "value": None},
        _task("group.SpanExampleGen", {"examples": _examples(201403)}),
        _task(
            "group.rolling_window",
            {"examples": _examples(201402, 201312, 201401), "newest": _examples(201403)},
        ),
        _task("group.Evaluator", metrics=AUC, blessed=True, failed_thresholds=[]),
        _task("group.Pusher", pushed="/srv/models/1795531050"),
    )
    [row] = history.rows(run)
    assert (row.span, row.window, row.blessed) == (201403, (201312, 201401, 201402), True)
    head, line = history.lines([row], "auc")
    assert head.split() == ["month", "span", "trained", "on", "auc", "model", "seconds", "pushed"]
    assert line.split() == [
        *("2014-03", "201403", "201312-201402", "(3", "spans)"),
        *("0.9479", "[0.9300,", "0.9600]", "BLESSED", "72", "1795531050"),
    ]


def test_rejected_model_shows_each_threshold_below_it() -> None:
    failed = ["auc 0.89 is below 0.9", "auc changed by -0.02; allowed: absolute -0.01"]
    run = _run(_task("Evaluator", metrics=AUC, blessed=False, failed_thresholds=failed))
    _, line, *notes = history.lines(history.rows(run), "auc")
    assert "NOT BLESSED" in line and line.endswith("-")
    assert [note.strip() for note in notes] == [f"threshold failed: {text}" for text in failed]


def test_run_without_an_evaluation_is_skipped_failed_or_running() -> None:
    states = [history.rows(_run(state=state))[0].state for state in ("success", "failed", "running")]
    assert states == ["skipped", "failed", "running"]
    [_, line] = history.lines(history.rows(_run()), "auc")
    assert line.split() == ["2014-03", "-", "-", "-", "skipped", "72", "-"]


def test_window_of_one_span_and_a_metric_without_an_interval() -> None:
    run = _run(
        _task("rolling_window", {"examples": _examples(201402), "newest": _examples(201403)}),
        _task("Evaluator", metrics={"auc": {"value": 0.5}}, blessed=True),
    )
    [_, line] = history.lines(history.rows(run), "auc")
    assert line.split()[:4] == ["2014-03", "201402", "201402", "0.5000"]


def test_each_copy_of_a_pipeline_has_a_row_of_its_own() -> None:
    eu, us = ({"auc": {"value": value}} for value in (0.75, 0.5))
    tasks = [
        _task("eu.Evaluator", metrics=eu, blessed=True),
        {**_task("each.train.Evaluator", metrics=us, blessed=False), "map_index": 3},
    ]
    rows = history.rows(_run(*tasks))
    assert [(row.copy, row.metrics, row.blessed) for row in rows] == [
        ("eu", eu, True),
        ("each.train[3]", us, False),
    ]
    head, first, second = history.lines(rows, "auc")
    assert head.split()[:3] == ["month", "copy", "span"]
    assert [line.split()[1] for line in (first, second)] == ["eu", "each.train[3]"]


def test_metric_that_is_not_a_number_is_told_as_such() -> None:
    run = _run(
        _task(
            "Evaluator",
            metrics={"auc": {"value": "NaN", "lower": "-Infinity", "upper": "NaN"}},
            blessed=False,
        )
    )
    [_, line] = history.lines(history.rows(run), "auc")
    assert "nan [-inf, nan]" in line


EVIDENCE = {
    "blessed": True,
    "verdict": "inconclusive",
    "decides": False,
    "passed": 3,
    "failed": 0,
    "inconclusive": 1,
    "reason": "1 of 4 checks is inconclusive: auc changed by -0.005.",
    "waiting_for": "",
}


def _judged(by_tfma: bool, **evidence: Any) -> list[history.Row]:
    failed = [] if by_tfma else ["auc changed by -0.005; allowed: absolute -0.004"]
    return history.rows(
        _run(
            _task("Evaluator", metrics=AUC, blessed=by_tfma, failed_thresholds=failed),
            _task("EvidenceGate", evidence={**EVIDENCE, **evidence}),
        )
    )


def test_both_verdicts_are_shown_and_the_one_that_is_only_recorded_in_parentheses() -> None:
    rows = _judged(False)
    assert (rows[0].blessed, rows[0].decision, rows[0].contradicted) == (False, False, True)
    head, line, *notes = history.lines(rows, "auc")
    assert "by TFMA" in head and "with evidence" in head and "model" not in head
    assert " NOT BLESSED " in line and "(BLESSED, inconclusive)" in line
    assert [note.strip() for note in notes] == [
        "threshold failed: auc changed by -0.005; allowed: absolute -0.004",
        "with evidence: 1 of 4 checks is inconclusive: auc changed by -0.005.",
    ]


def test_evidence_that_decides_is_the_decision() -> None:
    rows = _judged(False, decides=True)
    assert rows[0].decision is True and rows[0].contradicted
    line = history.lines(rows, "auc")[1]
    assert "(NOT BLESSED)" in line and " BLESSED, inconclusive " in line


def test_model_that_waits_for_a_human_says_so() -> None:
    rows = _judged(True, decides=True, blessed=False, waiting_for="human")
    _, line, note = history.lines(rows, "auc")
    assert "(BLESSED)" in line and "NOT BLESSED, inconclusive, waits for a human" in line
    assert note.strip().startswith("with evidence: 1 of 4")


def test_verdicts_that_agree_have_no_line_of_their_own_and_runs_before_the_gate_a_dash() -> None:
    agreed = _judged(True, verdict="passed", inconclusive=0)
    before = history.rows(_run(_task("Evaluator", metrics=AUC, blessed=True)))
    assert not agreed[0].contradicted and not before[0].contradicted
    lines = history.lines([*agreed, *before], "auc")
    assert len(lines) == 3 and "(BLESSED)" in lines[1] and lines[2].split()[-4:-2] == ["BLESSED", "-"]
