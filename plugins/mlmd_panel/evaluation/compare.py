"""Compares two evaluations, slice by slice and metric by metric, and says which changes are real."""

from __future__ import annotations

import dataclasses
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any

from mlmd_panel.evaluation import verdicts
from mlmd_panel.evaluation.allowed_change import Thresholds, allowed
from mlmd_panel.evaluation.direction import direction
from mlmd_panel.evaluation.effects import MIN_EXAMPLES, Effect, Effects, Link, effects
from mlmd_panel.evaluation.evaluated import Evaluated, is_baseline_of, same_examples, same_model
from mlmd_panel.evaluation.false_discovery import corrected_level
from mlmd_panel.evaluation.metric_ranges import is_share
from mlmd_panel.evaluation.packed_rows import Outline, PackedRows
from mlmd_panel.evaluation.row import MODEL_EFFECT, TOTAL, Levels, Row, Side, judged_effect
from mlmd_panel.evaluation.values import SideValues, SliceValues, names
from mlmd_panel.payloads.evaluation.metrics import MetricKey
from mlmd_panel.payloads.evaluation.slices import Slice

MAX_ROWS = 50_000
OVERALL, METRIC, ALL = "overall", "metric", "all"
# What is corrected for many comparisons together.
SCOPES = {
    OVERALL: "all examples and slices apart",
    METRIC: "each metric apart",
    ALL: "all comparisons together",
}
LEVEL = 0.95


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


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two evaluations beside each other.

    Attributes:
      rows: Ranked: worse first, by share of the examples times size of the change. Their numbers are those of the order
        by slice, then metric.
      counts: Number of rows by verdict, in the order of `verdicts.ORDER`.
      compared: Number of rows that both sides have.
      corrected: Number of comparisons that were tested, and so corrected for.
      metrics: Names of the metrics that were compared.
      slices: Number of slices of the two.
      only_baseline: Slices that only the baseline has.
      only_candidate: Slices that only the candidate has.
      weighting_differs: Names of metrics that are not compared, as their example weighting is not the same.
      settings_differ: Metrics that are not compared, as they are computed differently: name, and each side's settings.
      link: How the two evaluations relate.
      method: How the changes were judged.
      cut: There are more rows, or one of the evaluations was cut.
    """

    rows: PackedRows
    counts: dict[str, int]
    compared: int
    corrected: int
    metrics: tuple[str, ...]
    slices: int
    only_baseline: tuple[Slice, ...]
    only_candidate: tuple[Slice, ...]
    weighting_differs: tuple[str, ...]
    settings_differ: tuple[tuple[str, str, str], ...]
    link: Link
    method: Method
    cut: bool

    @cached_property
    def overall(self) -> tuple[Row, ...]:
        """The rows of all examples."""
        return tuple(self.rows.chosen(one for one in self.rows.outlines() if one.slice.is_overall))


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
    sides = (
        SideValues(baseline, named.models[0], wanted, judged_only=True),
        SideValues(candidate, named.models[1], wanted),
    )
    found = sorted({*sides[0].slices, *sides[1].slices}, key=lambda one: one.sort_key)
    comparing = _Comparing(baseline, candidate, wanted, link, method, _examples_in_all(sides))
    rows, tests = PackedRows(), _Tests(method)
    cut = baseline.payload.cut or candidate.payload.cut
    for row in chain.from_iterable(comparing.rows(one, sides[0].of(one), sides[1].of(one)) for one in found):
        if len(rows) >= MAX_ROWS:
            cut = True
            break
        tests.add(row)
        rows.append(row)
    _judge(rows, tests, same=comparing.same)
    counts = Counter(one.verdict for one in rows.outlines())
    return Comparison(
        rows.ranked(),
        {verdict: counts[verdict] for verdict in verdicts.ORDER},
        sum(one.in_baseline and one.in_candidate for one in rows.outlines()),
        tests.count,
        tuple(wanted.values()),
        len(found),
        tuple(one for one in found if one not in sides[1].slices),
        tuple(one for one in found if one not in sides[0].slices),
        named.weighting_differs,
        named.settings_differ,
        link,
        method,
        cut,
    )


class _Comparing:
    """Makes the rows of slices, whose verdicts may have to wait for the tests of all rows."""

    def __init__(
        self,
        baseline: Evaluated,
        candidate: Evaluated,
        wanted: Mapping[MetricKey, str],
        link: Link,
        method: Method,
        examples: float | None,
    ) -> None:
        self.same = not link.own and baseline.artifact.id == candidate.artifact.id
        self._wanted, self._link, self._method, self._examples = wanted, link, method, examples
        self._alone = Levels(method.level, method.level)
        self._thresholds = Thresholds(candidate.payload)
        configs = baseline.payload.config, candidate.payload.config
        self._better = {key: direction(key, *configs) for key in wanted}

    def rows(self, slice_: Slice, before: SliceValues | None, after: SliceValues | None) -> Iterator[Row]:
        """A row for each metric that one of the two has."""
        for key, name in self._wanted.items():
            two = _side(before, key), _side(after, key)
            if two[0] is not None or two[1] is not None:
                yield self._row(slice_, key, name, two, before, after)

    def _row(
        self,
        slice_: Slice,
        key: MetricKey,
        name: str,
        two: tuple[Side | None, Side | None],
        before: SliceValues | None,
        after: SliceValues | None,
    ) -> Row:
        found = None
        if two[0] is not None and two[1] is not None and before is not None and after is not None:
            found = effects(key, before, after, self._link, self._method.min_examples)
        effect = judged_effect(found)
        counts = [side.examples for side in two if side and side.examples is not None]
        share = min(counts) / self._examples if counts and self._examples else 1.0
        verdict, why = self._verdict(two, effect)
        checks = self._thresholds.checks(slice_, key)
        return Row(
            slice=slice_,
            metric=name,
            baseline=two[0],
            candidate=two[1],
            better=self._better[key],
            effects=found,
            levels=self._alone,
            judged=_judged(found, effect),
            verdict=verdict,
            why=why,
            allowed=allowed(checks, _reference(key, before, after)) if checks else None,
            checks=checks,
            changed=two[0] is None or two[1] is None or not _same(two[0].value, two[1].value),
            importance=_size(key, two[0], effect) * share,
            enough=not counts or min(counts) >= self._method.min_examples,
        )

    def _verdict(self, two: tuple[Side | None, Side | None], effect: Effect | None) -> tuple[str, str]:
        """The verdict where there is nothing to test; else inconclusive until the tests of all rows are known."""
        before, after = two
        if before is None or after is None:
            return (verdicts.ONLY_BASELINE if after is None else verdicts.ONLY_CANDIDATE), ""
        if self.same:
            return verdicts.UNCHANGED, verdicts.SAME_VALUES
        if effect is None:
            equal = _same(before.value, after.value)
            return verdicts.INCONCLUSIVE, "equal, but not a single number" if equal else "not a single number"
        return verdicts.INCONCLUSIVE, effect.why


class _Tests:
    """The p-values of what is corrected together."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._p_values: dict[Any, array] = {}

    def add(self, row: Row) -> None:
        effect = judged_effect(row.effects)
        if effect is not None and effect.difference is not None:
            self._p_values.setdefault(self._group(row), array("d")).append(effect.difference.p_value)

    @property
    def count(self) -> int:
        return sum(map(len, self._p_values.values()))

    def levels(self) -> Callable[[Outline], Levels]:
        """The levels of the intervals of a row that was tested."""
        level = self._method.level
        found = {
            group: Levels(level, corrected_level(p_values, level))
            for group, p_values in self._p_values.items()
        }
        return lambda row: found[self._group(row)]

    def _group(self, row: Row | Outline) -> Any:
        return {OVERALL: row.slice.is_overall, METRIC: row.metric, ALL: None}[self._method.scope]


