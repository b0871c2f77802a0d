"""Where the time of a node's Beam pipelines went, for the end of its log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_STEPS, MAX_COUNTERS = 8, 12


def lines(work: Mapping[str, Any]) -> list[str]:
    """The record as a table.

    Args:
      work: `NodeResult.beam`.

    Returns:
      Lines of text; none when no pipeline ran.
    """
    # Not at a parse.
    from tabulate import tabulate

    if not work:
        return []
    runner = f" on {work['runner']!r}" if work.get("runner") else ""
    number, seconds = work["pipelines"], work.get("seconds")
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    rows = [*_steps(work), *_counters(work)]
    text = tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=("right", "left")) if rows else ""
    return [
        f"{number} Beam pipeline{'s' if number != 1 else ''}{runner}{took}; steps by sampled seconds, and counters:",
        *(f"  {line.rstrip()}" for line in text.splitlines()),
        *(line for job in work.get("jobs", ()) for line in job_lines(job)),
    ]


def job_lines(job: Mapping[str, Any]) -> list[str]:
    """A job on a cluster, with its stages, as lines of text."""
    took = "" if job["seconds"] is None else f", {job['seconds']:.1f} s"
    stages = [f"  {seconds:.1f} s  stage {name}" for name, seconds in job["stages"]]
    return [f"Job {job['name']} ({job['id']}){took}: {job['link'] or 'no page of it is known'}", *stages]


def in_xcom(work: Mapping[str, Any]) -> dict[str, Any]:
    """Runner, and jobs with their stages, for later tasks; {} when none was named."""
    if not work.get("runner"):
        return {}
    return {"beam": {"runner": work["runner"], "jobs": list(work.get("jobs", ()))}}


def _steps(work: Mapping[str, Any]) -> list[tuple[str, str]]:
    steps = work["steps"]
    rows = [(f"{seconds:.1f} s", name) for name, seconds in steps[:MAX_STEPS]]
    others, of_others = work.get("steps_left_out", (0, 0.0))
    others += len(steps[MAX_STEPS:])
    of_others += sum(seconds for _, seconds in steps[MAX_STEPS:])
    return [*rows, (f"{of_others:.1f} s", f"in {others} other steps")] if others else rows


def _counters(work: Mapping[str, Any]) -> list[tuple[str, str]]:
    counters = work["counters"]
    rows = [(str(value), name) for name, value in counters[:MAX_COUNTERS]]
    more = len(counters[MAX_COUNTERS:]) + len(work["distributions"]) + work.get("counters_left_out", 0)
    return [*rows, ("", f"and {more} more counters")] if more else rows
