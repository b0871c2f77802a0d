"""Keeps thousands of rows of a comparison in a few buffers.

As objects a row takes more than a kilobyte, and the memory around it stays with the process. Packed it takes a quarter
of that; the object is made when it is asked for.
"""

from __future__ import annotations

import copy
import marshal
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, overload

from mlmd_panel.evaluation.differences import Difference, ProportionDifference, TDifference
from mlmd_panel.evaluation.effects import Effect, Effects
from mlmd_panel.evaluation.row import MODEL_EFFECT, Levels, Row, Side, judged_effect, rank
from mlmd_panel.payloads.evaluation.metrics import Interval, MetricKey
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.payloads.evaluation.validation import Check

Value = TypeVar("Value")
_HAS_BASELINE, _HAS_CANDIDATE, _CHANGED, _ENOUGH, _COUNTED, _MOVED = 1, 2, 4, 8, 16, 32


class Outline(NamedTuple):
    """What rows are selected and sorted by, in short: 20,000 take some 20 ms.

    Attributes:
      number: Of the row, in the order in which rows were appended.
      slice: As the row has it.
      metric: As the row has it.
      verdict: As the row has it.
      importance: As the row has it.
      flags: See the properties.
      least: The smaller of the two numbers of examples, if one is known.
      by: The change that the verdict is about, if there is one.
    """

    number: int
    slice: Slice
    metric: str
    verdict: str
    importance: float
    flags: int
    least: float
    by: float

    @property
    def in_baseline(self) -> bool:
        """The baseline has the metric."""
        return bool(self.flags & _HAS_BASELINE)

    @property
    def in_candidate(self) -> bool:
        """The candidate has the metric."""
        return bool(self.flags & _HAS_CANDIDATE)

    @property
    def changed(self) -> bool:
        """As the row has it."""
        return bool(self.flags & _CHANGED)

    @property
    def enough(self) -> bool:
        """As the row has it."""
        return bool(self.flags & _ENOUGH)

    @property
    def examples(self) -> float | None:
        """The smaller of the two numbers of examples; None if neither is known."""
        return self.least if self.flags & _COUNTED else None

    @property
    def change(self) -> float | None:
        """Value of the change that the verdict is about; None without two numbers."""
        return self.by if self.flags & _MOVED else None


