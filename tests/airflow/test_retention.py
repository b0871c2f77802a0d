"""Retention in a real Airflow: the command and the DAG, on a store that real nodes have written."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
from pathlib import Path

from tests.bundle import ROOT, Bundle

_MARKED, _DELETED, _LIVE = 3, 4, 2


def _age(store: Path, days: float) -> None:
    """Lets a store grow older."""
    by = int(days * 86_400_000)
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        for table in ("Artifact", "Execution"):
            for column in ("create_time_since_epoch", "last_update_time_since_epoch"):
                connection.execute(f"update {table} set {column} = {column} - {by}")
        connection.execute(f"update Event set milliseconds_since_epoch = milliseconds_since_epoch - {by}")
        connection.execute(
            f"update ArtifactProperty set int_value = int_value - {by // 1000} where name = 'deletion_marked_at'"
        )


def _artifacts(store: Path) -> list[tuple[int, str]]:
    with contextlib.closing(sqlite3.connect(store)) as connection:
        return connection.execute("select state, uri from Artifact order by id").fetchall()


def test_dag_plans_and_only_with_apply_sets_aside_and_deletes(bundle: Bundle, tmp_path: Path) -> None:
    store = tmp_path / "metadata.db"
    own = {
        "AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID": "own_store",
        "AIRFLOW_CONN_OWN_STORE": f"sqlite:///{store}",
    }
    shutil.copy(ROOT / "dags" / "mlmd_retention.py", bundle.folder / "dags")

    def retention(**conf: object) -> str:
        done = bundle.dags_test("mlmd_retention", "-c", json.dumps({"runs": 1, "days": 1, **conf}), **own)
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    assert "does not exist yet: there is nothing to delete" in retention(apply=True)
    bundle.write_dag("kept_a_while", "tests.pipelines.small:write_and_read", name="kept_a_while")
    for _ in range(2):
        assert bundle.dags_test("kept_a_while", **own).returncode == 0
        # The second run would come from the cache, and share what the first has made.
        _age(store, 40)
        with contextlib.closing(sqlite3.connect(store)) as connection, connection:
            connection.execute(
                "update Artifact set state = 5 where id <= 3 and (select count(*) from Artifact) = 3"
            )
    before = _artifacts(store)
    assert len(before) == 6 and all(Path(uri).exists() for _, uri in before)

    text = retention()
    assert re.search(r"kept_a_while\s+String\s+3", text) and "3 artifacts are kept." in text, text[-3000:]
    assert "Only planned" in text and _artifacts(store) == before
    [xcom] = bundle.airflow_rows(
        "select value from xcom where dag_id = 'mlmd_retention' order by timestamp desc limit 1"
    )
    assert '"artifacts": 3' in str(json.loads(xcom[0])).replace("'", '"')

    retention(apply=True)
    assert [state for state, _ in _artifacts(store)] == [_MARKED] * 3 + [_LIVE] * 3
    assert [Path(uri).exists() for _, uri in before] == [False] * 3 + [True] * 3

    unknown = bundle.command("gc", "--apply", "0123", **own)
    assert unknown.returncode == 1 and "Retention: there is no plan '0123'" in unknown.stdout, unknown.stdout
    nothing = bundle.command("gc", "--keep-runs", "0", **own)
    assert nothing.returncode == 1 and "keep runs = 0: give a number from 1" in nothing.stdout, nothing.stdout
    restored = bundle.command("gc", "--restore", "1", **own)
    assert restored.returncode == 0 and "Restored and pinned: 1." in restored.stdout, restored.stdout
    assert Path(before[0][1]).exists()
    again = bundle.command("gc", "--restore", "1", **own)
    assert again.returncode == 1 and "artifact 1 is not set aside" in again.stdout

    _age(store, 8)
    text = retention(apply=True)
    assert "Deleted after their grace time: " in text
    states = [state for state, _ in _artifacts(store)]
    assert states[0] != _MARKED and states.count(_DELETED) == 2 and states[3:] == [_LIVE] * 3, states
    assert len(list((bundle.home / "tfx" / "retention").glob("plan-*.json"))) >= 2
