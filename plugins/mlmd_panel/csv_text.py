"""Writes rows as CSV without formulas that spreadsheets would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from mlmd_panel.json_text import plain


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV of a table; None is an empty cell, and text that a spreadsheet would run begins with an apostrophe."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([cell(item) for item in header])
    writer.writerows([cell(item) for item in row] for row in rows)
    return text.getvalue()


def cell(value: Any) -> Any:
    """A value as the CSV has it."""
    if isinstance(value, float):
        return plain(value)  # the minus of an infinity begins no formula
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
