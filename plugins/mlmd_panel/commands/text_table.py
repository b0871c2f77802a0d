"""Aligns rows as text for terminals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tabulate import tabulate

# Names come from the store: control characters would write into the terminal of whoever reads the table.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Rows below their header.

    Args:
      header: Names of the columns.
      rows: Their cells.
      right: Names of the columns that are aligned to the right.
    """
    cells = [[_CONTROL.sub("?", cell) for cell in row] for row in rows]
    sides = ["right" if name in right else "left" for name in header]
    text = tabulate(
        cells,
        header,
        "plain",
        disable_numparse=True,
        colalign=sides if cells else None,
        preserve_whitespace=True,
    )
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
