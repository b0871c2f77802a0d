"""A bound is met or missed only where the interval lies wholly on one side of it."""

from __future__ import annotations

import dataclasses
import math

import pytest
from mlmd_panel.evaluation.evidence import FAILED, INCONCLUSIVE, PASSED, Evidence, evidence, together
from mlmd_panel.payloads.evaluation.eval_config import EvalConfig, Threshold
from mlmd_panel.payloads.evaluation.metrics import Interval, Metric, MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.payloads.evaluation.thresholds import groups

from tests.panel.evaluation.judged import AUC, AUC_DIFF, MODELS, at_least, part


def _judge(threshold: Threshold, measured: SliceMetrics) -> Evidence:
    config = EvalConfig(models=MODELS, thresholds=(threshold,))
    [(_, [check])] = list(groups(config, [measured]))
    return evidence(check, measured, "baseline")


@pytest.mark.parametrize(
    ("bound", "outcome"),
    [(0.89, PASSED), (0.9, PASSED), (0.92, INCONCLUSIVE), (0.94, INCONCLUSIVE), (0.95, FAILED)],
)
def test_a_least_value(bound: float, outcome: str) -> None:
    found = _judge(at_least(bound), part())
    assert (found.outcome, found.lower, found.upper) == (outcome, 0.9, 0.94)
    assert ("spans the bound" in found.why) == (outcome == INCONCLUSIVE)


@pytest.mark.parametrize(
    ("bound", "outcome"), [(0.95, PASSED), (0.94, PASSED), (0.91, INCONCLUSIVE), (0.89, FAILED)]
)
def test_a_greatest_value(bound: float, outcome: str) -> None:
    assert _judge(Threshold(AUC, None, False, upper=bound), part()).outcome == outcome


@pytest.mark.parametrize(
    ("bound", "direction", "outcome"),
    [
        (-0.003, 2, PASSED),
        (-0.001, 2, INCONCLUSIVE),
        (0.005, 2, FAILED),
        (0.005, 1, PASSED),
        (0.001, 1, INCONCLUSIVE),
        (-0.003, 1, FAILED),
    ],
)
def test_a_change_has_the_interval_of_pairs(bound: float, direction: int, outcome: str) -> None:
    found = _judge(Threshold(AUC_DIFF, None, True, absolute=bound, direction=direction), part())
    assert (found.outcome, found.lower, found.upper) == (outcome, -0.002, 0.004)


def test_a_relative_change_has_the_interval_of_the_change_in_parts_of_the_baseline() -> None:
    threshold = Threshold(AUC_DIFF, None, True, relative=-0.003, direction=2)
    found = _judge(threshold, part(value=0.901, change=0.001))
    assert (found.lower, found.upper) == (pytest.approx(-0.002 / 0.9), pytest.approx(0.004 / 0.9))
    assert found.outcome == PASSED
    # Of a negative value the ends change places.
    found = _judge(threshold, part(value=-0.5, change=0.001))
    assert found.lower == pytest.approx(-0.004 / 0.501)
    assert found.lower < found.upper
    assert found.outcome == INCONCLUSIVE


def test_what_says_nothing_of_chance_decides_nothing() -> None:
    few = _judge(at_least(0.5), part(examples=29))
    assert (few.outcome, few.why) == (INCONCLUSIVE, "The slice has 29 examples, fewer than 30.")
    assert _judge(at_least(0.5), part(examples=30)).outcome == PASSED
    assert _judge(at_least(0.5), part(examples=None)).outcome == PASSED
    none = _judge(at_least(0.5), part(ends=None))
    assert (none.outcome, none.why) == (INCONCLUSIVE, "No interval was recorded.")
    zero = _judge(at_least(0.5), part(value=1.0, ends=(1.0, 1.0)))
    assert (zero.outcome, zero.why) == (INCONCLUSIVE, "The standard error is 0, which says nothing.")
    odd = _judge(at_least(0.5), part(ends=(math.nan, math.nan)))
    assert (odd.outcome, odd.why) == (INCONCLUSIVE, "The interval is not of finite numbers.")


def test_what_is_missing_or_no_number_fails_without_an_interval() -> None:
    missing = _judge(at_least(0.5), SliceMetrics(Slice(()), (), 400.0, None))
    assert (missing.outcome, missing.why) == (FAILED, "Metric not found.")
    assert _judge(at_least(0.5), part(value=math.nan)).outcome == FAILED
    assert _judge(at_least(math.nan), part()).outcome == FAILED
    assert _judge(at_least(-math.inf), part(ends=None)).outcome == PASSED
    assert _judge(at_least(math.inf), part()).outcome == FAILED
    assert _judge(Threshold(AUC_DIFF, None, True, absolute=0.1), part()).outcome == FAILED
    assert _judge(Threshold(AUC, None, False), part(ends=None)).outcome == PASSED
    # An infinite loss below an infinite bound is no evidence.
    loss = MetricKey("loss", "candidate")
    endless = SliceMetrics(
        Slice(()), (Metric(loss, "number", math.inf, Interval(math.nan, math.nan)),), 400.0, None
    )
    assert _judge(Threshold(loss, None, False, upper=0.9), endless).outcome == FAILED


def test_an_interval_without_ends_is_that_of_its_standard_error() -> None:
    only_error = Metric(AUC, "number", 0.92, Interval(None, None, 0.01, 19))
    found = _judge(at_least(0.9), SliceMetrics(Slice(()), (only_error,), 400.0, None))
    assert (found.lower, found.upper) == (
        pytest.approx(0.92 - 0.02093, abs=1e-5),
        pytest.approx(0.94093, abs=1e-5),
    )


def test_a_bootstrap_of_the_same_width_says_the_same() -> None:
    measured = part()
    plain = dataclasses.replace(measured.metrics[0], interval=Interval(0.9, 0.94))
    found = _judge(at_least(0.91), SliceMetrics(Slice(()), (plain,), 400.0, None))
    assert found.outcome == INCONCLUSIVE


def test_several_bounds_together_are_as_good_as_the_worst() -> None:
    passed, open_, failed = (
        Evidence(outcome, None, None, None) for outcome in (PASSED, INCONCLUSIVE, FAILED)
    )
    assert together([passed, passed]) == PASSED
    assert together([passed, open_]) == INCONCLUSIVE
    assert together([failed, open_, passed]) == FAILED
    assert together([]) == PASSED
