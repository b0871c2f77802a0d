"""A component that starts processes, as a task of Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundle import Bundle
from tests.pipelines import worker

_WAYS = ["executor, fork", "pool, fork", "joblib, loky", "scikit-learn", "subprocess", "input"]


# A new process with workers is in tests/tfx/node_server/test_processes.py, one under Airflow in test_runs.py.
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "server",
    [pytest.param("True", id="forked"), pytest.param("False", id="new", marks=pytest.mark.long)],
)
def test_a_component_that_starts_processes_ends(bundle: Bundle, server: str) -> None:
    dag_id = f"processes_{server}"
    bundle.write_dag(dag_id, "tests.pipelines.processes:processes", ways="|".join(_WAYS))
    done = bundle.dags_test(dag_id, AIRFLOW__TFX_AIRFLOW__NODE_SERVER=server)
    assert done.returncode == 0, done.stdout[-4000:]
    [execution] = bundle.executions(dag_id)
    squares = str(worker.sum_of_squares(5))
    found = Path(execution.uri("found")).read_text().splitlines()
    assert found == [squares, squares, squares, "4", "''", "end of file"]
