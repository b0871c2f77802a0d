"""Plans or carries out retention in the TFX interpreter, see `tfx_side/retention`."""

from __future__ import annotations

import json
import os
from typing import Any

from tabulate import tabulate

from include.tfx_airflow.airflow_side import mlmd_connection, object_store
from include.tfx_airflow.contract.errors import RetentionError
from include.tfx_airflow.node_process import process
from include.tfx_airflow.settings import Settings

_FOLDER = "retention"  # of plans, below home
_UNITS = ("B", "kB", "MB", "GB", "TB")


def ask(settings: Settings, action: str, **arguments: Any) -> dict[str, Any]:
    """Asks the TFX interpreter.

    Args:
      settings: Say which store, and where files may be deleted.
      action: plan, apply, pin, unpin or restore.
      **arguments: Of the action: `keep`, `hash` or `ids`.

    Returns:
      The answer, see `tfx_side/retention/run.py`.

    Raises:
      SettingsError: There is no usable interpreter, or a setting is invalid.
      MlmdError: The Connection names no store.
      ObjectStoreError: The Connection of the object store cannot be read.
      RetentionError: It was refused, or the interpreter cannot run it.
    """
    request = {
        "action": action,
        "mlmd": mlmd_connection.address(settings),
        "environment": object_store.environment(settings),
        "roots": settings.folders_of_retention(),
        "home": settings.home,
        "folder": os.path.join(settings.home, _FOLDER),
        **arguments,
    }
    done = process.ask_and_tell(settings, "retention.run", question=request, tell=_tell)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise RetentionError(
            f"{settings.python} cannot run '{action}'; its last lines:", process.last_lines(done)
        ) from None
    if "error" in found:
        raise RetentionError(found["error"].removeprefix(f"{RetentionError.headline}: "))
    return found


def _tell(line: str) -> None:
    print(line, flush=True)  # in a task, Airflow logs what is printed


def as_text(answer: dict[str, Any]) -> str:
    """An answer for people: a plan's table, or what was done."""
    if "message" in answer:
        return str(answer["message"])
    if "done" in answer:
        done = answer["done"]
        text = (
            f"Set aside: {done['set_aside']} places and {done['orphans']} folders of killed attempts. Deleted after their "
            f"grace time: {done['deleted']} artifacts and {done['orphans_deleted']} folders. Restored: {done['restored']}."
        )
        return "\n".join([text, *(f"Left for the next time: {problem}" for problem in done["problems"])])
    rows = [
        (pipeline or "-", kind, number, human(size))
        for pipeline, kind, number, size in [
            *answer["rows"],
            ("total", "", sum(row[2] for row in answer["rows"]), sum(row[3] for row in answer["rows"])),
        ]
    ]
    table = tabulate(
        rows,
        headers=("pipeline", "type", "number", "size"),
        tablefmt="plain",
        colalign=("left", "left", "right", "right"),
    )
    return "\n".join([table, *answer["notes"], f"Plan {answer['hash']}: {answer['plan']}"])


def human(size: float) -> str:
    """A number of bytes, such as 3.4 MB."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
