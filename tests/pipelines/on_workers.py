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


def note_when(number: int, file: str) -> None:
    """Takes half a second, and adds a line with its beginning and its end."""
    began = time.time()
    time.sleep(0.5)
    with open(file, "a") as lines:
        lines.write(f"{began} {time.time()}\n")


def fail_at_first(number: int, marker: str) -> None:
    """Fails as a job on Spark does that another one was faster than, once."""
    if not Path(marker).exists():
        Path(marker).touch()
        raise RuntimeError("Only one SparkContext should be running in this JVM (see SPARK-2243).")
