"""What stops the execution of a legacy DAG file."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from types import FrameType
from typing import ClassVar, cast


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A RefusedError as it was made.

    Attributes:
      sentence: What it says.
      frames: Path and line of each frame, the innermost first.
    """

    sentence: str
    frames: tuple[tuple[str, int], ...]


class RefusedError(ImportError):
    """The file uses a name that has no meaning here.

    An ImportError, so that a file which tries one module after another, for several versions of Airflow, may go on.

    Attributes:
      made: All of this process, because a file that catches one goes on without a word.
    """

    made: ClassVar[list[Refusal]] = []

    def __init__(self, sentence: str) -> None:
        """Takes what to say."""
        super().__init__(sentence)
        frames, frame = list[tuple[str, int]](), cast(FrameType | None, sys._getframe(1))
        while frame:
            frames.append((frame.f_code.co_filename, frame.f_lineno))
            frame = frame.f_back
        self.made.append(Refusal(sentence, tuple(frames)))


class NoVariableError(KeyError):
    """Airflow has no Variable of that name; a KeyError, as in Airflow, so that a file may go on without it."""

    def __init__(self, name: str) -> None:
        """Takes its name."""
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"Airflow has no Variable {self.name!r}; create it with 'airflow variables set {self.name} VALUE'."


class FailedError(Exception):
    """Executing the file ends in an error of its own, which is the cause of this one.

    Attributes:
      place: Where, as a beginning of a sentence.
      lines: The traceback with the lines of the user's.
    """

    def __init__(self, place: str, lines: str) -> None:
        """Takes both."""
        super().__init__(f"{place}\n{lines}")
        self.place, self.lines = place, lines


class NeedsVariables(BaseException):
    """The file asks for Airflow Variables whose values are not there yet."""

    def __init__(self, names: Iterable[str]) -> None:
        """Names all that are known to be needed."""
        super().__init__(", ".join(sorted(names)))
        self.names = sorted(names)
