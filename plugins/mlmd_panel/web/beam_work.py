"""Where the time of an execution's Beam pipelines went, by the record that the orchestrator leaves with it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any

from mlmd_panel.store.records import Execution

PROPERTY = "beam_work"
# More than the orchestrator writes; another program may have written anything.
MAX_TEXT, MAX_ROWS, MAX_NAME = 1 << 16, 100, 500


@dataclasses.dataclass(frozen=True)
class Step:
    """A step of a pipeline.

    Attributes:
      name: The full name of its transform; a long one begins with "…".
      seconds: Sampled by Beam.
    """

    name: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Counter:
    """What steps counted, in all.

    Attributes:
      name: `namespace:name`.
      value: Number.
    """

    name: str
    value: float


@dataclasses.dataclass(frozen=True)
class Distribution:
    """Values that steps gathered.

    Attributes:
      name: `namespace:name`.
      count: How many.
      smallest: Of them.
      mean: Of them.
      largest: Of them.
    """

    name: str
    count: float
    smallest: float
    mean: float
    largest: float


@dataclasses.dataclass(frozen=True)
class Job:
    """A job on a cluster.

    Attributes:
      name: Tells the task and its try.
      id: The cluster's.
      seconds: It took; None if that is unknown.
      link: Address of its page, http or https; "" if there is none.
      stages: Those that took longest, as the cluster told.
    """

    name: str
    id: str
    seconds: float | None
    link: str
    stages: tuple[Step, ...]


@dataclasses.dataclass(frozen=True)
class BeamWork:
    """The record.

    Attributes:
      pipelines: How many ran.
      seconds: What they took; None when they ran elsewhere.
      steps: Those at work longest, first.
      other_steps: How many more have a time.
      other_seconds: Of these, in all.
      counters: Largest first.
      distributions: By name.
      counters_left_out: How many more counters and distributions there are.
      runner: Name of the Beam runner; "" if none was named.
      jobs: On a cluster.
    """

    pipelines: int
    seconds: float | None
    steps: tuple[Step, ...]
    other_steps: int
    other_seconds: float
    counters: tuple[Counter, ...]
    distributions: tuple[Distribution, ...]
    counters_left_out: int
    runner: str = ""
    jobs: tuple[Job, ...] = ()

    @property
    def longest(self) -> float:
        """Seconds that a full bar stands for."""
        return max((step.seconds for step in self.steps), default=0) or 1


def read(execution: Execution) -> BeamWork | None:
    """The record of an execution; None if it has none that can be read."""
    text = next((p.value for p in execution.properties if p.name == PROPERTY and p.custom), None)
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        return None
    try:
        return _of(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _of(value: dict[str, Any]) -> BeamWork:
    seconds = value.get("seconds")
    steps = [Step(*_row(row, 1)) for row in value["steps"]]
    other_steps, other_seconds = value.get("steps_left_out", (0, 0))
    counters, distributions = value["counters"], value["distributions"]
    more = len(counters[MAX_ROWS:]) + len(distributions[MAX_ROWS:])
    return BeamWork(
        pipelines=int(_number(value["pipelines"])),
        seconds=None if seconds is None else _number(seconds),
        steps=tuple(steps[:MAX_ROWS]),
        other_steps=int(_number(other_steps)) + len(steps[MAX_ROWS:]),
        other_seconds=_number(other_seconds) + sum(step.seconds for step in steps[MAX_ROWS:]),
        counters=tuple(Counter(*_row(row, 1)) for row in counters[:MAX_ROWS]),
        distributions=tuple(Distribution(*_row(row, 4)) for row in distributions[:MAX_ROWS]),
        counters_left_out=int(_number(value.get("counters_left_out", 0))) + more,
        runner=_text(value.get("runner", "")),
        jobs=tuple(_job(job) for job in value.get("jobs", [])[:MAX_ROWS]),
    )


def _job(value: dict[str, Any]) -> Job:
    seconds, link = value.get("seconds"), _text(value.get("link", ""))
    return Job(
        name=_text(value["name"]),
        id=_text(value["id"]),
        seconds=None if seconds is None else _number(seconds),
        link=link if re.fullmatch(r"https?://[^/?#@\\\s]+([/?#]\S*)?", link) else "",
        stages=tuple(Step(*_row(row, 1)) for row in value.get("stages", [])[:MAX_ROWS]),
    )


def _text(value: Any) -> str:
    """A text of no more than a name's length.

    Raises:
      ValueError: It is not.
    """
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise ValueError(value)
    return value


def _row(row: list[Any], numbers: int) -> tuple[Any, ...]:
    """A name and numbers."""
    name, *found = row
    if not isinstance(name, str) or len(name) > MAX_NAME or len(found) != numbers:
        raise ValueError(row)
    return name, *map(_number, found)


def _number(value: Any) -> float:
    """A number that is there.

    Raises:
      ValueError: It is not.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(value)
    return value
