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
from tests.bundle import ROOT, Bundle, Execution, share_compiled
from tests.scheduler import Scheduler, running

_TRIPS = 160
JANUARY, FEBRUARY, MARCH = 201301, 201302, 201303
# A model of February is pushed, then settings are tuned, and March's model is not blessed.
HISTORY: dict[str, tuple[str, dict[str, Any]]] = {
    "january": ("taxi_retraining", {"span": JANUARY}),
    "february": ("taxi_retraining", {"span": FEBRUARY, "hyperparameters": {"learning_rate": 0.02}}),
    "tuned": ("taxi_tuning", {"span": FEBRUARY, "max_trials": 2, "train_steps": 5}),
    "march": ("taxi_retraining", {"span": MARCH, "train_args": {"num_steps": 1}}),
    "inferred": ("taxi_batch_inference", {}),
    "compared": ("taxi_span_drift", {"span": MARCH, "baseline_span": FEBRUARY}),
    "february again": ("taxi_retraining", {"span": FEBRUARY, "hyperparameters": {"learning_rate": 0.02}}),
}
# Airflow's own command once for each, in one process: it takes longer to start than most of these runs.
_DAGS_TEST = """
import json, sys
from airflow.__main__ import main
for dag_id, conf in json.loads({runs!r}):
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

    def blessings(self, dag_id: str) -> list[dict[str, Any]]:
        """Custom properties of the blessings by a person's answer, oldest first."""
        query = (
            "select p.name, p.int_value, p.string_value from ArtifactProperty p"
            " join Artifact a on a.id = p.artifact_id where a.uri = ?"
        )
        found = []
        for execution in self.of(dag_id, "Approval"):
            if execution.outputs:
                with self._connect(self.mlmd) as rows:
                    values = rows(query, execution.uri("blessing"))
                found.append({name: text if number is None else number for name, number, text in values})
        return found

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
    share_compiled(made.tfx_home)
    for span, more_miles in ((JANUARY, 0.0), (FEBRUARY, 0.0), (MARCH, 30.0)):
        _write_span(made.tfx_home, span, more_miles)
    said = made.python(_DAGS_TEST.format(runs=json.dumps(list(HISTORY.values()))))
    made.logs.update(zip(HISTORY, said.split("START OF A RUN")[1:], strict=True))
    yield made
    made.command("serve", "--stop")


def _gate(kept: Path) -> str:
    """A DAG file with a gate on the diff of a run of taxi_retraining, and a notifier on the gate."""
    return f"""
from pathlib import Path
from airflow.sdk import DAG, Asset, Param
from mlmd_panel.airflow_tasks import EvaluationDiffNotifier, EvaluationDiffOperator

def keep(markdown, context):
    Path({str(kept)!r}, context["run_id"] + ".md").write_text(markdown)

with DAG("gate", schedule=None, params={{"run": Param("", type="string"), "against": "blessed"}}):
    EvaluationDiffOperator(
        task_id="gate",
        against="{{{{ params.against }}}}",
        candidate_dag_id="taxi_retraining",
        candidate_run_id="{{{{ params.run }}}}",
        metrics=["auc"],
        fail_on="worse",
        outlets=[Asset("judged")],
        notifiers=keep,
        on_success_callback=EvaluationDiffNotifier(against="previous"),
    )
"""


@dataclasses.dataclass
class Promotions:
    """Promotions under the real scheduler, with what was asked and the runs' ids by name."""

    scheduler: Scheduler
    kept: Path
    questions: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    runs: dict[str, str] = dataclasses.field(default_factory=dict)
    served: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def log(self, name: str, task_id: str) -> str:
        """Log of a task."""
        return self.scheduler.log("taxi_promotion", self.runs[name], task_id).replace("\\n", "\n")

    def states(self, name: str) -> dict[str, str]:
        """States of the tasks."""
        tasks = self.scheduler.tasks("taxi_promotion", self.runs[name])
        return {task_id: task["state"] for task_id, task in tasks.items()}


# Which model, on which month, and what a person answers. Only the first and the last change what is in production, so that
# the Evaluator judges the second model once.
ANSWERS: dict[str, tuple[int, int, dict[str, Any], str, str]] = {
    "promoted": (0, FEBRUARY, {"audience": "the drivers"}, "Approve", ""),
    "rejected": (1, MARCH, {}, "Reject", "worse for everybody"),
    "unexplained": (1, MARCH, {}, "Approve", ""),
    "overridden": (1, MARCH, {}, "Approve", "the drivers asked for it"),
}


