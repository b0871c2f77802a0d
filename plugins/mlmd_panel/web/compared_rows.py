"""Which rows of one or several comparisons a page shows, in which order, a page of them at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mlmd_panel.evaluation.diff import Diff
from mlmd_panel.evaluation.packed_rows import Outline, PackedRows
from mlmd_panel.evaluation.paging import PageOf, page_of
from mlmd_panel.evaluation.row import Row, rank
from mlmd_panel.payloads.evaluation.slices import Slice

# More of them take longer to write as HTML than a reader waits.
MAX_ROWS = 200
ORDERS = {
    "rank": "worse first",
    "slice": "by slice",
    "change": "largest change first",
    "examples": "most examples first",
}
# A metric in a slice: a row of each comparison; None where it has none.
_Place = tuple[Outline | None, ...]
Cells = tuple[Row | None, ...]


@dataclasses.dataclass(frozen=True)
class Shown:
    """Which rows of a comparison are shown, and in which order.

    Attributes:
      slices: Part of the slice's name.
      changed: Only those that changed.
      verdict: One of `verdicts.ORDER`, or empty for all.
      min_examples: Only those with so many examples on both sides, or of unknown numbers.
      order: One of ORDERS.
    """

    slices: str = ""
    changed: bool = False
    verdict: str = ""
    min_examples: int = 0
    order: str = "rank"


class ComparedRows:
    """The rows of one or several comparisons with one baseline, those of the same slice and metric beside each other.

    Of several comparisons a row is shown if it matches in one of them, and stands where that one has it.
    """

    def __init__(self, compared: Sequence[Diff], shown: Shown) -> None:
        """Selects and sorts the rows.

        Args:
          compared: The comparisons; may be none.
          shown: Which rows.
        """
        self._rows = [one.comparison.rows for one in compared]
        # Of one its rows are enough: an outline of each would cost more than the page.
        self._alone = _alone(self._rows[0], shown) if len(compared) == 1 else None
        self._places = _places(self._rows, shown) if len(compared) > 1 else []

    def page(self, number: int) -> PageOf[Cells]:
        """A page of the table; each row has a cell for each comparison."""
        if self._alone is not None:
            found = page_of(self._alone, number, MAX_ROWS)
            cells: Iterable[Cells] = ((row,) for row in found.rows)
            return PageOf(tuple(cells), found.in_all, found.first, found.page, found.pages)
        places = page_of(self._places, number, MAX_ROWS)
        cells = (
            tuple(one and rows.of(one) for one, rows in zip(place, self._rows, strict=True))
            for place in places.rows
        )
        return PageOf(tuple(cells), places.in_all, places.first, places.page, places.pages)

    def of(self, place: int) -> PackedRows:
        """All rows of one of the comparisons, in the table's order."""
        if self._alone is not None:
            return self._alone
        return self._rows[place].chosen(one for beside in self._places if (one := beside[place]))


def _alone(rows: PackedRows, shown: Shown) -> PackedRows:
    if shown == Shown():
        return rows
    outlines = [one for one in rows.outlines() if _wanted(one, shown)]
    return rows.chosen(sorted(outlines, key=_ORDER[shown.order]))


def _places(compared: Sequence[PackedRows], shown: Shown) -> list[_Place]:
    by_place = [{(one.slice, one.metric): one for one in rows.outlines()} for rows in compared]
    order = _ORDER[shown.order]
    first: dict[tuple[Slice, str], Outline] = {}
    for outlines in by_place:
        for place, one in outlines.items():
            if _wanted(one, shown) and (place not in first or order(one) < order(first[place])):
                first[place] = one
    # Each comparison numbers its rows itself.
    by_slice = shown.order == "slice"
    ranked = sorted(
        first, key=lambda place: (place[0].sort_key, first[place].number) if by_slice else order(first[place])
    )
    return [tuple(outlines.get(place) for outlines in by_place) for place in ranked]


def _wanted(one: Outline, shown: Shown) -> bool:
    if shown.changed and not one.changed:
        return False
    if shown.verdict and one.verdict != shown.verdict:
        return False
    if shown.slices and shown.slices.lower() not in one.slice.name.lower():
        return False
    return not shown.min_examples or one.examples is None or one.examples >= shown.min_examples


def _size(change: float | None) -> float:
    """Of a change; what is not a number comes last."""
    return -1.0 if change is None or change != change else abs(change)


_ORDER: dict[str, Callable[[Outline], Any]] = {
    "rank": rank,
    "slice": lambda one: one.number,
    "change": lambda one: -_size(one.change),
    "examples": lambda one: -(one.examples or 0),
}
