"""A metric in a slice of two evaluations: both values, the change with its parts, and the verdict on it."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from mlmd_panel.evaluation import verdicts
from mlmd_panel.evaluation.effects import Effect, Effects
from mlmd_panel.payloads.evaluation.metrics import Interval
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.payloads.evaluation.validation import Check

MODEL_EFFECT, TOTAL = "model_effect", "total"
_ORDER = {verdict: place for place, verdict in enumerate(verdicts.ORDER)}


@dataclasses.dataclass(frozen=True, slots=True)
class Side:
    """A metric in one of the two evaluations.

    Attributes:
      value: A number; or text or a structure, which are only checked for equality.
      interval: TFMA's, or None.
      examples: Number of examples in the slice, or None.
      weighted_examples: Sum of their weights, or None.
    """

    value: Any
    interval: Interval | None
    examples: float | None
    weighted_examples: float | None

    @property
    def number(self) -> float | None:
        """The value when it is a number."""
        return self.value if isinstance(self.value, (int, float)) else None


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of a confidence interval."""

    lower: float
    upper: float


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A change, or the model's or the data's part of it.

    Attributes:
      value: Candidate minus baseline.
      interval: At the level of the method; None where it is not known.
      corrected: The interval that agrees with the verdict, after the correction for many comparisons; None of parts
        that the verdict is not about.
      method: paired, Welch or Newcombe; `same examples` or `same model` where there is no such effect; or "".
      p_value: Two-sided, of no change; None without an interval.
      why: Why there is no interval, or empty.
    """

    value: float
    interval: Bounds | None
    corrected: Bounds | None
    method: str
    p_value: float | None
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Levels:
    """Levels of intervals: of one alone, and of one that agrees with the verdict after the correction for many."""

    alone: float
    corrected: float


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A metric in a slice.

    Attributes:
      slice: The slice.
      metric: Its name, such as `auc`, or `auc of dnn, weighted`.
      baseline: The baseline's; None if only the candidate has it.
      candidate: The candidate's; None if only the baseline has it.
      better: Whether `higher` or `lower` is better; None if not known.
      effects: The change and its parts; None without two numbers.
      levels: Of the intervals.
      judged: What the verdict is about: model_effect, total or "".
      verdict: One of `verdicts.ORDER`.
      why: What the verdict rests on where it does not speak for itself.
      allowed: How much worse the metric may get by the candidate's thresholds; None without one on the change.
      checks: Thresholds on the metric in the slice, with their margins, as the candidate's Evaluator applied them.
      changed: The values differ, or one is missing.
      importance: Share of the examples times size of the change; rows of a verdict are ranked by it.
      enough: No side that has the metric is known to have too few examples.
    """

    slice: Slice
    metric: str
    baseline: Side | None
    candidate: Side | None
    better: str | None
    effects: Effects | None
    levels: Levels
    judged: str
    verdict: str
    why: str
    allowed: float | None
    checks: tuple[Check, ...]
    changed: bool
    importance: float
    enough: bool

    @property
    def total(self) -> Change | None:
        """The change; None without two numbers."""
        return self._change(self.effects.total, self.judged == TOTAL) if self.effects else None

    @property
    def model_effect(self) -> Change | None:
        """The model's part; None where the two runs do not tell."""
        found = self.effects.model if self.effects else None
        return self._change(found, self.judged == MODEL_EFFECT) if found else None

    @property
    def data_effect(self) -> Change | None:
        """The data's part; None where the two runs do not tell."""
        found = self.effects.data if self.effects else None
        return self._change(found, False) if found else None

    @property
    def judged_change(self) -> Change | None:
        """The change that the verdict is about."""
        return self.model_effect if self.judged == MODEL_EFFECT else self.total

    @property
    def relative(self) -> float | None:
        """The change divided by the baseline's absolute value; None without two numbers, or if that is 0."""
        number = self.baseline.number if self.baseline else None
        return self.effects.total.value / abs(number) if self.effects and number else None

    @property
    def relative_interval(self) -> Bounds | None:
        """Of the relative change, with the baseline's value taken as it was measured; None where it is not known."""
        total, number = self.total, self.baseline.number if self.baseline else None
        if total is None or total.interval is None or not number:
            return None
        return Bounds(total.interval.lower / abs(number), total.interval.upper / abs(number))

    @property
    def detectable(self) -> float | None:
        """The smallest change that this comparison finds with a probability of 80 %; None if not known."""
        effect = judged_effect(self.effects)
        return effect.difference.detectable(self.levels.corrected) if effect and effect.difference else None

    def _change(self, effect: Effect, judged: bool) -> Change:
        # Worked out when it is shown: of thousands of rows few are.
        found = effect.difference
        if found is None:
            return Change(effect.value, None, None, effect.method, None, effect.why)
        interval = Bounds(*found.interval(self.levels.alone))
        corrected = Bounds(*found.interval(self.levels.corrected)) if judged else None
        return Change(effect.value, interval, corrected, effect.method, found.p_value, "")


def judged_effect(found: Effects | None) -> Effect | None:
    """What the verdict is about: the model's part, if it is known."""
    if found is None:
        return None
    # Of one model on two sets of examples there is no model effect to judge.
    return (
        found.model
        if found.model is not None and (found.model.difference or found.model.why)
        else found.total
    )


class Ranked(Protocol):
    """What `rank` looks at: a row, or it in short."""

    @property
    def verdict(self) -> str:
        """One of `verdicts.ORDER`."""

    @property
    def enough(self) -> bool:
        """No side that has the metric is known to have too few examples."""

    @property
    def importance(self) -> float:
        """Share of the examples times size of the change."""


def rank(row: Ranked) -> tuple[int, float]:
    """Sorts rows: the gravest verdict first, then by share of the examples times size of the change.

    What only one side has of a few examples comes with what is inconclusive: such slices come and go.
    """
    few = row.verdict in (verdicts.ONLY_BASELINE, verdicts.ONLY_CANDIDATE) and not row.enough
    return _ORDER[verdicts.INCONCLUSIVE if few else row.verdict], -row.importance
