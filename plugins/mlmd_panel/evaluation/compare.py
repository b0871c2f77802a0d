"""Compares two evaluations, slice by slice and metric by metric, and says which changes are real."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from mlmd_panel.evaluation import verdicts
from mlmd_panel.evaluation.allowed_change import Thresholds
from mlmd_panel.evaluation.direction import direction
from mlmd_panel.evaluation.effects import MIN_EXAMPLES, Effect, Effects, Link, effects
from mlmd_panel.evaluation.evaluated import Evaluated, is_baseline_of, same_examples, same_model
from mlmd_panel.evaluation.false_discovery import corrected_level
from mlmd_panel.evaluation.metric_ranges import is_share
from mlmd_panel.evaluation.values import SliceValues, by_slice, names
from mlmd_panel.payloads.evaluation.metrics import Interval, MetricKey
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.payloads.evaluation.validation import Check

MAX_ROWS = 50_000
OVERALL, METRIC, ALL = "overall", "metric", "all"
# What is corrected for many comparisons together.
SCOPES = {
    OVERALL: "all examples and slices apart",
    METRIC: "each metric apart",
    ALL: "all comparisons together",
}
LEVEL = 0.95
MODEL_EFFECT, TOTAL = "model_effect", "total"
_ORDER = {verdict: place for place, verdict in enumerate(verdicts.ORDER)}


@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """How changes are judged.

    Attributes:
      level: Of the confidence intervals before correction.
      scope: What is corrected for many comparisons together, one of SCOPES.
      min_examples: With fewer on either side nothing is said of a change.
    """

    level: float = LEVEL
    scope: str = OVERALL
    min_examples: int = MIN_EXAMPLES


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


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two evaluations beside each other.

    Attributes:
      rows: Ranked: worse first, by share of the examples times size of the change.
      counts: Number of rows by verdict, in the order of `verdicts.ORDER`.
      compared: Number of rows that both sides have.
      corrected: Number of comparisons that were tested, and so corrected for.
      metrics: Names of the metrics that were compared.
      slices: Number of slices of the two.
      only_baseline: Slices that only the baseline has.
      only_candidate: Slices that only the candidate has.
      weighting_differs: Names of metrics that are not compared, as their example weighting is not the same.
      link: How the two evaluations relate.
      method: How the changes were judged.
      cut: There are more rows, or one of the evaluations was cut.
    """

    rows: tuple[Row, ...]
    counts: dict[str, int]
    compared: int
    corrected: int
    metrics: tuple[str, ...]
    slices: int
    only_baseline: tuple[Slice, ...]
    only_candidate: tuple[Slice, ...]
    weighting_differs: tuple[str, ...]
    link: Link
    method: Method
    cut: bool

    @property
    def overall(self) -> tuple[Row, ...]:
        """The rows of all examples."""
        return tuple(row for row in self.rows if row.slice.is_overall)


@dataclasses.dataclass(slots=True)
class _Pair:
    """A row that is not judged yet."""

    slice: Slice
    key: MetricKey
    name: str
    sides: tuple[Side | None, Side | None]
    effects: Effects | None
    reference: float | None
    judged: str
    effect: Effect | None
    levels: Levels


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


def link_of(baseline: Evaluated, candidate: Evaluated) -> Link:
    """How two evaluations relate."""
    own = baseline.own_baseline and baseline.artifact.id == candidate.artifact.id
    return Link(
        is_baseline=own or is_baseline_of(baseline, candidate),
        same_model=not own and same_model(baseline, candidate),
        same_examples=True if own else same_examples(baseline, candidate),
        own=own,
    )


def compare(
    baseline: Evaluated,
    candidate: Evaluated,
    metrics: Collection[str] | None = None,
    method: Method = Method(),  # noqa: B008 - frozen
) -> Comparison:
    """Compares the candidate models of two evaluations.

    Args:
      baseline: The baseline.
      candidate: The candidate.
      metrics: Names of the metrics to compare; None for all. What is compared is also what is corrected for.
      method: How changes are judged.
    """
    named = names(baseline, candidate)
    wanted = {key: name for key, name in named.of_key.items() if metrics is None or name in metrics}
    link = link_of(baseline, candidate)
    sides = by_slice(baseline, named.models[0]), by_slice(candidate, named.models[1])
    pairs: list[_Pair] = []
    cut = baseline.payload.cut or candidate.payload.cut
    for pair in _pairs(sides, wanted, link, method):
        if len(pairs) >= MAX_ROWS:
            cut = True
            break
        pairs.append(pair)
    _correct(pairs, method)
    thresholds = Thresholds(candidate.payload)
    configs = baseline.payload.config, candidate.payload.config
    better = {key: direction(key, *configs) for key in wanted}
    of_all = _examples_in_all(sides)
    same = not link.own and baseline.artifact.id == candidate.artifact.id
    rows = [_row(pair, better[pair.key], thresholds, of_all, method, same) for pair in pairs]
    rows.sort(key=rank)
    counts = Counter(row.verdict for row in rows)
    found = sorted({*sides[0], *sides[1]}, key=lambda one: one.sort_key)
    return Comparison(
        tuple(rows),
        {verdict: counts[verdict] for verdict in verdicts.ORDER},
        sum(row.baseline is not None and row.candidate is not None for row in rows),
        sum(pair.effect is not None and pair.effect.difference is not None for pair in pairs),
        tuple(wanted.values()),
        len(found),
        tuple(one for one in found if one not in sides[1]),
        tuple(one for one in found if one not in sides[0]),
        named.weighting_differs,
        link,
        method,
        cut,
    )


