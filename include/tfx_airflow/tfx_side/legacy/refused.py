"""What stops the execution of a legacy DAG file."""

from __future__ import annotations

from collections.abc import Iterable


class RefusedError(ImportError):
    """The file uses a name that has no meaning here.

    An ImportError, so that a file which tries one module after another, for several versions of Airflow, may go on.
    """


class NeedsVariables(BaseException):
    """The file asks for Airflow Variables whose values are not there yet."""

    def __init__(self, names: Iterable[str]) -> None:
        """Names all that are known to be needed."""
        super().__init__(", ".join(sorted(names)))
        self.names = sorted(names)
