"""What retention keeps, see `tfx_side/retention`."""

from __future__ import annotations

import dataclasses

from include.tfx_airflow.contract.errors import SettingsError


@dataclasses.dataclass(frozen=True)
class Keep:
    """What to keep.

    Attributes:
      runs: The newest runs of each pipeline.
      days: What was made or used less than so many days ago.
      pushed: The newest pushes of each pipeline; None for all.
      blessed: The newest blessed models of each pipeline; None for all.
      grace: Days between setting files aside and deleting them.
    """

    runs: int = 10
    days: float = 30
    pushed: int | None = None
    blessed: int | None = None
    grace: float = 7

    def __post_init__(self) -> None:
        least = {"runs": 1, "days": 0, "pushed": 1, "blessed": 1, "grace": 0}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and not lowest <= value <= 1_000_000:
                raise SettingsError(f"keep {name} = {value!r}: give a number from {lowest} to 1000000.")