def _judge(rows: PackedRows, tests: _Tests, same: bool) -> None:
    """Sets the verdicts that rest on tests."""
    levels_of = tests.levels()
    for place, one in enumerate(rows.outlines()):
        tested = rows.tested(place)
        if tested is None:
            continue
        difference, better, allowed_ = tested
        levels = levels_of(one)
        found = verdicts.UNCHANGED, verdicts.SAME_VALUES
        if not same:
            alone, corrected = difference.interval(levels.alone), difference.interval(levels.corrected)
            found = verdicts.verdict(alone, corrected, better, allowed_)
        rows.judge(place, *found, levels)


def _judged(found: Effects | None, effect: Effect | None) -> str:
    """What the verdict is about; of the same examples the model's part is all."""
    if found is None:
        return ""
    return MODEL_EFFECT if effect is found.model else TOTAL


def _size(key: MetricKey, before: Side | None, effect: Effect | None) -> float:
    """Of a change; of metrics without a scale of their own as a part of the baseline's value."""
    if effect is None:
        return 1.0
    size = abs(effect.value)
    return size if is_share(key) or before is None or not before.number else size / abs(before.number)


def _reference(key: MetricKey, before: SliceValues | None, after: SliceValues | None) -> float | None:
    """What TFMA's relative thresholds are a part of: the value of the candidate's own baseline model."""
    own = after.baseline.get(dataclasses.replace(key, model="") if key.model else key) if after else None
    if own is None:
        own = before.judged.get(key) if before else None
    return own.number if own else None


def _side(values: SliceValues | None, key: MetricKey) -> Side | None:
    metric = values.judged.get(key) if values else None
    if metric is None or values is None:
        return None
    number = metric.number
    value = metric.value if number is None else number
    return Side(value, metric.interval, values.part.examples, values.part.weighted_examples)


def _examples_in_all(sides: Iterable[SideValues]) -> float | None:
    """Examples of the candidate in all, or in its largest slice where it has no slice of all examples."""
    return max((count for side in sides for count in side.examples if count), default=None)


def _same(one: Any, two: Any) -> bool:
    """Equal; NaN is equal to NaN."""
    return bool(one == two) or (one != one and two != two)
