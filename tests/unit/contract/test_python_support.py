"""Until when a Python is supported."""

from __future__ import annotations

from datetime import date

import pytest

from include.tfx_airflow.contract import python_support


@pytest.mark.parametrize(
    ("version", "today", "said"),
    [
        ("3.10", date(2026, 10, 31), ""),
        ("3.10", date(2026, 11, 1), "October 2026"),
        ("3.13", date(2026, 11, 1), ""),
        ("3.14", date(2040, 1, 1), ""),
        ("unknown", date(2040, 1, 1), ""),
    ],
)
def test_a_python_is_old_from_the_day_after_its_support(version: str, today: date, said: str) -> None:
    assert python_support.ended(version, today) == said
