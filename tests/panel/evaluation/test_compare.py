"""Two evaluations beside each other: what changed, whose part it is, and whether it is real."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from mlmd_panel.evaluation import compare as comparing
from mlmd_panel.evaluation import effects, verdicts
from mlmd_panel.evaluation.compare import MODEL_EFFECT, TOTAL, Method, Row, compare
from mlmd_panel.evaluation.direction import direction
from mlmd_panel.evaluation.evaluated import Evaluated, baseline_of
from mlmd_panel.payloads.evaluation.eval_config import EvalConfig, EvaluatedModel, Threshold
from mlmd_panel.payloads.evaluation.metrics import MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.slices import Slice

from tests.panel.evaluation.evaluations import (
    BASELINE,
    CANDIDATE,
    DE,
    FR,
    OVERALL,
    check,
    evaluated,
    metric,
    part,
    payload,
)


def _row(baseline: Evaluated, candidate: Evaluated, **options: Any) -> Row:
    [row] = compare(baseline, candidate, **options).rows
    return row


def test_each_metric_of_each_slice_is_compared() -> None:
    base = evaluated(1, part(auc=0.8, loss=0.5), part(FR, auc=0.5))
    other = evaluated(2, part(examples=412.0, auc=0.9, loss=0.4), part(FR, auc=0.5))

    found = compare(base, other)

    rows = {(row.slice.name, row.metric): row for row in found.rows}
    assert set(rows) == {("Overall", "auc"), ("Overall", "loss"), ("language: fr", "auc")}
    auc, loss, same = rows["Overall", "auc"], rows["Overall", "loss"], rows["language: fr", "auc"]
    assert auc.baseline and auc.candidate and auc.total and auc.total.interval
    assert (auc.baseline.value, auc.candidate.value) == (0.8, 0.9)
    assert (auc.baseline.examples, auc.candidate.examples) == (400.0, 412.0)
    assert (auc.total.value, auc.relative) == (pytest.approx(0.1), pytest.approx(0.125))
    # Two standard errors of 0.01 with 19 degrees of freedom each: 38 in all, of which the quantile is 2.0244.
    assert auc.total.interval.upper - 0.1 == pytest.approx(2.0244 * 0.01 * math.sqrt(2), rel=1e-3)
    relative = auc.relative_interval
    assert relative and relative.upper == pytest.approx(auc.total.interval.upper / 0.8)
    assert (auc.verdict, loss.verdict, same.verdict) == ("better", "better", "inconclusive")
    assert (auc.changed, same.changed, same.why) == (True, False, verdicts.SPANS_ZERO)
    assert (found.compared, found.corrected, found.slices) == (3, 3, 2)


def test_slices_and_metrics_of_one_side_are_counted_and_named() -> None:
    base = evaluated(1, part(auc=0.8), part(DE, auc=0.7))
    other = evaluated(2, part(recall=0.9), part(FR, auc=0.6))

    found = compare(base, other)

    assert {(row.slice.name, row.metric, row.verdict) for row in found.rows} == {
        ("Overall", "auc", verdicts.ONLY_BASELINE),
        ("Overall", "recall", verdicts.ONLY_CANDIDATE),
        ("language: de", "auc", verdicts.ONLY_BASELINE),
        ("language: fr", "auc", verdicts.ONLY_CANDIDATE),
    }
    assert all(row.changed and row.total is None and row.judged == "" for row in found.rows)
    assert (found.only_baseline, found.only_candidate) == ((DE,), (FR,))
    assert (found.compared, found.counts[verdicts.ONLY_BASELINE], found.counts[verdicts.BETTER]) == (0, 2, 0)


def test_a_change_is_exactly_model_effect_and_data_effect_if_the_baselines_model_was_evaluated_again() -> (
    None
):
    base = evaluated(1, part(auc=0.9), model=7)
    again = part(auc=0.93, baseline={"auc": 0.95}, changes={"auc": (-0.02, 0.001)})

    row = _row(base, evaluated(2, again, baseline_model=7))

    assert row.total and row.model_effect and row.data_effect and row.model_effect.interval
    assert row.total.value == pytest.approx(0.03)
    assert row.model_effect.value == pytest.approx(-0.02) and row.model_effect.method == effects.PAIRED
    assert row.data_effect.value == pytest.approx(0.05) and row.data_effect.method == effects.WELCH
    assert abs(row.model_effect.value + row.data_effect.value - row.total.value) < 1e-9
    # TFMA's interval of pairs, with the 19 degrees of freedom of one jackknife.
    assert row.model_effect.interval.upper == pytest.approx(-0.02 + 2.0930 * 0.001, rel=1e-3)
    # The run as a whole is better: its month is easier. The model is worse.
    assert (row.judged, row.verdict) == (MODEL_EFFECT, "worse")


@pytest.mark.parametrize("baseline_model", [None, 8])
def test_effects_are_not_told_apart_if_another_model_was_the_baseline(baseline_model: int | None) -> None:
    again = part(auc=0.93, baseline={"auc": 0.95}, changes={"auc": (-0.02, 0.001)})

    row = _row(evaluated(1, part(auc=0.9), model=7), evaluated(2, again, baseline_model=baseline_model))

    assert (row.model_effect, row.data_effect, row.judged) == (None, None, TOTAL)


def test_the_data_effect_is_none_on_the_same_examples() -> None:
    base = evaluated(1, part(auc=0.9), model=7, fingerprint="same")
    again = part(auc=0.93, baseline={"auc": 0.9}, changes={"auc": (0.03, 0.001)})
    linked = evaluated(2, again, baseline_model=7, fingerprint="same")
    other = evaluated(2, part(auc=0.93), fingerprint="same")

    # One fingerprint, but the span differs: that is other data.
    assert _row(base, linked).data_effect.method == effects.WELCH  # type: ignore[union-attr]
    same = [dataclasses.replace(one, examples=base.examples) for one in (linked, other)]
    paired, unpaired = (_row(base, one) for one in same)

    assert paired.data_effect and paired.data_effect.method == effects.SAME_EXAMPLES
    assert paired.total and paired.total.method == effects.PAIRED
    assert unpaired.model_effect and unpaired.model_effect.method == effects.WELCH
    assert unpaired.data_effect and (unpaired.data_effect.value, unpaired.data_effect.interval) == (0.0, None)


def test_one_model_on_two_sets_of_examples_has_no_model_effect() -> None:
    row = _row(evaluated(1, part(auc=0.9), model=7), evaluated(2, part(auc=0.8), model=7))

    assert row.model_effect and row.model_effect.method == effects.SAME_MODEL
    assert row.data_effect == dataclasses.replace(row.total, corrected=None)  # type: ignore[type-var]
    assert (row.judged, row.verdict) == (TOTAL, "worse")


def test_the_candidates_own_baseline_is_judged_on_the_same_examples() -> None:
    both = evaluated(
        2, part(auc=0.93, baseline={"auc": 0.95}, changes={"auc": (-0.02, 0.001)}), baseline_model=7
    )

    found = compare(baseline_of(both), both)

    [row] = found.rows
    assert found.link.own and row.baseline and row.baseline.value == 0.95
    assert row.model_effect and row.model_effect.method == effects.PAIRED and row.verdict == "worse"
    assert row.data_effect and row.data_effect.value == 0


def test_each_of_several_candidates_is_compared_with_the_own_baseline() -> None:
    models = tuple(
        EvaluatedModel(name, name == "old", "", "label", "", "", "") for name in ("dnn", "gbt", "old")
    )
    values = {"dnn": 0.91, "gbt": 0.86, "old": 0.9}
    metrics = [metric(MetricKey("auc", name), value, 0.01) for name, value in values.items()]
    metrics += [
        metric(MetricKey("auc", name, is_diff=True), values[name] - 0.9, 0.002) for name in ("dnn", "gbt")
    ]
    one = evaluated(2, read=payload(SliceMetrics(OVERALL, tuple(metrics), 400.0, None), models=models))

    found = compare(baseline_of(one), one)

    assert {row.metric: (row.verdict, row.total and row.total.method) for row in found.rows} == {
        "auc of dnn": ("better", effects.PAIRED),
        "auc of gbt": ("worse", effects.PAIRED),
    }


def test_runs_that_share_an_evaluation_are_unchanged() -> None:
    one = evaluated(1, part(auc=0.9))

    row = _row(one, dataclasses.replace(one, run=evaluated(2).run))

    assert (row.verdict, row.why) == ("unchanged", verdicts.SAME_VALUES)


@pytest.mark.parametrize(
    ("base", "other", "why"),
    [
        (part(examples=29.0, auc=0.9), part(auc=0.1), effects.TOO_FEW),
        (part(auc=0.9), part(examples=6.0, auc=0.1), effects.TOO_FEW),
        (part(error=None, auc=0.9), part(auc=0.1), effects.NO_INTERVAL),
        (part(error=0.0, auc=1.0), part(error=0.0, auc=0.5), effects.NO_ERROR),
        (part(auc=0.9), part(error=0.0, auc=1.0), effects.NO_ERROR),
        (part(auc=0.9), part(auc=math.nan), effects.NOT_FINITE),
        (part(loss=math.inf), part(loss=0.1), effects.NOT_FINITE),
        (part(auc=0.9), part(auc=0.91), verdicts.SPANS_ZERO),
    ],
)
def test_what_cannot_be_told_is_inconclusive_and_says_why(
    base: SliceMetrics, other: SliceMetrics, why: str
) -> None:
    row = _row(evaluated(1, base), evaluated(2, other))

    assert (row.verdict, row.why) == (verdicts.INCONCLUSIVE, why)


def test_proportions_of_known_counts_have_newcombes_interval() -> None:
    # Newcombe's own example (1998, table II, line a): 56 of 70 less 48 of 80, method 10: 0.0524 to 0.3339.
    base = evaluated(1, part(examples=80.0, error=None, binary_accuracy=48 / 80))
    other = evaluated(2, part(examples=70.0, error=None, binary_accuracy=56 / 70))

    row = _row(base, other)

    assert row.total and row.total.interval and row.total.method == effects.NEWCOMBE
    assert (row.total.interval.lower, row.total.interval.upper) == (
        pytest.approx(0.0524, abs=5e-5),
        pytest.approx(0.3339, abs=5e-5),
    )
    assert row.verdict == "better" and row.total.p_value and 0.001 < row.total.p_value < 0.05


def test_a_weighted_accuracy_is_no_proportion_of_the_examples() -> None:
    base = evaluated(1, part(examples=80.0, error=None, binary_accuracy=0.6123))
    other = evaluated(2, part(examples=70.0, error=None, binary_accuracy=0.8))

    assert _row(base, other).why == effects.NO_INTERVAL


@pytest.mark.parametrize("examples", [10_000.0, 100_000.0, 1_000_000.0, 50_000_000.0])
def test_an_accuracy_of_many_examples_is_no_proportion_unless_it_is_a_count(examples: float) -> None:
    def method(value: float) -> str:
        base = evaluated(1, part(examples=examples, error=None, accuracy=0.9123))
        found = _row(base, evaluated(2, part(examples=examples, error=None, accuracy=value)))
        return found.total.method if found.total else ""

    assert method((0.91 * examples + 0.4) / examples) == ""
    assert method(0.91) == effects.NEWCOMBE


def test_precision_is_a_proportion_if_the_counts_beside_it_say_so() -> None:
    counts = {"true_positives": 40.0, "false_positives": 10.0}
    base = evaluated(1, part(error=None, precision=0.8, **counts))
    other = evaluated(2, part(error=None, precision=0.8, **counts))
    elsewhere = evaluated(2, part(error=None, precision=0.7, **counts))  # at another threshold

    rows = [compare(base, one, metrics={"precision"}).rows[0] for one in (other, elsewhere)]

    assert [row.total and row.total.method for row in rows] == [effects.NEWCOMBE, ""]


def test_a_change_within_the_allowed_one_is_unchanged() -> None:
    allowed = check("auc", "absolute", -0.01, "higher is better")
    base = evaluated(1, part(auc=0.9), model=7)

    def judged(value: float, error: float) -> Row:
        again = part(auc=0.9 + value, baseline={"auc": 0.9}, changes={"auc": (value, error)})
        return _row(base, evaluated(2, baseline_model=7, read=payload(again, checks=(allowed,))))

    assert [
        judged(*one).verdict
        for one in ((0.0, 0.002), (-0.005, 0.001), (0.0, 0.02), (-0.02, 0.001), (0.005, 0.001))
    ] == [
        "unchanged",
        "unchanged",  # real, and allowed
        "inconclusive",
        "worse",
        "better",  # a gain needs no allowance
    ]
    assert judged(0.0, 0.002).allowed == 0.01 and len(judged(0.0, 0.002).checks) == 1


def test_relative_thresholds_allow_a_part_of_the_candidates_own_baseline() -> None:
    allowed = check("loss", "relative", 0.1, "lower is better")
    again = part(loss=0.41, baseline={"loss": 0.4}, changes={"loss": (0.01, 0.001)})

    row = _row(
        evaluated(1, part(loss=0.9), model=7),
        evaluated(2, baseline_model=7, read=payload(again, checks=(allowed,))),
    )

    assert row.allowed == pytest.approx(0.04) and row.verdict == "unchanged"


def test_many_comparisons_make_a_chance_finding_suspect() -> None:
    slices = [Slice((("hour", number),)) for number in range(40)]
    base = evaluated(1, part(auc=0.9), *(part(one, auc=0.9) for one in slices))
    # 2.4 standard errors: one of forty is chance.
    other = evaluated(
        2, part(auc=0.9), *(part(one, auc=0.866 if number == 7 else 0.9) for number, one in enumerate(slices))
    )

    found = compare(base, other)

    assert (found.rows[0].slice, found.rows[0].verdict) == (slices[7], "suspect")
    assert found.counts["worse"] == 0 and found.corrected == 41
    judged = found.rows[0].judged_change
    assert judged and judged.interval and judged.corrected
    assert judged.interval.upper < 0 < judged.corrected.upper
    # Alone it would be one.
    assert compare(evaluated(1, part(auc=0.9)), evaluated(2, part(auc=0.866))).rows[0].verdict == "worse"


def test_the_scope_says_what_is_corrected_together() -> None:
    slices = [Slice((("hour", number),)) for number in range(40)]
    base = evaluated(1, part(auc=0.9), *(part(one, auc=0.9) for one in slices))
    other = evaluated(2, part(auc=0.866), *(part(one, auc=0.9) for one in slices))

    found = {
        scope: compare(base, other, method=Method(scope=scope)).rows[0].verdict for scope in comparing.SCOPES
    }

    assert found == {"overall": "worse", "metric": "suspect", "all": "suspect"}


def test_rows_are_ranked_by_verdict_then_by_share_of_the_examples_times_change() -> None:
    small, large = Slice((("size", "small"),)), Slice((("size", "large"),))
    base = evaluated(
        1, part(auc=0.9), part(small, 40.0, auc=0.9), part(large, 300.0, auc=0.9), part(FR, 4.0, auc=1.0)
    )
    other = evaluated(2, part(auc=0.9), part(small, 40.0, auc=0.5), part(large, 300.0, auc=0.8))

    rows = compare(base, other).rows

    assert [(row.slice, row.verdict) for row in rows] == [
        (large, "worse"),  # 0.75 of the examples by 0.1
        (small, "worse"),  # 0.1 of the examples by 0.4
        (FR, "only in the baseline"),  # of 4 examples: it comes with what is inconclusive
        (OVERALL, "inconclusive"),
    ]


def test_the_smallest_change_that_could_be_shown_is_given() -> None:
    row = _row(evaluated(1, part(auc=0.9)), evaluated(2, part(auc=0.9)))

    # (2.0244 + 0.8512) standard errors of the difference: quantiles of the t distribution with 38 degrees of freedom.
    assert row.detectable == pytest.approx((2.0244 + 0.8512) * 0.01 * math.sqrt(2), rel=1e-3)


def test_a_metric_whose_direction_is_not_known_is_only_different() -> None:
    rows = [
        _row(evaluated(1, part(calibration=1.0)), evaluated(2, part(calibration=value)))
        for value in (1.1, 1.0)
    ]

    assert [(row.verdict, row.why) for row in rows] == [
        ("different", verdicts.NO_DIRECTION),
        ("inconclusive", verdicts.SPANS_ZERO),
    ]


def test_numbers_of_examples_are_not_compared_as_metrics() -> None:
    base = evaluated(1, part(auc=0.9, example_count=400.0))

    assert [row.metric for row in compare(base, evaluated(2, part(auc=0.9, example_count=40.0))).rows] == [
        "auc"
    ]


def test_only_the_candidates_are_compared_and_by_label() -> None:
    keys = [
        MetricKey("auc", CANDIDATE),
        MetricKey("auc", BASELINE),
        MetricKey("auc", CANDIDATE, is_diff=True),
        MetricKey("precision", CANDIDATE, class_id=1),
        MetricKey("precision", CANDIDATE, output="out", top_k=3, aggregation="macro"),
    ]
    metrics = tuple(metric(key, 0.1 * number) for number, key in enumerate(keys))
    base = evaluated(1, SliceMetrics(OVERALL, metrics, None, None))
    alone = SliceMetrics(
        OVERALL, (metric(MetricKey("auc"), 0.3),), None, None
    )  # of one model, which has no name

    rows = compare(base, evaluated(2, read=payload(alone, models=()))).rows

    assert {row.metric for row in rows} == {"auc", "macro_precision (out, topK:3)", "precision (classId:1)"}
    [auc] = [row for row in rows if row.metric == "auc"]
    assert auc.baseline and auc.candidate and (auc.baseline.value, auc.candidate.value) == (0.0, 0.3)


def test_what_is_no_number_is_only_the_same_or_not() -> None:
    def one(number: int, value: Any) -> Evaluated:
        found = metric(MetricKey("matrix", CANDIDATE), value, kind="array")
        return evaluated(number, SliceMetrics(OVERALL, (found,), None, None))

    same, changed = (_row(one(1, [[1, 2]]), one(2, value)) for value in ([[1, 2]], [[1, 3]]))

    assert (same.changed, changed.changed, changed.total, changed.verdict) == (
        False,
        True,
        None,
        "inconclusive",
    )
    scalar = _row(one(1, [[2.0]]), one(2, [[3.0]]))
    assert scalar.total and scalar.total.value == 1.0


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
    key = MetricKey(name, CANDIDATE)
    made = []
    for settings in thresholds:
        own = dataclasses.replace(key, is_diff=settings.get("change", False))
        made.append(Threshold(own, None, **{"change": False, **settings}))

    assert direction(key, EvalConfig(thresholds=tuple(made))) == expected
    assert direction(MetricKey(name), EvalConfig(), EvalConfig(thresholds=tuple(made))) == expected


def test_a_comparison_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "MAX_ROWS", 2)
    whole = evaluated(1, part(auc=0.1, loss=0.2, recall=0.3))

    found = compare(whole, evaluated(2, part(auc=0.1, loss=0.2, recall=0.3)))

    assert found.cut and len(found.rows) == 2
    assert compare(
        dataclasses.replace(whole, payload=dataclasses.replace(whole.payload, cut=True)), evaluated(2)
    ).cut
    assert compare(evaluated(1), evaluated(2)).rows == ()
