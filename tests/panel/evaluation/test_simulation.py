"""Verdicts on models whose true metrics are known: how often they are wrong, and what they find."""

from __future__ import annotations

import random

import pytest
from mlmd_panel.evaluation.differences import ProportionDifference, welch

from tests.panel.evaluation.simulated import EQUAL, PAIRS, auc, planted, unpaired_verdicts

# Three standard errors of a share of 5 % among 500.
_CHANCE = 3 * (0.05 * 0.95 / PAIRS) ** 0.5


@pytest.mark.parametrize(
    ("examples", "comparisons"),
    [pytest.param(*pair, marks=pytest.mark.slow) if pair[1] > 10 else pair for pair in EQUAL],
)
def test_equal_models_are_seldom_called_worse(examples: int, comparisons: int) -> None:
    pairs = PAIRS if comparisons < 1000 else 50  # each of a thousand comparisons

    before, after, any_after = unpaired_verdicts(examples, comparisons, pairs=pairs)

    assert before <= 0.05 and after <= 0.05
    assert any_after <= 0.05 + (_CHANCE if pairs == PAIRS else 0.06)
    assert examples >= 30 or before == 0


def test_equal_areas_under_the_curve_are_seldom_told_apart() -> None:
    draw = random.Random(5)
    found = [welch(auc(draw, 60, 1.5), auc(draw, 60, 1.5)) for _ in range(PAIRS)]

    misses = sum(one is not None and not _holds(one.interval(0.95), 0.0) for one in found)

    assert misses / PAIRS <= 0.05 + _CHANCE


@pytest.mark.parametrize(("model", "data"), [(0.0, 0.0), (-0.04, 0.05), (0.03, -0.06)])
def test_planted_effects_of_model_and_data_are_recovered(model: float, data: float) -> None:
    """Each interval holds the truth at least as often as its level says, and the parts always add up."""
    draw = random.Random(9)
    held = {"total": 0, "model": 0, "data": 0}
    sums = []
    for _ in range(PAIRS):
        [row] = planted(draw, 300, model, data).rows
        assert row.total and row.model_effect and row.data_effect
        sums.append(abs(row.model_effect.value + row.data_effect.value - row.total.value))
        for name, change, truth in (
            ("total", row.total, model + data),
            ("model", row.model_effect, model),
            ("data", row.data_effect, data),
        ):
            assert change.interval
            held[name] += change.interval.lower <= truth <= change.interval.upper

    assert max(sums) < 1e-9
    assert all(count / PAIRS >= 0.95 - _CHANCE for count in held.values()), held


def test_intervals_that_were_selected_still_hold_the_truth() -> None:
    """Of the intervals of changes called better or worse at most 5 % miss the truth, however many were looked at."""
    draw = random.Random(3)
    missed = selected = 0
    for number in range(60):
        # In every second pair all slices are worse, in the others none is.
        truth = -0.08 if number % 2 else 0.0
        for row in planted(draw, 200, truth, 0.0, slices=12).rows:
            change = row.judged_change
            if row.verdict in ("better", "worse") and change and change.corrected:
                selected += 1
                missed += not change.corrected.lower <= truth <= change.corrected.upper

    assert selected > 150
    assert missed / selected <= 0.05 + 3 * (0.05 * 0.95 / selected) ** 0.5


@pytest.mark.parametrize("examples", [300, 1000])
def test_the_change_that_could_have_been_shown_is_found_four_times_in_five(examples: int) -> None:
    draw = random.Random(11)
    rows = [planted(draw, examples, 0.0, 0.0).rows[0] for _ in range(100)]
    usual = sorted(row.detectable for row in rows if row.detectable is not None)[50]

    found = sum(planted(draw, examples, -usual, 0.0).counts["worse"] for _ in range(PAIRS))

    assert found / PAIRS == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("examples", [20, 60, 400])
def test_newcombes_intervals_hold_the_truth(examples: int) -> None:
    draw = random.Random(7)
    held = 0
    for _ in range(PAIRS):
        before, after = (sum(draw.random() < truth for _ in range(examples)) for truth in (0.9, 0.8))
        held += _holds(ProportionDifference(before, examples, after, examples).interval(0.95), -0.1)

    assert held / PAIRS >= 0.95 - _CHANCE


def _holds(interval: tuple[float, float], truth: float) -> bool:
    return interval[0] <= truth <= interval[1]
