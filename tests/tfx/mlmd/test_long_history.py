"""What is asked of a long history is answered in time that grows with it, not with its square."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as pb

from include.components.lineage import spans_behind
from include.tfx_airflow.tfx_side.mlmd import setup
from include.tfx_airflow.tfx_side.mlmd.mlmd_store import open_store

_RUNS = 20_000


def _push(store_file: str, types: dict[str, int]) -> None:
    """In each run examples become a model, the model a push."""
    with contextlib.closing(sqlite3.connect(store_file)) as database, database:
        for number, name in enumerate(("Examples", "Model", "PushedModel")):
            database.executemany(
                "insert into Artifact (id, type_id, uri, create_time_since_epoch, last_update_time_since_epoch)"
                " values (?, ?, '', 0, 0)",
                ((3 * run + number + 1, types[name]) for run in range(_RUNS)),
            )
        database.executemany(
            "insert into ArtifactProperty (artifact_id, name, is_custom_property, int_value) values (?, 'span', 1, ?)",
            ((3 * run + 1, run) for run in range(_RUNS)),
        )
        events = (
            (3 * run + number + 1 + made, 2 * run + number + 1, pb.Event.OUTPUT if made else pb.Event.INPUT)
            for run in range(_RUNS)
            for number in range(2)
            for made in range(2)
        )
        database.executemany("insert into Event (artifact_id, execution_id, type) values (?, ?, ?)", events)


def test_spans_behind_the_pushes_of_years_are_found_at_once(address: dict[str, Any]) -> None:
    setup.init(address)
    with open_store(address) as store:
        names = ("Examples", "Model", "PushedModel")
        types = {name: store.put_artifact_type(pb.ArtifactType(name=name)) for name in names}
        _push(address["path"], types)
        started = time.monotonic()
        found = spans_behind(store, [3 * run + 3 for run in range(_RUNS)])
        took = time.monotonic() - started
    assert found == {3 * run + 3: run for run in range(_RUNS)}
    assert took < 10, took  # SQLite's other way takes minutes
