"""What Beam's workers are given in tests of jobs: functions of a module that they get with the bundle's code."""

from __future__ import annotations

import time
from pathlib import Path

from tests.pipelines import worker  # a sibling, which must come along


def write_number_and_module(number: int, folder: str) -> None:
    """Leaves a file that tells where the sibling was imported from."""
    Path(folder, str(number)).write_text(worker.__file__ or "")


def fail(number: int) -> None:
    """Fails."""
    raise ValueError(f"bad number {number}")


def need_what_is_missing(number: int) -> None:
    """Imports a module that is nowhere."""
    import no_such_module  # noqa: F401


def sleep(number: int) -> None:
    """Does not come to an end."""
    time.sleep(300)


def nothing(number: int) -> None:
    """Does nothing."""