def rank(row: Row) -> tuple[int, float]:
    """Sorts rows: the gravest verdict first, then by share of the examples times size of the change.

    What only one side has of a few examples comes with what is inconclusive: such slices come and go.
    """
    few = row.verdict in (verdicts.ONLY_BASELINE, verdicts.ONLY_CANDIDATE) and not row.enough
    return _ORDER[verdicts.INCONCLUSIVE if few else row.verdict], -row.importance


def _pairs(
    sides: tuple[dict[Slice, SliceValues], dict[Slice, SliceValues]],
    wanted: Mapping[MetricKey, str],
    link: Link,
    method: Method,
) -> Iterator[_Pair]:
    """Each metric of each slice that one of the two has, all examples first."""
    alone = Levels(method.level, method.level)
    for slice_ in sorted({*sides[0], *sides[1]}, key=lambda one: one.sort_key):
        before, after = sides[0].get(slice_), sides[1].get(slice_)
        for key, name in wanted.items():
            two = _side(before, key), _side(after, key)
            if two == (None, None):
                continue
            found = None
            if two[0] is not None and two[1] is not None and before is not None and after is not None:
                found = effects(key, before, after, link, method.min_examples)
            effect = judged_effect(found)
            judged = "" if found is None else TOTAL if effect is found.total else MODEL_EFFECT
            # Of the same examples the model's part is all.
            judged = MODEL_EFFECT if found is not None and effect is found.model else judged
            yield _Pair(slice_, key, name, two, found, _reference(key, before, after), judged, effect, alone)


def _reference(key: MetricKey, before: SliceValues | None, after: SliceValues | None) -> float | None:
    """What TFMA's relative thresholds are a part of: the value of the candidate's own baseline model."""
    own = after.baseline.get(dataclasses.replace(key, model="") if key.model else key) if after else None
    if own is None:
        own = before.judged.get(key) if before else None
    return own.number if own else None


def _correct(pairs: Iterable[_Pair], method: Method) -> None:
    """Sets the level of each pair's interval that the correction for many comparisons asks."""
    groups: dict[Any, list[tuple[_Pair, float]]] = {}
    for pair in pairs:
        if pair.effect is not None and pair.effect.difference is not None:
            group = {OVERALL: pair.slice.is_overall, METRIC: pair.name, ALL: None}[method.scope]
            groups.setdefault(group, []).append((pair, pair.effect.difference.p_value))
    for group_pairs in groups.values():
        levels = Levels(method.level, corrected_level([p for _, p in group_pairs], method.level))
        for pair, _ in group_pairs:
            pair.levels = levels


def _row(
    pair: _Pair, better: str | None, thresholds: Thresholds, of_all: float | None, method: Method, same: bool
) -> Row:
    before, after = pair.sides
    effect = pair.effect
    allowed = thresholds.allowed(pair.slice, pair.key, pair.reference)
    verdict, why = _verdict(pair, better, allowed, same)
    size = abs(effect.value) if effect is not None else 1.0
    if effect is not None and not is_share(pair.key) and before is not None and before.number:
        size /= abs(before.number)
    counts = [side.examples for side in (before, after) if side and side.examples is not None]
    return Row(
        slice=pair.slice,
        metric=pair.name,
        baseline=before,
        candidate=after,
        better=better,
        effects=pair.effects,
        levels=pair.levels,
        judged=pair.judged,
        verdict=verdict,
        why=why,
        allowed=allowed,
        checks=thresholds.checks(pair.slice, pair.key),
        changed=before is None or after is None or not _same(before.value, after.value),
        importance=size * (min(counts) / of_all if counts and of_all else 1.0),
        enough=not counts or min(counts) >= method.min_examples,
    )


def _verdict(pair: _Pair, better: str | None, allowed: float | None, same: bool) -> tuple[str, str]:
    before, after = pair.sides
    if before is None or after is None:
        return (verdicts.ONLY_BASELINE if after is None else verdicts.ONLY_CANDIDATE), ""
    if same:
        return verdicts.UNCHANGED, verdicts.SAME_VALUES
    effect = pair.effect
    if effect is None:
        equal = _same(before.value, after.value)
        return verdicts.INCONCLUSIVE, "equal, but not a single number" if equal else "not a single number"
    if effect.difference is None:
        return verdicts.INCONCLUSIVE, effect.why
    interval = effect.difference.interval(pair.levels.alone)
    return verdicts.verdict(interval, effect.difference.interval(pair.levels.corrected), better, allowed)


def _side(values: SliceValues | None, key: MetricKey) -> Side | None:
    metric = values.judged.get(key) if values else None
    if metric is None or values is None:
        return None
    number = metric.number
    value = metric.value if number is None else number
    return Side(value, metric.interval, values.part.examples, values.part.weighted_examples)


def _examples_in_all(sides: Iterable[Mapping[Slice, SliceValues]]) -> float | None:
    """Examples of the candidate in all, or in its largest slice where it has no slice of all examples."""
    counts = [values.part.examples for side in sides for values in side.values() if values.part.examples]
    return max(counts, default=None)


def _same(one: Any, two: Any) -> bool:
    """Equal; NaN is equal to NaN."""
    return bool(one == two) or (one != one and two != two)
