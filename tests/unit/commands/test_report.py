"""The report of a run as text."""

from __future__ import annotations

from typing import Any

from include.tfx_airflow.commands.report import lines


def _task(
    name: str, state: str | None, seconds: float, value: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"task": name, "state": state, "seconds": seconds, "value": value}


def _value(state: str, outputs: dict[str, Any], **summary: Any) -> dict[str, Any]:
    return {"state": state, "execution_id": 1, "outputs": outputs, "summary": summary}


def _artifact(number: int, kind: str, note: str = "") -> dict[str, Any]:
    return {"id": number, "type": kind, "uri": f"/srv/{number}", "note": note}


def _run(*tasks: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": "manual", "state": "success", "tasks": list(tasks)}


def test_a_row_for_each_artifact_under_its_task() -> None:
    gen = _value("executed", {"examples": [_artifact(1, "Examples", "span 0, version 0")]})
    split = _value("cached", {"a": [_artifact(2, "Examples")], "b": [_artifact(3, "Schema")]})
    text = lines(_run(_task("Gen", "success", 21.36, gen), _task("Split", "success", 0.5, split)))
    assert [line for line in text if line] == [
        "node   state     seconds  made",
        "Gen    executed     21.4  Examples #1 (span 0, version 0)",
        "Split  cached        0.5  Examples #2",
        "                          Schema #3",
    ]


def test_tasks_that_are_no_nodes_and_failed_ones_show_airflows_state() -> None:
    old = _value("executed", {"model": [_artifact(1, "Model")]})
    text = lines(_run(_task("notify", "success", 1, None), _task("Trainer", "failed", 2, old)))
    states = [line.split()[1] for line in text[1:3]]
    assert states == ["success", "failed"]


def test_task_that_never_started_has_a_dash_for_its_state() -> None:
    assert lines(_run(_task("Late", None, 0.0)))[1].split() == ["Late", "-", "0.0"]


def test_evaluation_says_metrics_verdict_failures_and_where_it_was_pushed() -> None:
    evaluator = _value(
        "executed",
        {},
        metrics={"auc": {"value": 0.91, "lower": 0.9, "upper": 0.92}, "loss": {"value": 1.5}},
        blessed=False,
        failed_thresholds=["auc 0.91 is below 0.95"],
    )
    pusher = _value("executed", {}, pushed="")
    text = "\n".join(
        lines(_run(_task("Evaluator", "success", 1, evaluator), _task("Pusher", "success", 1, pusher)))
    )
    assert "auc                            0.9100  [0.9000, 0.9200]" in text
    assert "loss                           1.5000\n" in text
    assert "Model: NOT BLESSED\n  threshold failed: auc 0.91 is below 0.95" in text
    assert "Pushed: no" in text


def test_first_model_is_said_to_be_blessed_without_a_comparison() -> None:
    summary = _value("executed", {}, blessed=True, rubber_stamp=True, pushed="/srv/serving/1")
    text = "\n".join(lines(_run(_task("Evaluator", "success", 1, summary))))
    assert "Model: BLESSED, no earlier model to compare with" in text
    assert "Pushed: /srv/serving/1" in text


def test_run_without_evaluation_says_nothing_about_a_model() -> None:
    text = "\n".join(lines(_run(_task("Gen", "success", 1, _value("executed", {})))))
    for word in ("Evaluation", "Model", "Pushed"):
        assert word not in text


def test_each_copy_of_a_pipeline_is_told_apart() -> None:
    def evaluator(task: str, index: int, value: float, blessed: bool) -> dict[str, Any]:
        found = {
            "node": "Evaluator",
            **_value("executed", {}, metrics={"auc": {"value": value}}, blessed=blessed),
        }
        return {**_task(task, "success", 1, found), "map_index": index}

    tasks = [
        evaluator("eu.Evaluator", -1, 0.75, True),
        evaluator("each.train.Evaluator", 0, 0.5, False),
        evaluator("each.train.Evaluator", 1, 0.25, True),
    ]
    text = [line.strip() for line in lines(_run(*tasks)) if line]
    assert [line.split()[0] for line in text[1:4]] == [
        "eu.Evaluator",
        "each.train.Evaluator[0]",
        "each.train.Evaluator[1]",
    ]
    values = {"eu:": "0.7500", "each.train[0]:": "0.5000", "each.train[1]:": "0.2500"}
    for copy, value in values.items():
        assert text[text.index(copy) + 2].split() == ["auc", value]


def test_skipped_task_says_why() -> None:
    skip = {"node": "Tuner", "reason": "its Cond is false", "outside": False}
    trainer = {**_task("Trainer", "skipped", 0.1), "skip": skip}
    text = lines(_run(trainer, _task("notify", "skipped", 0.0)))
    assert text[1].split(maxsplit=3)[3] == "Tuner was skipped: its Cond is false"
    assert text[2].split(maxsplit=3)[3] == "by Airflow"


def test_empty_split_and_a_model_that_cannot_be_served_are_told() -> None:
    gen = _value("executed", {}, records={"train": 3, "eval": 0}, warnings=["no records in split 'eval'"])
    infra = _value("executed", {}, infra_blessed=False, infra_failure="DeadlineExceeded: no answer")
    text = lines(_run(_task("Gen", "success", 1, gen), _task("InfraValidator", "success", 1, infra)))
    assert "Warning: Gen: no records in split 'eval'" in text
    assert "Model: could NOT be served: DeadlineExceeded: no answer" in text


def test_metric_that_is_not_a_number_is_told_as_such() -> None:
    metrics = {"auc": {"value": "NaN"}, "loss": {"value": "Infinity", "lower": "-Infinity", "upper": "NaN"}}
    text = lines(_run(_task("Evaluator", "success", 1, _value("executed", {}, metrics=metrics))))
    assert [line.split(maxsplit=1)[1].strip() for line in text if line.startswith("  ")] == [
        "nan",
        "inf  [-inf, nan]",
    ]


def test_verdict_with_evidence_stands_beside_tfmas() -> None:
    evidence = {
        "blessed": False,
        "verdict": "inconclusive",
        "decides": True,
        "passed": 3,
        "failed": 0,
        "inconclusive": 1,
        "reason": "1 of 4 checks is inconclusive: auc changed by -0.005.",
        "waiting_for": "human",
    }
    tasks = [
        _task("Evaluator", "success", 1, _value("executed", {}, blessed=True)),
        _task("EvidenceGate", "success", 1, _value("executed", {}, evidence=evidence)),
    ]
    text = lines(_run(*tasks))
    assert text[-3:] == [
        "Model: BLESSED",
        "With evidence (decides): NOT BLESSED, inconclusive, waits for a human",
        "  1 of 4 checks is inconclusive: auc changed by -0.005.",
    ]
