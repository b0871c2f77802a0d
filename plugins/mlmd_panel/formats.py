"""Formats numbers, times and sizes for pages."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Any


def number(value: Any, digits: int = 4) -> str:
    """A number with a few significant digits: 0.8123, 15,002, 1.2e-7; None is a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "−")
    if abs(value) >= 1e7 or abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    if abs(value) >= 1000:
        return f"{value:,.1f}".replace("-", "−")
    return f"{value:.{digits}g}".replace("-", "−")


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun, as in 1 slice, 1,200 slices; the plural is the noun and an s unless it is given."""
    return f"{number(count)} {noun if count == 1 else plural or noun + 's'}"


def exact(value: Any) -> Any:
    """A number with all its digits, for scripts and tooltips; "" for None.

    NaN and infinity are written as JavaScript reads them.
    """
    if value is None:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction in percent: 12.5%, <0.1%, >99.9%; what is not 0 or 100 does not round to it."""
    if value is None or not math.isfinite(value):
        return "–" if value is None else number(value)
    shown, least = abs(100 * value), 10**-digits
    minus, less, more = ("−", ">", "<") if value < 0 else ("", "<", ">")
    rounded = float(f"{shown:.{digits}f}")
    if 0 < shown < least and (value > 0 or not rounded):
        return f"{less}{minus}{least:.{digits}f}%"
    # What makes a whole may have lost its last digit in a sum.
    if rounded == 100 and not math.isclose(shown, 100, rel_tol=1e-12):
        mark, rounded = more, rounded if shown > 100 else rounded - least
    else:
        mark = ""
    return f"{mark}{minus}{rounded:.{digits}f}%".replace(f".{'0' * digits}%", "%")


def exact_percent(value: float) -> str:
    """A fraction in percent with all its digits, as of a level that was chosen: 95%, 99.99%."""
    return f"{(100 * Decimal(str(value))).normalize():f}%"


def size(count: int | None) -> str:
    """A number of bytes: 512 B, 1.4 kB, 3.0 MB."""
    if count is None:
        return "–"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def duration(milliseconds: int | float | None) -> str:
    """A duration: 320 ms, 4.2 s, 3 min 5 s, 2 h 10 min, 3 d 4 h."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{max(milliseconds, 0):.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {second} s"
    hours, minute = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minute} min"
    return f"{hours // 24} d {hours % 24} h"


def utc(milliseconds: int | None) -> str:
    """A time as ISO 8601 in UTC; "" for none, or outside of the years 1 to 9999."""
    if not milliseconds:
        return ""
    try:
        moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(
            milliseconds=milliseconds
        )
    except OverflowError:
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def short_type(name: str) -> str:
    """Last part of a type's full name: `Trainer` of `tfx.components.trainer.component.Trainer`."""
    return name.rpartition(".")[2] or name


def last_path(uri: str, parts: int = 3) -> str:
    """Last parts of a URI, which distinguish artifacts."""
    pieces = uri.rstrip("/").split("/")
    return "/".join(pieces[-parts:]) if len(pieces) > parts + 1 else uri


def signed(value: float, digits: int = 4) -> str:
    """A change with its sign and up to four decimals: +0.0248, −0.0005, +1,204; small ones do not round to zero."""
    if not math.isfinite(value):
        return f"+{number(value)}" if value > 0 else number(value)
    if value == 0:
        return "0"
    size = abs(value)
    if size < 0.5 * 10**-digits:
        text = f"{value:+.1e}"
    else:
        text = f"{value:+,.{digits if size < 10 else 1 if size < 1000 else 0}f}"
    return text.replace("-", "−")
