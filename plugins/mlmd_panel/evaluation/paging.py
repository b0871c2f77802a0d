"""Splits a list in memory into pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Generic, TypeVar

Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True)
class PageOf(Generic[Row]):
    """A page of a list.

    Attributes:
      rows: The rows shown.
      in_all: Number of rows of all pages.
      first: Number of the first row shown, from 1; 0 without any.
      page: Number of the page, from 1.
      pages: Number of pages; at least 1.
    """

    rows: tuple[Row, ...]
    in_all: int
    first: int
    page: int
    pages: int


def page_of(rows: Sequence[Row], page: int, size: int) -> PageOf[Row]:
    """The page with that number, or the last."""
    pages = max(-(-len(rows) // size), 1)
    page = min(max(page, 1), pages)
    start = (page - 1) * size
    shown = tuple(rows[start : start + size])
    return PageOf(shown, len(rows), start + 1 if shown else 0, page, pages)