@pytest.fixture(scope="module")
def promotions(taxi: Taxi) -> Iterator[Promotions]:
    """The models of the history are promoted, or not, by a person who answers through the API."""
    dags = taxi.folder / "promotion_dags"
    kept = taxi.folder / "kept"
    dags.mkdir()
    kept.mkdir()
    text = (ROOT / "dags" / "taxi_promotion.py").read_text()
    (dags / "taxi_promotion.py").write_text(text)
    impatient = text.replace('    "taxi_promotion",', '    "taxi_promotion_in_haste",').replace(
        "response_timeout=timedelta(days=3)", "response_timeout=timedelta(seconds=2)"
    )
    assert impatient.count("in_haste") == 1 and "seconds=2" in impatient
    (dags / "in_haste.py").write_text(impatient)
    (dags / "gate.py").write_text(_gate(kept))
    models = [value["outputs"]["model"][0]["id"] for value in taxi.xcoms("taxi_retraining", "Trainer")]
    serving = taxi.tfx_home / "serving" / "taxi_production"
    bundle = Bundle(taxi.folder, {**taxi.environment, "AIRFLOW__CORE__DAGS_FOLDER": str(dags)})
    with running(bundle, print) as scheduler:
        made = Promotions(scheduler, kept)
        for name, (model, span, more, option, reason) in ANSWERS.items():
            conf = {"span": span, "model": models[model], **more}
            run_id = made.runs[name] = scheduler.trigger("taxi_promotion", conf=conf)
            made.questions[name] = scheduler.question("taxi_promotion", run_id, "approve")
            scheduler.answer("taxi_promotion", run_id, "approve", option, reason=reason)
            scheduler.wait_for_run("taxi_promotion", run_id)
            made.served[name] = sorted(path.name for path in serving.glob("*"))
        made.runs["in haste"] = scheduler.trigger(
            "taxi_promotion_in_haste", conf={"span": FEBRUARY, "model": models[0]}
        )
        assert scheduler.wait_for_run("taxi_promotion_in_haste", made.runs["in haste"]) == "success"
        made.served["in haste"] = sorted(path.name for path in serving.glob("*"))
        yield made


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
    assert "1 feature drifted" in taxi.logs["compared"]
    # A dynamic property: the value of another node's artifact.
    [chance] = taxi.of("taxi_span_drift", "ChanceDistance")
    threshold = float(Path(chance.outputs[0][2]).read_text())
    assert report["threshold"] == threshold
    # MLMD writes numbers into SQLite with six digits.
    assert taxi.properties(compared.id)["threshold"] == pytest.approx(threshold, rel=1e-5)
    [validated] = taxi.xcoms("taxi_span_drift", "DistributionValidator")
    assert "train_train/trip_miles" in validated["summary"]["anomalies"]


def test_every_retraining_tells_what_changed_and_one_without_an_evaluation_is_skipped(taxi: Taxi) -> None:
    january, *others = taxi.states("taxi_retraining")
    assert january["evaluation_diff"] == "skipped"
    assert [states["evaluation_diff"] for states in others] == ["success"] * 3
    february, march, again = taxi.xcoms("taxi_retraining", "evaluation_diff")
    assert february["outcome"] == "no baseline" and "has an evaluation" in february["sentence"]
    assert (march["against"], march["outcome"]) == ("blessed", "worse")
    assert march["sentence"].startswith("auc fell by") and march["sentence"] in taxi.logs["march"]
    assert 1 <= len(march["rows"]) <= 10 and march["rows_in_all"] > 10
    primary = march["primary"]
    parts = primary["model_effect"]["value"] + primary["data_effect"]["value"]
    assert parts == pytest.approx(primary["total"]["value"], abs=1e-9)
    assert "/mlmd/compare?candidate=" in march["url"] and march["url"] in taxi.logs["march"]
    assert again["outcome"] == "unchanged"


def test_a_person_is_asked_with_the_diff_and_an_approval_promotes(taxi: Taxi, promotions: Promotions) -> None:
    states = promotions.states("promoted")
    assert (states["promoted"], states["judge.Pusher"], states["rejected"]) == (
        "success",
        "success",
        "skipped",
    )
    good, bad, _ = (value["outputs"]["model"][0]["id"] for value in taxi.xcoms("taxi_retraining", "Trainer"))
    first, second = promotions.questions["promoted"], promotions.questions["rejected"]
    assert first["subject"] == f"Push model {good} to production?" and first["options"] == [
        "Approve",
        "Reject",
    ]
    assert "has no baseline model" in first["body"]
    assert second["subject"] == f"Push model {bad} to production?"
    assert "**auc fell by" in second["body"] and "| Overall" in second["body"]
    assert "/mlmd/compare?candidate=" in second["body"]
    [served] = promotions.served["promoted"]
    log = promotions.log("promoted", "promoted")
    assert f"To the drivers: model {good} is in production now:" in log and served in log
    assert "Approved by" in log and "threshold failed" not in log


