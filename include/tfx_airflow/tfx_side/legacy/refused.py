"""What stops the execution of a legacy DAG file."""

from __future__ import annotations

from collections.abc import Iterable


class RefusedError(ImportError):
    """The file uses a name that has no meaning here.

    An ImportError, so that a file which tries one module after another, for several versions of Airflow, may go on.
    """


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
