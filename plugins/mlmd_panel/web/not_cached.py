"""Why a node ran instead of taking its outputs from the cache, by the record that the orchestrator leaves with it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from mlmd_panel.errors import NotFound
from mlmd_panel.evaluation.changes import code
from mlmd_panel.evaluation.changes.changed import Changed
from mlmd_panel.evaluation.changes.code_lines import of_item
from mlmd_panel.store.records import Event, Execution
from mlmd_panel.web.request import Visit

PROPERTY = "not_cached"
# More than the orchestrator writes; another program may have written anything.
MAX_TEXT, MAX_ROWS = 1 << 16, 50


@dataclasses.dataclass(frozen=True)
class Difference:
    """What is not the same as in an earlier execution: an input, a parameter, a file of the code."""

    what: str
    before: str
    now: str


@dataclasses.dataclass(frozen=True)
class NotCached:
    """The record.

    Attributes:
      reason: In words.
      compared_with: The nearest earlier execution; None if there is none, or the user may not see it.
      is_hidden: There is one that the user may not see; what differs from it is left out too.
      differences: What differs from it.
      left_out: How many more differences there are.
      code: Which code changed since, with its lines where they are known; None if none did.
      unknown: Sentences about lines that are not known.
    """

    reason: str
    compared_with: Execution | None
    is_hidden: bool
    differences: tuple[Difference, ...]
    left_out: int
    code: Changed | None
    unknown: tuple[str, ...] = ()


def read(visit: Visit, execution: Execution) -> NotCached | None:
    """The record of an execution; None if it has none that can be read."""
    text = next((p.value for p in execution.properties if p.name == PROPERTY and p.custom), None)
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        return None
    try:
        return _of(visit, execution, json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _of(visit: Visit, execution: Execution, record: dict[str, Any]) -> NotCached:
    reason = record["reason"]
    if not isinstance(reason, str):
        raise TypeError(reason)
    if "compared_with" not in record:
        return NotCached(reason, None, False, (), 0, None)
    changes, left_out = record["changes"], int(record["left_out"])
    rows = [Difference(*map(str, row)) for row in changes[:MAX_ROWS]]
    left_out += len(changes) - len(rows)
    try:
        earlier = visit.store.execution(int(record["compared_with"]), visit.dags)
    except NotFound:
        return NotCached(reason, None, True, (), 0, None)
    changed, unknown = code.between(execution.label, earlier, execution), list[str]()
    if changed and visit.code:
        changed, unknown = of_item(changed, visit.code)
    return NotCached(reason, earlier, False, tuple(rows), left_out, changed, tuple(unknown))


def computed_by(visit: Visit, execution: Execution, outputs: list[Event]) -> Execution | None:
    """The execution that made what a cached one took; None if it is not cached, or the user may not see it."""
    if execution.state != "CACHED" or not outputs:
        return None
    rows = visit.store.events_of_artifact(outputs[0].artifact_id, visit.dags).rows
    # Of very many executions that took it from the cache not all are read: the maker is the one that is not cached.
    makers = (other for event, other in rows if event.is_output and not other.hidden)
    return next((other for other in makers if other.state == "COMPLETE"), None)
