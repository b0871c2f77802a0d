"""Distributions, intervals of differences, and the correction for many comparisons."""

from __future__ import annotations

import math
import random

import pytest
from mlmd_panel.evaluation.differences import Estimate, ProportionDifference, TDifference, estimate, welch
from mlmd_panel.evaluation.distributions import MAX_DEGREES, p_value, quantile
from mlmd_panel.evaluation.false_discovery import corrected_level
from mlmd_panel.payloads.evaluation.metrics import Interval, Metric, MetricKey

# Critical values of Student's t, two-sided: degrees, level, value (NIST/SEMATECH e-Handbook, 1.3.6.7.2).
_TABLE = [
    (1, 0.95, 12.706), (2, 0.95, 4.303), (5, 0.9, 2.015), (19, 0.95, 2.093), (19, 0.99, 2.861), (38, 0.95, 2.024),
    (100, 0.998, 3.174), (MAX_DEGREES + 1, 0.95, 1.960), (MAX_DEGREES + 1, 0.99, 2.576),
]  # fmt: skip


@pytest.mark.parametrize(("degrees", "level", "value"), _TABLE)
def test_quantiles_and_p_values_are_those_of_the_tables(degrees: int, level: float, value: float) -> None:
    assert quantile(level, degrees) == pytest.approx(value, abs=6e-4)
    assert p_value(quantile(level, degrees), degrees) == pytest.approx(1 - level, rel=1e-6)


@pytest.mark.parametrize("degrees", [1, 19, MAX_DEGREES, MAX_DEGREES + 1])
def test_the_highest_levels_have_quantiles_too(degrees: int) -> None:
    quantiles = [quantile(level, degrees) for level in (0.9999, 1 - 2**-53, 1.0)]
    assert quantiles == sorted(quantiles) and all(map(math.isfinite, quantiles))


def test_p_values_far_out_are_small_and_never_negative() -> None:
    assert p_value(0, 7) == 1
    assert 0 < p_value(60, 19) < 1e-12
    assert p_value(math.inf, 19) == 0
    assert math.isnan(p_value(math.nan, 19))


def test_degrees_of_freedom_are_rounded_down() -> None:
    assert TDifference(1, 1, 28.9).interval(0.95) == TDifference(1, 1, 28.0).interval(0.95)


def test_welch_weighs_the_degrees_of_freedom() -> None:
    found = welch(Estimate(0.8, 0.01, 19), Estimate(0.9, 0.03, 19))

    assert found
    assert (found.value, found.standard_error) == (pytest.approx(0.1), pytest.approx(math.sqrt(0.001)))
    # (1 + 9)² / (1/19 + 81/19), in units of the smaller variance.
    assert found.degrees == pytest.approx(100 * 19 / 82)


@pytest.mark.parametrize("error", [None, 0.0, math.inf, math.nan])
def test_without_both_errors_there_is_no_test(error: float | None) -> None:
    assert welch(Estimate(0.8, error, 19), Estimate(0.9, 0.03, 19)) is None


@pytest.mark.parametrize(
    ("interval", "error", "degrees"),
    [
        (None, None, math.inf),
        (Interval(0.4, 0.6, 0.05, 19), 0.05, 19),
        (Interval(0.4, 0.6, 0.05, None), 0.05, math.inf),
        (Interval(0.402, 0.598), 0.05, math.inf),  # bounds alone, of old versions
        (Interval([0.4], [0.6]), None, math.inf),
    ],
)
def test_a_metric_is_an_estimate(interval: Interval | None, error: float | None, degrees: float) -> None:
    found = estimate(Metric(MetricKey("auc"), "number", 0.5, interval))

    assert found and found.degrees == degrees
    assert found.standard_error == (None if error is None else pytest.approx(error, rel=1e-3))
    assert estimate(Metric(MetricKey("auc"), "text", "0.5")) is None


@pytest.mark.parametrize(
    ("counts", "interval"),
    [
        # Newcombe (1998), table II, method 10: the first of each pair less the second.
        ((48, 80, 56, 70), (0.0524, 0.3339)),
        ((3, 10, 9, 10), (0.1705, 0.8090)),
        ((2, 7, 6, 7), (0.0582, 0.8062)),
        ((0, 29, 5, 56), (-0.0381, 0.1926)),
        ((0, 10, 10, 10), (0.6075, 1.0)),
    ],
)
def test_newcombes_own_examples(counts: tuple[int, int, int, int], interval: tuple[float, float]) -> None:
    before, of_before, after, of_after = counts

    found = ProportionDifference(before, of_before, after, of_after).interval(0.95)

    assert found == (pytest.approx(interval[0], abs=5e-5), pytest.approx(interval[1], abs=5e-5))


def test_the_p_value_of_proportions_is_the_level_at_which_the_interval_ends_at_0() -> None:
    found = ProportionDifference(48, 80, 56, 70)

    low, _ = found.interval(1 - found.p_value)

    assert low == pytest.approx(0, abs=1e-7)
    assert ProportionDifference(5, 10, 5, 10).p_value == pytest.approx(1, abs=1e-6)


def _rejected(p_values: list[float], error: float) -> set[int]:
    """Benjamini and Hochberg's procedure as they wrote it."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    largest = max(
        (rank for rank, place in enumerate(order, 1) if p_values[place] <= rank * error / len(p_values)),
        default=0,
    )
    return set(order[:largest])


def test_corrected_intervals_exclude_no_change_exactly_where_benjamini_and_hochberg_reject_it() -> None:
    draw = random.Random(2)
    for _ in range(300):
        found = [
            TDifference(draw.choice([0, 0, 2.5, 4]) + draw.gauss(0, 1), 1, 19)
            for _ in range(draw.randint(1, 40))
        ]
        level = corrected_level([one.p_value for one in found], 0.95)

        excluded = {
            place
            for place, one in enumerate(found)
            if not one.interval(level)[0] <= 0 <= one.interval(level)[1]
        }

        assert excluded == _rejected([one.p_value for one in found], 0.05)
        assert level >= 0.95


def test_without_comparisons_there_is_nothing_to_correct() -> None:
    assert corrected_level([], 0.95) == 0.95
    assert corrected_level([0.04], 0.95) == pytest.approx(0.95)
