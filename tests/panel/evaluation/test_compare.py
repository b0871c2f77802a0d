"""Two evaluations beside each other."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from mlmd_panel.evaluation import compare as comparing
from mlmd_panel.evaluation.compare import BETTER, BOTH, ONLY_BASE, ONLY_OTHER, WORSE, Row, compare
from mlmd_panel.evaluation.direction import direction
from mlmd_panel.payloads.evaluation.eval_config import EvalConfig, EvaluatedModel, Threshold
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.metrics import Interval, Metric, MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.slices import Slice

OVERALL = Slice(())
DE = Slice((("language", "de"),))
FR = Slice((("language", "fr"),))
MODELS = (
    EvaluatedModel("candidate", False, "", "", "", "", ""),
    EvaluatedModel("baseline", True, "", "", "", "", ""),
)


def _part(slice_: Slice, examples: float | None = 10.0, **numbers: Any) -> SliceMetrics:
    metrics = tuple(
        Metric(MetricKey(name), "number", value, Interval(value - 1, value + 1))
        for name, value in numbers.items()
    )
    return SliceMetrics(slice_, metrics, examples, None)


def _evaluation(*parts: SliceMetrics, thresholds: tuple[Threshold, ...] = ()) -> EvaluationPayload:
    return EvaluationPayload(EvalConfig(models=MODELS, thresholds=thresholds), parts)


def _rows(*parts: EvaluationPayload) -> dict[tuple[str, str], Row]:
    return {(row.slice.name, row.metric): row for row in compare(*parts).rows}


def test_each_metric_of_each_slice_is_compared_in_order() -> None:
    base = _evaluation(_part(OVERALL, auc=0.8, loss=0.5), _part(FR, auc=0.5))
    other = _evaluation(_part(OVERALL, 12.0, auc=0.9, loss=0.4), _part(FR, auc=0.5))

    found = compare(base, other)

    assert [(row.slice.name, row.metric) for row in found.rows] == [
        ("Overall", "auc"),
        ("Overall", "loss"),
        ("language: fr", "auc"),
    ]
    auc, loss, same = found.rows
    assert auc.base and auc.other
    assert (auc.base.value, auc.other.value, auc.base.examples, auc.other.examples) == (0.8, 0.9, 10.0, 12.0)
    assert auc.other.interval == Interval(0.9 - 1, 0.9 + 1)
    assert (auc.change, auc.relative) == (pytest.approx(0.1), pytest.approx(0.125))
    assert (auc.outcome, loss.outcome, same.outcome) == (BETTER, BETTER, None)
    assert (auc.changed, same.changed, same.change) == (True, False, 0.0)
    assert {row.sides for row in found.rows} == {BOTH}


def test_slices_and_metrics_of_one_side_are_kept_and_marked() -> None:
    base = _evaluation(_part(OVERALL, auc=0.8), _part(DE, auc=0.7))
    other = _evaluation(_part(OVERALL, recall=0.9), _part(FR, auc=0.6))

    found = compare(base, other)

    assert [(row.slice.name, row.metric, row.sides) for row in found.rows] == [
        ("Overall", "auc", ONLY_BASE),
        ("Overall", "recall", ONLY_OTHER),
        ("language: de", "auc", ONLY_BASE),
        ("language: fr", "auc", ONLY_OTHER),
    ]
    assert all(row.changed and row.change is None and row.outcome is None for row in found.rows)
    assert (found.only_base, found.only_other, found.slices) == ((DE,), (FR,), (OVERALL, DE, FR))


@pytest.mark.parametrize(
    ("base", "other", "change", "relative", "changed", "outcome"),
    [
        (0.0, 0.5, 0.5, None, True, BETTER),
        (-0.5, -0.25, 0.25, 0.5, True, BETTER),
        (0.5, math.nan, math.nan, math.nan, True, None),
        (math.nan, math.nan, math.nan, math.nan, False, None),
        (0.5, math.inf, math.inf, math.inf, True, BETTER),
        (0.5, 0.4, -0.1, -0.2, True, WORSE),
    ],
)
def test_changes_of_odd_numbers(
    base: float, other: float, change: float, relative: float | None, changed: bool, outcome: str | None
) -> None:
    [row] = compare(_evaluation(_part(OVERALL, auc=base)), _evaluation(_part(OVERALL, auc=other))).rows

    assert row.change == pytest.approx(change, nan_ok=True)
    assert row.relative == (None if relative is None else pytest.approx(relative, nan_ok=True))
    assert (row.changed, row.outcome) == (changed, outcome)


def test_only_the_candidates_are_compared_and_by_label() -> None:
    keys = [
        MetricKey("auc", "candidate"),
        MetricKey("auc", "baseline"),
        MetricKey("auc", "candidate", is_diff=True),
        MetricKey("precision", "candidate", class_id=1),
        MetricKey("precision", "candidate", output="out", top_k=3, aggregation="macro"),
    ]
    metrics = tuple(Metric(key, "number", 0.1 * number) for number, key in enumerate(keys))
    base = _evaluation(SliceMetrics(OVERALL, metrics, None, None))
    other = _evaluation(_part(OVERALL, auc=0.3))  # of one model, which has no name

    rows = compare(base, other).rows

    assert [row.metric for row in rows] == ["auc", "macro_precision (out, topK:3)", "precision (classId:1)"]
    assert rows[0].sides == BOTH and rows[0].base and rows[0].base.value == 0.0


def test_what_is_no_number_is_only_the_same_or_not() -> None:
    def one(value: Any) -> EvaluationPayload:
        return _evaluation(SliceMetrics(OVERALL, (Metric(MetricKey("matrix"), "array", value),), None, None))

    [same] = compare(one([[1, 2]]), one([[1, 2]])).rows
    [changed] = compare(one([[1, 2]]), one([[1, 3]])).rows

    assert (same.changed, changed.changed, changed.change) == (False, True, None)
    [scalar] = compare(one([[2.0]]), one([[3.0]])).rows
    assert scalar.change == 1.0


@pytest.mark.parametrize(
    ("name", "thresholds", "expected"),
    [
        ("auc", [], "higher"),
        ("mean_squared_error", [], "lower"),
        ("post_export_metrics/auc", [], "higher"),
        ("calibration", [], None),
        ("tips_missed", [{"upper": 3.0}], "lower"),
        ("tips_missed", [{"lower": 3.0}], "higher"),
        ("tips_missed", [{"lower": 1.0, "upper": 3.0}], None),
        ("auc", [{"change": True, "absolute": 0.1, "direction": 1}], "lower"),
        ("auc", [{"lower": 0.1}, {"upper": 0.2}], None),
    ],
)
def test_thresholds_say_which_direction_is_better_then_the_name(
    name: str, thresholds: list[dict[str, Any]], expected: str | None
) -> None:
    key = MetricKey(name, "candidate")
    made = []
    for settings in thresholds:
        own = dataclasses.replace(key, is_diff=settings.get("change", False))
        made.append(Threshold(own, None, **{"change": False, **settings}))

    assert direction(key, EvalConfig(thresholds=tuple(made))) == expected
    assert direction(MetricKey(name), EvalConfig(), EvalConfig(thresholds=tuple(made))) == expected


def test_a_comparison_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "MAX_ROWS", 2)
    whole = _evaluation(_part(OVERALL, auc=0.1, loss=0.2, recall=0.3))

    found = compare(whole, whole)

    assert found.cut and len(found.rows) == 2
    assert compare(dataclasses.replace(whole, cut=True), _evaluation()).cut
    assert compare(_evaluation(), _evaluation()).rows == ()
