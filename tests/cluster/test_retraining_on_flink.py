"""A month of retraining with all its Beam work on a real Flink."""

from __future__ import annotations

import json

import pytest

from tests.bundle import Bundle
from tests.cluster import beam_workers, retraining, taxi
from tests.cluster.flink import Flink
from tests.cluster.job_server import JobServer

# The ingest; the examples and statistics of each month; of the second, which has data to train on, Transform and Evaluator.
_JOBS = 1 + 2 * 2 + 2
# Settings that are the default's, written out: the model is trained again on the same rows.
_AGAIN = {"span": retraining.FEBRUARY, "hyperparameters": {"dropout": 0.1}}


@pytest.mark.timeout(2400)
def test_a_month_of_retraining_on_flink_differs_from_one_machines_by_the_order_of_rows_alone(
    bundle: Bundle,
    flink: Flink,
    flink_job_server: JobServer,
    alone: retraining.Month,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    at = "            computed_parameters="
    retraining.write_dags(bundle.folder / "dags", {at: f'            beam_runner="flink",\n{at}'})
    retraining.put_trips(bundle.home / "tfx", retraining.JANUARY, retraining.FEBRUARY)
    with beam_workers.running(bundle, tmp_path_factory.mktemp("beam-workers")) as workers:
        bundle.environment["AIRFLOW_CONN_BEAM_FLINK"] = beam_workers.connection(
            flink_job_server, workers, f"http://{flink.address}"
        )
        retraining.run(bundle, retraining.JANUARY, retraining.FEBRUARY, runner="flink")
    jobs = [job for job in flink.jobs() if job["name"].startswith("tfx-taxi-")]
    assert len(jobs) == _JOBS and {job["state"] for job in jobs} == {"FINISHED"}, jobs
    on_flink = retraining.latest(bundle)
    assert on_flink.metrics.keys() == alone.metrics.keys()
    assert on_flink.metrics["example_count"] == alone.metrics["example_count"]
    # The rows that the models were trained on are the same, whatever their order.
    assert not taxi.differences(
        bundle.environment, "transformed", on_flink.transformed, alone.transformed, retraining.RELATIVE
    )
    # Trained on Flink's rows and evaluated here, the model is that of the run on Flink.
    retraining.write_dags(bundle.folder / "dags", {})
    done = bundle.dags_test("taxi_retraining", "--conf", json.dumps(_AGAIN))
    assert done.returncode == 0, done.stdout[-8000:]
    again = retraining.latest(bundle)
    states = {node: again.states[node] for node in ("StatisticsGen", "Transform", "Trainer", "Evaluator")}
    assert states == {
        "StatisticsGen": "CACHED",
        "Transform": "CACHED",
        "Trainer": "COMPLETE",
        "Evaluator": "COMPLETE",
    }
    assert again.transformed == on_flink.transformed
    assert again.metrics == pytest.approx(on_flink.metrics, rel=retraining.RELATIVE)
