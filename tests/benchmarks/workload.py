"""What every lane runs: the taxi pipeline on the sample data, without cache, into an empty MLMD store."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from pathlib import Path
from typing import Any

REFERENCE = "include.taxi.pipeline:create_pipeline"
NAME = "bench"
NODES = 9
_COMPLETE, _CACHED = 3, 5
# Task ids are node ids, MLMD's type names end with the component's class.
_NODE_IDS = {"Resolver": "latest_blessed_model_resolver", "ArrowExampleGen": "CsvExampleGen"}


@dataclasses.dataclass(frozen=True)
class Place:
    """Folders of one run: empty before it, checked after it."""

    folder: Path

    @property
    def mlmd(self) -> Path:
        """The MLMD store, SQLite in every lane."""
        return self.folder / "mlmd" / "metadata.db"

    def clear(self) -> None:
        """Removes what an earlier run left: each run has no baseline model and nothing cached."""
        for name in ("mlmd", "pipelines", "serving"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.mlmd.parent.mkdir(parents=True)

    def arguments(self) -> dict[str, Any]:
        """JSON-able arguments of `create_pipeline`."""
        return {
            "pipeline_name": NAME,
            "pipeline_root": str(self.folder / "pipelines"),
            "serving_dir": str(self.folder / "serving"),
            "enable_cache": False,
        }


@dataclasses.dataclass(frozen=True)
class Node:
    """One execution of MLMD; times in seconds since the epoch."""

    task_id: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """From the driver's registration to the publisher's last word: the same in both launchers."""
        return self.ended - self.began


def nodes(place: Place) -> list[Node]:
    """The executions of the run in this place.

    Raises:
      AssertionError: It is not one whole run that pushed a model.
    """
    with sqlite3.connect(f"file:{place.mlmd}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "select t.name, e.last_known_state, e.create_time_since_epoch, e.last_update_time_since_epoch"
            " from Execution e join Type t on t.id = e.type_id order by e.id"
        ).fetchall()
    assert len(rows) == NODES, rows
    for type_name, state, _, _ in rows:
        # The launcher of TFX's AirflowDagRunner calls every resolved Resolver cached.
        assert state == _COMPLETE or (state == _CACHED and type_name.endswith("Resolver")), rows
    assert list((place.folder / "serving").glob("*/saved_model.pb")), "no model was pushed"
    found = []
    for type_name, _, create, update in rows:
        kind = type_name.rpartition(".")[2]
        found.append(Node(_NODE_IDS.get(kind, kind), create / 1000, update / 1000))
    return found
