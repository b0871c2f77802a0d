"""Aligns rows as text for terminals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

# Names come from the store: control characters would write into the terminal of whoever reads the table.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def text_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows below their header; numbers, and texts that begin like one, to the right."""
    cells = [[_CONTROL.sub("?", str(item)) for item in row] for row in (header, *rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(header))]
    right = [
        all(_is_number(row[place]) for row in cells[1:]) and len(cells) > 1 for place in range(len(header))
    ]
    lines = [
        "  ".join(
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join(lines) + "\n"


def _is_number(text: str) -> bool:
    return not text or text in ("–", "NaN", "∞", "−∞") or bool(re.match(r"[+−-]?[0-9][0-9.,e+−-]*$", text))
