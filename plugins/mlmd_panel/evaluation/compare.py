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
class Row:
    """A metric in a slice.

    Attributes:
      slice: The slice.
      metric: Its name, such as `auc`, or `auc of dnn, weighted`.
      baseline: The baseline's; None if only the candidate has it.
      candidate: The candidate's; None if only the baseline has it.
      better: Whether `higher` or `lower` is better; None if not known.
      total: The change; None without two numbers.
      relative: The change divided by the baseline's absolute value; None without two numbers, or if that is 0.
      model_effect: The model's part; None where the two runs do not tell.
      data_effect: The data's part; None where the two runs do not tell.
      judged: Which of them the verdict is about: model_effect, total or "".
      verdict: One of `verdicts.ORDER`.
      why: What the verdict rests on where it does not speak for itself.
      detectable: The smallest change that this comparison finds with a probability of 80 %; None if not known.
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
    total: Change | None
    relative: float | None
    model_effect: Change | None
    data_effect: Change | None
    judged: str
    verdict: str
    why: str
    detectable: float | None
    allowed: float | None
    checks: tuple[Check, ...]
    changed: bool
    importance: float
    enough: bool

    @property
    def judged_change(self) -> Change | None:
        """The change that the verdict is about."""
        return self.model_effect if self.judged == MODEL_EFFECT else self.total


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
    level: float
    reference: float | None

    @property
    def judged(self) -> str:
        if self.effects is None:
            return ""
        # Of one model on two sets of examples there is no model effect to judge.
        model = self.effects.model
        return MODEL_EFFECT if model is not None and (model.difference or model.why) else TOTAL

    @property
    def effect(self) -> Effect | None:
        if self.effects is None:
            return None
        return self.effects.model if self.judged == MODEL_EFFECT else self.effects.total


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
    for slice_ in sorted({*sides[0], *sides[1]}, key=lambda one: one.sort_key):
        before, after = sides[0].get(slice_), sides[1].get(slice_)
        for key, name in wanted.items():
            two = _side(before, key), _side(after, key)
            if two == (None, None):
                continue
            found = None
            if two[0] is not None and two[1] is not None and before is not None and after is not None:
                found = effects(key, before, after, link, method.min_examples)
            yield _Pair(slice_, key, name, two, found, method.level, _reference(key, before, after))


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
        level = corrected_level([p for _, p in group_pairs], method.level)
        for pair, _ in group_pairs:
            pair.level = level


def _row(
    pair: _Pair, better: str | None, thresholds: Thresholds, of_all: float | None, method: Method, same: bool
) -> Row:
    before, after = pair.sides
    effect, found = pair.effect, pair.effects
    allowed = thresholds.allowed(pair.slice, pair.key, pair.reference)
    judged = pair.judged
    verdict, why = _verdict(pair, better, allowed, method, same)
    total = _change(found.total, pair, method, judged == TOTAL) if found else None
    model = found.model if found else None
    data = found.data if found else None
    relative = None
    if total is not None and before is not None and before.number:
        relative = total.value / abs(before.number)
    size = abs(effect.value) if effect is not None else 1.0
    if effect is not None and not is_share(pair.key) and before is not None and before.number:
        size /= abs(before.number)
    detectable = effect.difference.detectable(pair.level) if effect and effect.difference else None
    return Row(
        slice=pair.slice,
        metric=pair.name,
        baseline=before,
        candidate=after,
        better=better,
        total=total,
        relative=relative,
        model_effect=_change(model, pair, method, judged == MODEL_EFFECT) if model else None,
        data_effect=_change(data, pair, method, False) if data else None,
        judged=judged,
        verdict=verdict,
        why=why,
        detectable=detectable,
        allowed=allowed,
        checks=thresholds.checks(pair.slice, pair.key),
        changed=before is None or after is None or not _same(before.value, after.value),
        importance=_share(before, after, of_all) * size,
        enough=all(
            side.examples is None or side.examples >= method.min_examples for side in (before, after) if side
        ),
    )


def _verdict(
    pair: _Pair, better: str | None, allowed: float | None, method: Method, same: bool
) -> tuple[str, str]:
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
    interval = effect.difference.interval(method.level)
    return verdicts.verdict(interval, effect.difference.interval(pair.level), better, allowed)


def _change(effect: Effect, pair: _Pair, method: Method, judged: bool) -> Change:
    found = effect.difference
    if found is None:
        return Change(effect.value, None, None, effect.method, None, effect.why)
    interval = Bounds(*found.interval(method.level))
    corrected = Bounds(*found.interval(pair.level)) if judged else None
    return Change(effect.value, interval, corrected, effect.method, found.p_value, "")


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


def _share(before: Side | None, after: Side | None, of_all: float | None) -> float:
    """Share of the examples that a row is about, by the side that has fewer; 1 where it is not known."""
    counts = [side.examples for side in (before, after) if side and side.examples is not None]
    return min(counts) / of_all if counts and of_all else 1.0


def _same(one: Any, two: Any) -> bool:
    """Equal; NaN is equal to NaN."""
    return bool(one == two) or (one != one and two != two)
