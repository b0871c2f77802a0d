"""Until when versions of Python get security fixes (https://devguide.python.org/versions/)."""

from __future__ import annotations

from datetime import date

_LAST_DAY = {
    "3.10": date(2026, 10, 31),
    "3.11": date(2027, 10, 31),
    "3.12": date(2028, 10, 31),
    "3.13": date(2029, 10, 31),
}


def ended(version: str, today: date) -> str:
    """Month in which the support of a Python has ended, such as "October 2026".

    Args:
      version: Such as "3.10".
      today: The day to ask for.

    Returns:
      "" for a version that is supported, or not known here.
    """
    last = _LAST_DAY.get(version)
    return f"{last:%B %Y}" if last and today > last else ""
