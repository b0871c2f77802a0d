"""The DAGs around taxi_retraining: tuning, inference, promotion and drift, as parts of one history."""

from __future__ import annotations

import csv
import dataclasses
import json
import random
import shutil
import statistics
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from include.taxi import trips
from include.tfx_airflow.contract.spans import MARKER
from tests.bundle import ROOT, Bundle, Execution

_TRIPS = 160
JANUARY, FEBRUARY, MARCH = 201301, 201302, 201303
# A model of February is pushed and promoted, then settings are tuned, and March's model is not blessed.
HISTORY: dict[str, tuple[str, dict[str, Any]]] = {
    "january": ("taxi_retraining", {"span": JANUARY}),
    "february": ("taxi_retraining", {"span": FEBRUARY, "hyperparameters": {"learning_rate": 0.02}}),
    "promoted": ("taxi_promotion", {"span": FEBRUARY, "audience": "the drivers"}),
    "tuned": ("taxi_tuning", {"span": FEBRUARY, "max_trials": 2, "train_steps": 5}),
    "march": ("taxi_retraining", {"span": MARCH, "train_args": {"num_steps": 1}}),
    "rejected": ("taxi_promotion", {"span": MARCH}),
    "inferred": ("taxi_batch_inference", {}),
    "compared": ("taxi_span_drift", {"span": MARCH, "baseline_span": FEBRUARY}),
    "february again": ("taxi_retraining", {"span": FEBRUARY, "hyperparameters": {"learning_rate": 0.02}}),
}
# Airflow's own command once for each, in one process: it takes longer to start than most of these runs.
_DAGS_TEST = """
import json, sys
from airflow.__main__ import main
for dag_id, conf in json.loads(sys.argv.pop()):
    print("\\nSTART OF A RUN", flush=True)
    sys.argv = ["airflow", "dags", "test", dag_id, "--conf", json.dumps(conf)]
    main()
"""


@dataclasses.dataclass(frozen=True)
class Taxi(Bundle):
    """A Bundle with a home of its own for artifacts and MLMD: the models of other tests must not count here."""

    logs: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def tfx_home(self) -> Path:
        """[tfx_airflow] home."""
        return self.folder / "taxi"

    @property
    def mlmd(self) -> Path:
        """The embedded MLMD store."""
        return self.tfx_home / "mlmd" / "metadata.db"

    def of(self, dag_id: str, node: str) -> list[Execution]:
        """The executions of a node, oldest first."""
        return [execution for execution in self.executions(dag_id) if execution.node == node]

    def xcoms(self, dag_id: str, task_id: str) -> list[Any]:
        """What a task returned in each run, oldest first."""
        query = "select value from xcom where dag_id = ? and task_id = ? and key = 'return_value' order by timestamp"
        return [json.loads(value) for (value,) in self.airflow_rows(query, dag_id, task_id)]

    def states(self, dag_id: str) -> list[dict[str, str]]:
        """States of the tasks of each run, oldest first."""
        query = (
            "select t.run_id, task_id, t.state from task_instance t join dag_run r"
            " on r.run_id = t.run_id and r.dag_id = t.dag_id where r.dag_id = ? order by r.id"
        )
        found: dict[str, dict[str, str]] = {}
        for run_id, task_id, state in self.airflow_rows(query, dag_id):
            found.setdefault(run_id, {})[task_id] = state
        return list(found.values())


