"""Changes that are each allowed are an alarm when their sum is not."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from mlmd_panel.evaluation.decay import EFFECTS, VALUES, Measured, decay, sentence
from mlmd_panel.evaluation.differences import Estimate
from mlmd_panel.evaluation.direction import LOWER


def _of(value: float, error: float | None = 0.001) -> Estimate:
    return Estimate(value, error, 19)


def _chain(*effects: float, error: float | None = 0.0005) -> list[Measured]:
    """Runs whose baselines are the run before; the data make their values jump."""
    found = [Measured(0, _of(0.9))]
    for run, effect in enumerate(effects, 1):
        found.append(Measured(run, _of(0.9 + 0.05 * (run % 2)), Estimate(effect, error, 19), run - 1))
    return found


def test_small_losses_add_up_to_an_alarm() -> None:
    found = decay(_chain(-0.003, -0.003, -0.002), 0.004)
    assert found is not None and found.last is not None
    assert (found.of, found.baseline) == (EFFECTS, 0)
    assert [total.alarm for total in found.totals] == [False, True, True]
    assert found.alarm is found.last
    assert found.last.change == pytest.approx(-0.008)
    assert found.last.steps == (1, 2, 3)
    assert found.last.certain
    said = sentence(found, "auc of Overall", "run 0")
    assert said.startswith(
        "Alarm: auc of Overall changed by −0.0080 since run 0, by the models alone, over 3 changes."
    )
    assert "Each was within the 0.004 by which one change may be worse; their sum is not." in said
    assert said.endswith("lies wholly beyond: this is more than chance.")


def test_a_sum_within_the_allowed_change_is_none() -> None:
    found = decay(_chain(-0.003, 0.002, -0.002), 0.004)
    assert found is not None and found.alarm is None
    assert "That is within the 0.004" in sentence(found, "auc", "run 0")


def test_a_change_that_is_noticed_alone_is_no_slow_decay() -> None:
    found = decay(_chain(-0.003, -0.005), 0.004)
    assert found is not None and found.last is not None
    assert (found.last.within, found.last.beyond, found.alarm) == (False, True, None)
    assert "as one of them alone is" in sentence(found, "auc", "run 0")
    single = decay(_chain(-0.005), 0.004)
    assert single is not None and single.alarm is None


def test_the_interval_of_a_sum_is_that_of_independent_effects() -> None:
    found = decay(_chain(-0.003, -0.003, error=0.003), 0.004)
    assert found is not None and found.last is not None and found.alarm is not None
    error, reach = math.sqrt(2) * 0.003, 2.024  # t of 38 degrees of freedom
    assert found.last.lower == pytest.approx(-0.006 - reach * error, abs=1e-5)
    assert found.last.upper == pytest.approx(-0.006 + reach * error, abs=1e-5)
    assert found.last.certain is False
    assert "this may be chance" in sentence(found, "auc", "run 0")


def test_a_standard_error_of_0_is_unknown() -> None:
    for error in (0.0, None):
        found = decay(_chain(-0.003, -0.003, error=error), 0.004)
        assert found is not None and found.alarm is not None
        assert (found.alarm.lower, found.alarm.upper, found.alarm.certain) == (None, None, None)
        assert "no interval for the sum" in sentence(found, "auc", "run 0")


def test_effects_are_chained_along_baselines_only() -> None:
    # Run 2 was compared with run 0 too: what run 1 lost is not its own.
    series = [
        Measured(0, _of(0.9)),
        Measured(1, _of(0.9), _of(-0.003), 0),
        Measured(2, _of(0.9), _of(-0.002), 0),
        Measured(3, _of(0.9), _of(-0.001), 2),
    ]
    found = decay(series, 0.004)
    assert found is not None
    assert [(total.run, total.steps) for total in found.totals] == [(1, (1,)), (2, (2,)), (3, (2, 3))]
    assert [round(total.change, 6) for total in found.totals] == [-0.003, -0.002, -0.003]


def test_a_run_whose_model_does_not_descend_from_the_baseline_is_left_out() -> None:
    series = [
        *_chain(-0.001, -0.001),
        Measured(9, _of(0.9), _of(-0.5), 77),
        Measured(10, _of(0.9), _of(-0.001), 2),
    ]
    found = decay(series, 0.004)
    assert found is not None
    assert (found.of, found.left_out) == (EFFECTS, (9,))


def test_without_a_chain_values_are_compared() -> None:
    series = [Measured(run, _of(0.9 - 0.003 * run)) for run in range(4)]
    found = decay(series, 0.004)
    assert found is not None and found.last is not None
    assert (found.of, found.last.alarm) == (VALUES, True)
    assert found.last.change == pytest.approx(-0.009)
    assert "data and models together" in sentence(found, "auc", "run 0")
    # The last is not linked.
    broken = decay([*_chain(-0.001), Measured(5, _of(0.89), _of(-0.001), None)], 0.004)
    assert broken is not None and broken.of == VALUES


def test_lower_may_be_better() -> None:
    series = [Measured(run, _of(0.2 + 0.003 * run)) for run in range(3)]
    found = decay(series, 0.004, LOWER)
    assert found is not None and found.alarm is not None and found.alarm.certain is False
    better = decay([Measured(run, _of(0.2 - 0.003 * run)) for run in range(3)], 0.004, LOWER)
    assert better is not None and better.alarm is None


def test_too_little_to_tell() -> None:
    assert decay([], 0.1) is None
    assert decay([Measured(1, _of(0.9))], 0.1) is None
    assert decay([Measured(1, _of(0.9)), Measured(2, _of(math.nan))], 0.1) is None


def test_the_interval_of_a_sum_holds_what_was_planted() -> None:
    """Six models lose 0.002 each; each effect is the mean of 20 buckets, as a jackknife has them."""
    draw, inside = random.Random(5), 0
    for _ in range(400):
        series = [Measured(0, _of(0.9))]
        for run in range(1, 7):
            buckets = [draw.gauss(-0.002, 0.01) for _ in range(20)]
            effect = Estimate(statistics.fmean(buckets), statistics.stdev(buckets) / math.sqrt(20), 19)
            series.append(Measured(run, _of(0.9), effect, run - 1))
        found = decay(series, 0.004)
        assert found is not None and found.last is not None
        assert found.last.lower is not None and found.last.upper is not None
        inside += found.last.lower <= -0.012 <= found.last.upper
    assert inside / 400 >= 0.93
