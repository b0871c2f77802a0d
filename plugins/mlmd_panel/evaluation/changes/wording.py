"""How changes are worded."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

MAX_TEXT = 80


def counted(count: int, noun: str) -> str:
    """A number with its noun: 1 feature, 1,200 features."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def value(given: Any) -> str:
    """A value in short."""
    if given is None:
        return "none"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, float) and math.isfinite(given):
        return f"{given:.6g}"
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def arrow(baseline: Any, candidate: Any) -> str:
    """From one value to another."""
    return f"{value(baseline)} → {value(candidate)}"


def share(fraction: float) -> str:
    """A fraction in percent; only all of it is 100%."""
    text = f"{100 * fraction:.3g}%"
    return ">99.9%" if text == "100%" and fraction < 1 else text


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def joined(names: Sequence[str]) -> str:
    """Names as in a sentence: a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
