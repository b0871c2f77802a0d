"""Finds slow decay: changes that are each within the allowed one, and together are not.

A baseline that moves along with every blessed model forgets what was lost before. One that is pinned does not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from mlmd_panel.evaluation.differences import Estimate, TDifference, welch
from mlmd_panel.evaluation.direction import HIGHER
from mlmd_panel.formats import number, signed

LEVEL = 0.95
EFFECTS, VALUES = "model effects", "values"


@dataclasses.dataclass(frozen=True)
class Measured:
    """A run in a series.

    Attributes:
      run: Its id.
      value: The metric of its model on its data.
      effect: The change of its model against that of the run `against`, both on this run's data: TFMA's `*_diff`.
      against: The run whose model was its baseline; None where that is not known.
    """

    run: int
    value: Estimate
    effect: Estimate | None = None
    against: int | None = None


@dataclasses.dataclass(frozen=True)
class Total:
    """How far a run is from the pinned baseline.

    Attributes:
      run: Its id.
      steps: Runs from the one after the baseline to this one, whose changes are added up.
      change: Their sum.
      lower: Lower end of its interval at 95 %; None where one of the standard errors is unknown.
      upper: Upper end.
      within: Each single change is within the allowed one.
      beyond: The sum is worse than the allowed change.
      certain: Whether the interval is wholly worse than that; None without an interval.
      alarm: No single change would have been noticed, but their sum should be.
    """

    run: int
    steps: tuple[int, ...]
    change: float
    lower: float | None
    upper: float | None
    within: bool
    beyond: bool
    certain: bool | None
    alarm: bool


@dataclasses.dataclass(frozen=True)
class Decay:
    """A series of changes against a pinned baseline.

    Attributes:
      baseline: The run that is pinned.
      allowed: How much worse a change may be; 0 or more.
      better: `higher` or `lower`.
      of: `model effects` where each model was measured beside its baseline on the same data; else `values`, which data
        change too.
      totals: Sum of the changes up to each later run, oldest first.
      left_out: Runs whose models do not descend from the baseline's; only where `of` is `model effects`.
    """

    baseline: int
    allowed: float
    better: str
    of: str
    totals: tuple[Total, ...]
    left_out: tuple[int, ...] = ()

    @property
    def last(self) -> Total | None:
        """Of the newest run that has one."""
        return self.totals[-1] if self.totals else None

    @property
    def alarm(self) -> Total | None:
        """The newest run's, if it is an alarm."""
        return self.last if self.last and self.last.alarm else None


def decay(series: Sequence[Measured], allowed: float, better: str = HIGHER) -> Decay | None:
    """Adds up the changes since the first run of a series, the pinned baseline; None for less than two runs.

    Model effects are added where the newest run's chain of baselines leads to the pinned one: the sum is then free of
    changes of the data. Otherwise values are compared, with Welch's interval.

    Args:
      series: Oldest first; of one metric, pipeline and slice.
      allowed: How much worse a single change may be, such as 0.004.
      better: `higher` or `lower`.
    """
    series = [one for one in series if math.isfinite(one.value.value)]
    if len(series) < 2:
        return None
    places = {one.run: place for place, one in enumerate(series)}
    chains = [_chain(series, places, place) for place in range(1, len(series))]
    if chains[-1]:
        totals = tuple(_of_effects(chain, allowed, better) for chain in chains if chain)
        left_out = tuple(one.run for one, chain in zip(series[1:], chains, strict=True) if not chain)
        return Decay(series[0].run, allowed, better, EFFECTS, totals, left_out)
    found = tuple(_of_values(series[: place + 1], allowed, better) for place in range(1, len(series)))
    return Decay(series[0].run, allowed, better, VALUES, found)


def sentence(found: Decay, metric: str, since: str) -> str:
    """What a decay says of its newest run.

    Args:
      found: The decay.
      metric: Name of the metric, with its slice.
      since: Name of the pinned run.
    """
    total = found.last
    if total is None:
        return ""
    what = "by the models alone" if found.of == EFFECTS else "data and models together"
    count = len(total.steps)
    changes = "1 change" if count == 1 else f"{count} changes"
    text = f"{metric} changed by {signed(total.change)} since {since}, {what}, over {changes}"
    allowed = f"the {number(found.allowed)} by which one change may be worse"
    if total.alarm:
        text = f"Alarm: {text}. Each was within {allowed}; their sum is not."
    elif total.beyond:
        text = f"{text}. That is more than {allowed}" + (", as one of them alone is." if count > 1 else ".")
    else:
        text = f"{text}. That is within {allowed}."
    if total.lower is None or total.upper is None:
        return f"{text} There is no interval for the sum."
    ends = f"The interval ({signed(total.lower)} to {signed(total.upper)})"
    if not total.beyond:
        return f"{text} Its interval is {signed(total.lower)} to {signed(total.upper)}."
    if total.certain:
        return f"{text} {ends} lies wholly beyond: this is more than chance."
    return f"{text} {ends} reaches back to what is allowed: this may be chance."


def _chain(
    series: Sequence[Measured], places: Mapping[int, int], place: int
) -> tuple[tuple[int, Estimate], ...]:
    """Runs and effects from the first run to one; empty where they do not lead there."""
    found: list[tuple[int, Estimate]] = []
    while place > 0:
        one = series[place]
        before = places.get(one.against) if one.against is not None else None
        if one.effect is None or not math.isfinite(one.effect.value) or before is None or before >= place:
            return ()
        found.append((one.run, one.effect))
        place = before
    return tuple(reversed(found))


def _of_effects(chain: Sequence[tuple[int, Estimate]], allowed: float, better: str) -> Total:
    effects = [effect for _, effect in chain]
    return _total([run for run, _ in chain], [one.value for one in effects], _sum(effects), allowed, better)


def _of_values(series: Sequence[Measured], allowed: float, better: str) -> Total:
    values = [one.value.value for one in series]
    steps = [after - before for before, after in zip(values, values[1:], strict=False)]
    found = welch(series[0].value, series[-1].value)
    runs = [one.run for one in series[1:]]
    return _total(runs, steps, found, allowed, better, values[-1] - values[0])


def _total(
    runs: Sequence[int],
    steps: Sequence[float],
    found: TDifference | None,
    allowed: float,
    better: str,
    change: float | None = None,
) -> Total:
    change = math.fsum(steps) if change is None else change
    sign = -1 if better == HIGHER else 1
    lower, upper = found.interval(LEVEL) if found else (None, None)
    best = None if lower is None or upper is None else min(sign * lower, sign * upper)
    within = all(sign * step <= allowed for step in steps)
    beyond = sign * change > allowed
    return Total(
        run=runs[-1],
        steps=tuple(runs),
        change=change,
        lower=lower,
        upper=upper,
        within=within,
        beyond=beyond,
        certain=None if best is None else best > allowed,
        alarm=within and beyond and len(steps) > 1,
    )


def _sum(effects: Sequence[Estimate]) -> TDifference | None:
    """The sum of independent effects; None where a standard error is unknown, as one of 0 is.

    Source: Satterthwaite (1946) for the degrees of freedom.
    """
    errors = [(one.standard_error or 0.0) ** 2 for one in effects]
    if not all(error > 0 and math.isfinite(error) for error in errors):
        return None
    both = math.fsum(errors)
    spread = math.fsum(error * error / one.degrees for error, one in zip(errors, effects, strict=True))
    degrees = both * both / spread if spread else math.inf
    return TDifference(math.fsum(one.value for one in effects), math.sqrt(both), degrees)