def _write_span(home: Path, span: int, more_miles: float = 0.0) -> None:
    """Trips of a month: every second one is paid by card, and has a big tip."""
    folder = home / "taxi" / "spans" / str(span) / "v0"
    folder.mkdir(parents=True)
    chance = random.Random(span)
    start = datetime(span // 100, span % 100, 1, tzinfo=timezone.utc)
    with open(folder / "trips-00000-of-00001.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, trips.COLUMNS)
        writer.writeheader()
        for number in range(_TRIPS):
            time, by_card = start + timedelta(hours=4 * number), number % 2
            fare = 5 + 20 * chance.random()
            writer.writerow(
                dict.fromkeys(trips.COLUMNS, "")
                | {
                    "trip_start_timestamp": int(time.timestamp()),
                    "trip_start_month": time.month,
                    "trip_start_day": time.isoweekday() % 7 + 1,
                    "trip_start_hour": time.hour,
                    "trip_seconds": chance.randrange(3, 30) * 60,
                    "trip_miles": round(8 * chance.random() + more_miles, 1),
                    "fare": round(fare, 2),
                    "tips": round(0.3 * fare * by_card, 2),
                    "pickup_community_area": chance.choice([8, 32]),
                    "dropoff_community_area": chance.choice([8, 32]),
                    "payment_type": "Credit Card" if by_card else "Cash",
                    "company": chance.choice(["Top Cab Affiliation", "KOAM Taxi Association"]),
                }
            )
    (folder / MARKER).write_text("")


@pytest.fixture(scope="module")
def taxi(bundle: Bundle) -> Iterator[Taxi]:
    """What the history has left behind, with the log of each of its runs."""
    dags = bundle.folder / "taxi_dags"
    dags.mkdir()
    for dag_id in {dag_id for dag_id, _ in HISTORY.values()}:
        shutil.copy(ROOT / "dags" / f"{dag_id}.py", dags)
    home = {"AIRFLOW__TFX_AIRFLOW__HOME": str(bundle.folder / "taxi")}
    environment = {**bundle.environment, **home, "AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
    made = Taxi(bundle.folder, environment)
    for span, more_miles in ((JANUARY, 0.0), (FEBRUARY, 0.0), (MARCH, 30.0)):
        _write_span(made.tfx_home, span, more_miles)
    done = made.run("python", "-c", _DAGS_TEST, json.dumps(list(HISTORY.values())))
    assert done.returncode == 0, done.stdout[-6000:]
    made.logs.update(zip(HISTORY, done.stdout.split("START OF A RUN")[1:], strict=True))
    yield made
    made.run("python", "-m", "include.tfx_airflow", "serve", "--stop")


def _training(execution: Execution) -> dict[str, Any]:
    return json.loads(Path(execution.uri("model_run"), "training.json").read_text())


def _ids(artifacts: list[dict[str, Any]]) -> list[int]:
    return [artifact["id"] for artifact in artifacts]


def test_tuning_reads_the_examples_that_retraining_has_read(taxi: Taxi) -> None:
    assert {execution.node: execution.state for execution in taxi.executions("taxi_tuning")} == {
        "ChosenNumber": "COMPLETE",
        "ImportSchemaGen": "COMPLETE",
        "examples_of_span": "COMPLETE",
        "rolling_window": "COMPLETE",
        "Transform": "COMPLETE",
        "Tuner": "COMPLETE",
    }
    january, february, *_ = (value["outputs"] for value in taxi.xcoms("taxi_retraining", "SpanExampleGen"))
    [window] = taxi.xcoms("taxi_tuning", "rolling_window")
    assert _ids(window["outputs"]["examples"]) == _ids(january["examples"])
    assert _ids(window["outputs"]["newest"]) == _ids(february["examples"])
    [tuner] = taxi.of("taxi_tuning", "Tuner")
    trials = json.loads(Path(tuner.uri("tuner_results"), "tuner_results.json").read_text())
    assert len(trials) == 2
    assert set(trials[0]) == {
        "trial_id",
        "score",
        "learning_rate",
        "hidden_units",
        "embedding_size",
        "dropout",
    }


def test_the_next_training_uses_the_tuned_settings(taxi: Taxi) -> None:
    [tuner] = taxi.of("taxi_tuning", "Tuner")
    best = json.loads(Path(tuner.uri("best_hyperparameters"), "best_hyperparameters.txt").read_text())[
        "values"
    ]
    before, after, _ = (_training(execution) for execution in taxi.of("taxi_retraining", "Trainer"))
    used = after["hyperparameters"]
    assert ",".join(map(str, used.pop("hidden_units"))) == best.pop("hidden_units")
    assert {name: used[name] for name in best} == best
    assert used["batch_size"] == 128
    defaults = {"hidden_units": [32, 16], "embedding_size": 4, "dropout": 0.1, "learning_rate": 0.02}
    assert {name: before["hyperparameters"][name] for name in defaults} == defaults


def test_inference_uses_the_pushed_model_and_not_the_newer_one(taxi: Taxi) -> None:
    blessed = [value["summary"]["blessed"] for value in taxi.xcoms("taxi_retraining", "Evaluator")]
    assert blessed == [True, False, True]
    pushed, newer, _ = (value["outputs"]["model"] for value in taxi.xcoms("taxi_retraining", "Trainer"))
    [served] = taxi.xcoms("taxi_batch_inference", "served_model")
    assert served["outputs"]["model"] == pushed != newer
    # The span of the model: the month on which it was judged.
    [found] = taxi.xcoms("taxi_batch_inference", "examples_of_span")
    assert found["outputs"]["examples"][0]["note"] == f"span {FEBRUARY}, version 0"
    [written] = taxi.of("taxi_batch_inference", "WritePredictions")
    with open(Path(written.uri("predictions"), "predictions.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == _TRIPS and rows == sorted(rows, key=lambda row: row["trip_start"])
    assert (rows[0]["trip_start"], rows[1]["trip_start"]) == ("2013-02-01 00:00", "2013-02-01 04:00")
    probabilities = [float(row["big_tip_probability"]) for row in rows]
    assert statistics.mean(probabilities[1::2]) > 0.6 > 0.4 > statistics.mean(probabilities[::2])
    log = taxi.logs["inferred"]
    assert f"{_TRIPS} trips from 2013-02-01 00:00 to" in log
    assert f"mean probability of a big tip {statistics.mean(probabilities):.3f}" in log


def test_the_drift_report_names_the_column_that_changed(taxi: Taxi) -> None:
    [compared] = taxi.of("taxi_span_drift", "CompareSpans")
    report = json.loads(Path(compared.uri("report"), "report.json").read_text())
    assert (report["span"], report["baseline_span"]) == (MARCH, FEBRUARY)
    assert [feature["feature"] for feature in report["features"] if feature["drifted"]] == ["trip_miles"]
    distances = [feature["distance"] for feature in report["features"]]
    assert distances == sorted(distances, reverse=True) and len(distances) > 8
    assert "1 features drifted" in taxi.logs["compared"]
    # A dynamic property: the value of another node's artifact.
    [chance] = taxi.of("taxi_span_drift", "ChanceDistance")
    threshold = float(Path(chance.outputs[0][2]).read_text())
    assert report["threshold"] == threshold
    # MLMD writes numbers into SQLite with six digits.
    assert taxi.properties(compared.id)["threshold"] == pytest.approx(threshold, rel=1e-5)
    [validated] = taxi.xcoms("taxi_span_drift", "DistributionValidator")
    assert "SplitPair-train_train/trip_miles" in validated["summary"]["anomalies"]


def test_a_blessed_model_takes_the_way_of_promotion(taxi: Taxi) -> None:
    states, _ = taxi.states("taxi_promotion")
    assert (states["promoted"], states["judge.Pusher"], states["rejected"]) == (
        "success",
        "success",
        "skipped",
    )
    good, *_ = (value["outputs"]["model"] for value in taxi.xcoms("taxi_retraining", "Trainer"))
    [served] = (taxi.tfx_home / "serving" / "taxi_production").iterdir()
    log = taxi.logs["promoted"]
    assert f"To the drivers: model {good[0]['id']} is in production now: {served}" in log
    assert "\n  auc " in log and "\n  threshold failed" not in log


def test_a_model_that_is_not_blessed_is_not_pushed_and_the_message_says_why(taxi: Taxi) -> None:
    _, states = taxi.states("taxi_promotion")
    assert (states["rejected"], states["promoted"], states["judge.Pusher"]) == (
        "success",
        "skipped",
        "skipped",
    )
    _, bad, _ = (value["outputs"]["model"] for value in taxi.xcoms("taxi_retraining", "Trainer"))
    [served] = (taxi.tfx_home / "serving" / "taxi_production").iterdir()
    log = taxi.logs["rejected"]
    assert f"To everybody: model {bad[0]['id']} is not good enough; in production stays: {served}" in log
    assert f"\nJudged on span {MARCH}:" in log and "\n  threshold failed: auc" in log


def test_a_training_of_an_earlier_month_does_not_use_what_was_tuned_later(taxi: Taxi) -> None:
    first, _, again = taxi.of("taxi_retraining", "Trainer")
    assert (again.state, again.uri("model_run")) == ("CACHED", first.uri("model_run"))
    log = taxi.logs["february again"]
    assert f"the defaults, none were tuned before it; those of [{FEBRUARY}] are not earlier" in log
