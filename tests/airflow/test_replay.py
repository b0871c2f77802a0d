"""`replay` on the embedded default, where Airflow's own database is SQLite."""

from __future__ import annotations

from pathlib import Path

from tests.bundle import Bundle, made

_DAG_FILE = """
from datetime import datetime
from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig
dag = AirflowDagRunner(
    AirflowPipelineConfig(
        airflow_dag_config=dict(
            dag_id="monthly", start_date=datetime(2014, 1, 1), schedule="@monthly", catchup=False
        )
    )
).run("tests.pipelines.small:write_and_read", name="monthly")
"""


def test_each_interval_is_played_once_and_a_second_replay_shows_the_same(tmp_path: Path) -> None:
    with made(tmp_path) as bundle:
        (bundle.folder / "dags" / "monthly.py").write_text(_DAG_FILE)
        first = _replay(bundle)
        made_first = bundle.executions("monthly", "backfill__%")  # cron plays its newest interval beside
        assert {execution.state for execution in made_first} <= {"COMPLETE", "CACHED"}
        assert len(made_first) == 3 * 2
        assert "==> 3 runs in " in first
        second = _replay(bundle)
        assert bundle.executions("monthly", "backfill__%") == made_first
        assert _table(second) == _table(first)


def _replay(bundle: Bundle) -> str:
    done = bundle.run("python", "-m", "include.tfx_airflow", "replay", "monthly", "2014-01-01", "2014-03-01")
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def _table(said: str) -> list[str]:
    lines = [line for line in said.rpartition("==> 3 runs in ")[2].splitlines() if line.startswith("2014-")]
    assert len(lines) == 3, said
    return lines