class PackedRows(Sequence[Row]):
    """Rows, equal to those that were appended."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._slices: _Table[Slice] = _Table()
        self._metrics: _Table[str] = _Table()
        self._outcomes: _Table[tuple[str, str, Levels]] = _Table()
        self._keys: _Table[MetricKey] = _Table()
        # What rows are selected and sorted by is in columns.
        self._slice, self._metric, self._outcome = array("I"), array("I"), array("I")
        self._importance, self._least, self._by = array("d"), array("d"), array("d")
        self._flags = array("B")
        # All else is in marshal's format, which keeps each number as it is in 9 bytes, and any text or list.
        self._packed = bytearray()
        self._ends = array("Q", [0])
        self._order = array("I")
        for row in rows:
            self.append(row)

    def append(self, row: Row) -> None:
        """Adds a row at the end."""
        known = [one.examples for one in (row.baseline, row.candidate) if one and one.examples is not None]
        effect = judged_effect(row.effects)
        self._slice.append(self._slices.number(row.slice))
        self._metric.append(self._metrics.number(row.metric))
        self._outcome.append(self._outcomes.number((row.verdict, row.why, row.levels)))
        self._importance.append(row.importance)
        self._least.append(min(known, default=0.0))
        self._by.append(effect.value if effect else 0.0)
        self._flags.append(
            _HAS_BASELINE * (row.baseline is not None)
            | _HAS_CANDIDATE * (row.candidate is not None)
            | _CHANGED * row.changed
            | _ENOUGH * row.enough
            | _COUNTED * bool(known)
            | _MOVED * (effect is not None)
        )
        self._packed += marshal.dumps(
            (
                _packed_side(row.baseline),
                _packed_side(row.candidate),
                row.better,
                _packed_effects(row.effects),
                row.judged,
                row.allowed,
                tuple(self._packed_check(one) for one in row.checks),
            )
        )
        self._ends.append(len(self._packed))
        self._order.append(len(self._order))

    def tested(self, place: int) -> tuple[Difference, str | None, float | None] | None:
        """What a row's verdict rests on: the difference, which direction is better, and the allowed change.

        None without a difference whose uncertainty is known.
        """
        _, _, better, effects, judged, allowed, _ = self._read(self._order[place])
        if effects is None:
            return None
        total, model, _ = effects
        difference = _effect(model if judged == MODEL_EFFECT else total).difference
        return (difference, better, allowed) if difference else None

    def judge(self, place: int, verdict: str, why: str, levels: Levels) -> None:
        """Sets the verdict on a row."""
        self._outcome[self._order[place]] = self._outcomes.number((verdict, why, levels))

    def ranked(self) -> PackedRows:
        """The same rows, the gravest first."""
        ranks = list(map(rank, self.outlines()))
        return self._in_order(self._order[place] for place in sorted(range(len(self)), key=ranks.__getitem__))

    def chosen(self, outlines: Iterable[Outline]) -> PackedRows:
        """Some of the rows in that order; what is packed is shared."""
        return self._in_order(one.number for one in outlines)

    def of(self, outline: Outline) -> Row:
        """The row of an outline."""
        return self._row(outline.number)

    def outlines(self) -> Iterator[Outline]:
        """What the rows can be selected and sorted by, without making them."""
        verdicts = [verdict for verdict, _, _ in self._outcomes.values]

        def column(values: Sequence[Any]) -> Iterator[Any]:
            return map(values.__getitem__, self._order)

        return map(
            Outline,
            self._order,
            map(self._slices.values.__getitem__, column(self._slice)),
            map(self._metrics.values.__getitem__, column(self._metric)),
            map(verdicts.__getitem__, column(self._outcome)),
            column(self._importance),
            column(self._flags),
            column(self._least),
            column(self._by),
        )

    def __eq__(self, other: object) -> bool:
        """Equal to the same rows, packed or in a tuple."""
        return isinstance(other, (PackedRows, tuple)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment] # as of lists

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Row, ...]: ...

    def __getitem__(self, place: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(place, slice):
            return tuple(map(self._row, self._order[place]))
        return self._row(self._order[place])

    def _in_order(self, numbers: Iterable[int]) -> PackedRows:
        made = copy.copy(self)
        made._order = array("I", numbers)
        return made

    def _read(self, number: int) -> tuple:
        return marshal.loads(memoryview(self._packed)[self._ends[number] : self._ends[number + 1]])

    def _row(self, number: int) -> Row:
        baseline, candidate, better, effects, judged, allowed, checks = self._read(number)
        slice_ = self._slices.values[self._slice[number]]
        verdict, why, levels = self._outcomes.values[self._outcome[number]]
        flags = self._flags[number]
        return Row(
            slice=slice_,
            metric=self._metrics.values[self._metric[number]],
            baseline=_side(baseline),
            candidate=_side(candidate),
            better=better,
            effects=_effects(effects),
            levels=levels,
            judged=judged,
            verdict=verdict,
            why=why,
            allowed=allowed,
            checks=tuple(self._check(slice_, *packed) for packed in checks),
            changed=bool(flags & _CHANGED),
            importance=self._importance[number],
            enough=bool(flags & _ENOUGH),
        )

    def _packed_check(self, one: Check) -> tuple:
        numbers = one.limit, one.direction, one.value, _packed_interval(one.interval), one.margin
        return self._keys.number(one.key), one.bound, *numbers, one.passed, one.recorded, one.message

    def _check(self, slice_: Slice, key: int, bound: str, *packed: Any) -> Check:
        limit, direction, value, interval, *rest = packed
        return Check(
            slice_, self._keys.values[key], bound, limit, direction, value, _interval(interval), *rest
        )


class _Table(Generic[Value]):
    """Different values, each with its number."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._numbers: dict[Value, int] = {}

    def number(self, value: Value) -> int:
        # Rows come slice by slice.
        if not self.values or value is not self.values[-1]:
            number = self._numbers.setdefault(value, len(self.values))
            if number < len(self.values):
                return number
            self.values.append(value)
        return len(self.values) - 1


def _packed_side(side: Side | None) -> tuple | None:
    if side is None:
        return None
    return side.value, _packed_interval(side.interval), side.examples, side.weighted_examples


def _side(packed: tuple | None) -> Side | None:
    if packed is None:
        return None
    value, interval, *examples = packed
    return Side(value, _interval(interval), *examples)


def _packed_interval(interval: Interval | None) -> tuple | None:
    if interval is None:
        return None
    return interval.lower, interval.upper, interval.standard_error, interval.degrees_of_freedom


def _interval(packed: tuple | None) -> Interval | None:
    return Interval(*packed) if packed is not None else None


def _packed_effects(effects: Effects | None) -> tuple | None:
    if effects is None:
        return None
    return _packed_effect(effects.total), _packed_effect(effects.model), _packed_effect(effects.data)


def _effects(packed: tuple | None) -> Effects | None:
    if packed is None:
        return None
    total, model, data = packed
    return Effects(_effect(total), _effect(model) if model else None, _effect(data) if data else None)


def _packed_effect(effect: Effect | None) -> tuple | None:
    return (effect.value, effect.method, effect.why, *_numbers(effect.difference)) if effect else None


def _effect(packed: tuple) -> Effect:
    value, method, why, *numbers = packed
    return Effect(value, method, _difference(numbers), why)


def _numbers(difference: Difference | None) -> tuple[float, ...]:
    if difference is None:
        return ()
    if isinstance(difference, TDifference):
        return difference.value, difference.standard_error, difference.degrees
    if isinstance(difference, ProportionDifference):
        return difference.before, difference.of_before, difference.after, difference.of_after
    raise TypeError(f"A {type(difference).__name__} cannot be packed: say here which numbers it consists of.")


def _difference(numbers: Sequence[float]) -> Difference | None:
    if not numbers:
        return None
    return TDifference(*numbers) if len(numbers) == 3 else ProportionDifference(*numbers)