def test_a_model_that_is_not_approved_is_not_pushed_and_the_message_says_why(
    taxi: Taxi, promotions: Promotions
) -> None:
    states = promotions.states("rejected")
    assert (states["rejected"], states["promoted"], states["judge.Pusher"]) == (
        "success",
        "skipped",
        "skipped",
    )
    _, bad, _ = (value["outputs"]["model"] for value in taxi.xcoms("taxi_retraining", "Trainer"))
    assert promotions.served["rejected"] == promotions.served["promoted"]
    log = promotions.log("rejected", "rejected")
    assert f"To everybody: model {bad[0]['id']} was not approved; in production stays:" in log
    assert f"Judged on span {MARCH}:" in log and "threshold failed: auc" in log
    assert f"Not approved by {promotions.scheduler.user}: worse for everybody" in log


def test_the_answer_and_the_verdict_it_overrides_are_kept_in_mlmd(taxi: Taxi, promotions: Promotions) -> None:
    kept = taxi.blessings("taxi_promotion")
    said = [
        (one["approved"], one["verdict_blessed"], one["overridden"], one["blessed"], one.get("reason", ""))
        for one in kept
    ]
    assert said == [
        (1, 1, 0, 1, ""),
        (0, 0, 0, 0, "worse for everybody"),
        (1, 0, 1, 1, "the drivers asked for it"),
    ]
    assert {one["approved_by"] for one in kept} == {promotions.scheduler.user}
    assert all(one["answered_at"].startswith("20") for one in kept)
    assert len(promotions.served["overridden"]) == len(promotions.served["unexplained"]) + 1


def test_an_override_without_a_reason_pushes_nothing(promotions: Promotions) -> None:
    states = promotions.states("unexplained")
    assert states["judge.Approval"] == "failed" and states["judge.Pusher"] == "upstream_failed"
    assert "without a reason, so it is not pushed" in promotions.log("unexplained", "judge.Approval")
    assert promotions.served["unexplained"] == promotions.served["rejected"]


def test_without_an_answer_in_time_nothing_is_pushed_and_mlmd_says_so(
    taxi: Taxi, promotions: Promotions
) -> None:
    [kept] = taxi.blessings("taxi_promotion_in_haste")
    assert (kept["approved"], kept["verdict_blessed"], kept["overridden"]) == (0, 1, 1)
    assert (kept.get("approved_by", ""), kept["reason"]) == ("", "no answer in time")
    assert promotions.served["in haste"] == promotions.served["overridden"]


def test_a_gate_fails_by_what_got_worse_and_tells_assets_and_notifiers(
    taxi: Taxi, promotions: Promotions
) -> None:
    scheduler = promotions.scheduler
    _, _, march, again = [
        run_id
        for (run_id,) in taxi.airflow_rows(
            "select run_id from dag_run where dag_id = 'taxi_retraining' order by id"
        )
    ]
    worse = scheduler.trigger("gate", conf={"run": march})
    assert scheduler.wait_for_run("gate", worse) == "failed"
    assert scheduler.xcom("gate", worse, "gate", "return_value")["outcome"] == "worse"
    assert "worse: auc fell by" in scheduler.log("gate", worse, "gate")
    same = scheduler.trigger("gate", conf={"run": again})
    assert scheduler.wait_for_run("gate", same) == "success"
    for run_id in (worse, same):
        markdown = scheduler.xcom("gate", run_id, "gate", "markdown")
        assert (promotions.kept / f"{run_id}.md").read_text() == markdown
    events = scheduler.call("GET", "/api/v2/assets/events?source_dag_id=gate")["asset_events"]
    [extra] = [event["extra"] for event in events]
    assert (extra["outcome"], extra["run_id"]) == ("unchanged", same)
    assert extra["sentence"] and "/mlmd/compare?" in extra["url"]
    # The notifier compares the gate's own run, which has no evaluation.
    assert "has no evaluation" in scheduler.log("gate", same, "gate") or "There is no run" in scheduler.log(
        "gate", same, "gate"
    )
    absent = scheduler.trigger("gate", conf={"run": march, "against": "taxi:nowhere"})
    assert scheduler.wait_for_run("gate", absent) == "failed"
    assert "There is no run 'taxi:nowhere' in the store" in scheduler.log("gate", absent, "gate")


def test_a_training_of_an_earlier_month_does_not_use_what_was_tuned_later(taxi: Taxi) -> None:
    first, _, again = taxi.of("taxi_retraining", "Trainer")
    assert (again.state, again.uri("model_run")) == ("CACHED", first.uri("model_run"))
    log = taxi.logs["february again"]
    assert f"the defaults, none were tuned before it; those of [{FEBRUARY}] are not earlier" in log
