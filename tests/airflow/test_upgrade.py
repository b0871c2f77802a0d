"""From TFX 1.16 to 1.21: the store, the artifacts and the models of one go on under the other."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from tests.bundle import LANE, Bundle, Execution, environment

pytestmark = pytest.mark.lane("1.21", reason="which a home of 1.16 is upgraded to")
_OLD = os.environ.get("OLD_HOME", "")


@pytest.fixture(scope="module")
def upgraded() -> Bundle:
    """A home in which TFX 1.16 has run the taxi pipeline, and this TFX twice after it."""
    if not _OLD:
        pytest.skip("OLD_HOME names no home of TFX 1.16; tests/debian13.sh makes one")
    bundle = Bundle(Path(_OLD), environment(Path(_OLD)))
    for _ in range(2):
        done = bundle.dags_test("taxi")
        assert done.returncode == 0, done.stdout[-6000:]
    return bundle


def _runs(bundle: Bundle) -> list[dict[str, Execution]]:
    """The last three runs, each with its executions by node."""
    run_ids = bundle.airflow_rows("select run_id from dag_run where dag_id = 'taxi' order by id")
    return [{e.node: e for e in bundle.executions("taxi", run_id)} for (run_id,) in run_ids[-3:]]


def _inputs(bundle: Bundle, execution: Execution, key: str) -> list[str]:
    query = (
        "select a.uri from Event e join EventPath p on p.event_id = e.id and p.step_key = ?"
        " join Artifact a on a.id = e.artifact_id where e.execution_id = ? and e.type = 3"
    )
    with sqlite3.connect(f"file:{bundle.mlmd}?mode=ro", uri=True) as store:
        return [uri for (uri,) in store.execute(query, (key, execution.id))]


def test_a_model_of_the_older_tfx_is_the_baseline_of_the_first_new_one(upgraded: Bundle) -> None:
    before, first, _ = _runs(upgraded)
    assert _inputs(upgraded, first["Evaluator"], "baseline_model") == [before["Trainer"].uri("model")]
    assert first["Evaluator"].state == "COMPLETE"
    assert first["Trainer"].state == "COMPLETE", f"a model that TFX {LANE} has not trained"


def test_what_is_made_again_and_what_comes_from_the_cache_is_told(upgraded: Bundle) -> None:
    _, first, second = _runs(upgraded)
    print({node: execution.state for node, execution in first.items()})
    print({node: execution.state for node, execution in second.items()})
    assert {e.state for e in second.values()} <= {"CACHED", "COMPLETE"}
    for node in ("CsvExampleGen", "StatisticsGen", "Transform", "Trainer"):
        assert second[node].state == "CACHED", node
