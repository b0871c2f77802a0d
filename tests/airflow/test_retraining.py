"""A year of monthly retraining under the real scheduler, and what users do to it afterwards.

Airflow's own database is PostgreSQL: on SQLite, requests to a busy Airflow fail now and then with "database is locked".
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests import servers
from tests.bundle import ROOT, Bundle, made
from tests.scheduler import Scheduler, running
from tests.server import wait_until

# A month takes half a minute and more: MONTHS=8 is the first number with a window that leaves a month out, MONTHS=13 the whole
# year that `make replay` plays.
MONTHS = [201312, *range(201401, 201413)][: int(os.environ.get("MONTHS", "4"))]
DAG, DELIVERY = "taxi_retraining", "taxi_retraining_on_delivery"
# Files of dags/: no others, since a TFX process has to compile the pipelines of each. Those of `_OTHERS` are run where there
# are more months, as in the long tests.
_OTHERS = ("taxi_span_drift", "taxi_promotion", "beam_wordcount")
_DAGS = ("taxi_ingest", "taxi_retraining", "taxi_batch_inference", *(_OTHERS if len(MONTHS) > 4 else ()))
# Resolvers are never cached; they take no time.
RESOLVERS = {"rolling_window", "blessed_before", "tuned_before", "not_superseded"}
_INPUT, _OUTPUT, _INTERNAL_OUTPUT = 3, 4, 6


@dataclasses.dataclass(frozen=True)
class Run:
    """What MLMD holds of one DAG run: the latest attempt at each node.

    Attributes:
      states: MLMD state by node.
      artifacts: Ids by (node, direction, key); direction is an MLMD event type.
    """

    states: dict[str, str]
    artifacts: dict[tuple[str, int, str], tuple[int, ...]]


class Store:
    """Questions to MLMD that only a test of retraining asks."""

    def __init__(self, bundle: Bundle):
        self._bundle = bundle

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Rows of the store."""
        with self._bundle._connect(self._bundle.mlmd) as rows:
            return rows(query, *arguments)

    def run(self, dag_id: str, run_id: str) -> Run:
        """Reads a run."""
        latest = {e.node: e for e in self._bundle.executions(dag_id, run_id)}
        artifacts: dict[tuple[str, int, str], tuple[int, ...]] = {}
        for node, execution in latest.items():
            for direction, key, artifact in self.rows(
                "select e.type, p.step_key, e.artifact_id from Event e"
                " join EventPath p on p.event_id = e.id and p.is_index_step = 0"
                " where e.execution_id = ? order by e.id",
                execution.id,
            ):
                place = (node, direction, key)
                artifacts[place] = (*artifacts.get(place, ()), artifact)
        return Run({node: e.state for node, e in latest.items()}, artifacts)

    def number(self, artifact: int, name: str) -> int | None:
        """An int property of an artifact."""
        found = self.rows(
            "select int_value from ArtifactProperty where artifact_id = ? and name = ?", artifact, name
        )
        return found[0][0] if found else None

    def spans(self, run: Run, *place: Any) -> list[int]:
        """Spans of the artifacts at a place, in MLMD's order."""
        return [self.number(artifact, "span") for artifact in run.artifacts.get(place, ())]

    def blessed(self, run: Run) -> bool | None:
        """Verdict of a run; None without one."""
        found = run.artifacts.get(("Evaluator", _OUTPUT, "blessing"), ())
        return self.number(found[0], "blessed") == 1 if found else None


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """An Airflow and a store in which nobody else has trained."""
    folder = tmp_path_factory.mktemp("retraining")
    with servers.postgresql(folder / "postgresql") as server, made(folder, server.sqlalchemy) as bundle:
        for dag_id in _DAGS:
            shutil.copy(ROOT / "dags" / f"{dag_id}.py", bundle.folder / "dags")
        yield bundle


@pytest.fixture(scope="module")
def store(bundle: Bundle) -> Store:
    return Store(bundle)


def _served(bundle: Bundle) -> list[str]:
    return sorted(path.name for path in (bundle.home / "tfx/serving/taxi_retraining").iterdir())


@pytest.fixture(scope="module")
def year(bundle: Bundle, store: Store) -> dict[int, Run]:
    """`make replay`, and what each month's run left in MLMD."""
    done = bundle.run(
        *("python", "-m", "include.tfx_airflow", "replay", DAG, _date(MONTHS[0]), _date(MONTHS[-1])),
        *("--before", "taxi_ingest"),
        timeout=3000,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    found = re.search(r"(\d+) runs in ([\d.]+) minutes", done.stdout)
    assert found and int(found[1]) == len(MONTHS)
    assert (bundle.home / "tfx/history/taxi_retraining.svg").read_text().count("<svg") == 1
    # The table: what a person sees is what MLMD holds.
    table = done.stdout.rpartition("minutes\n")[2]
    assert [int(line.split()[1]) for line in table.splitlines() if re.match(r"\d{4}-\d\d ", line)] == MONTHS
    return {month: store.run(DAG, _run_id(month)) for month in MONTHS}


def _date(month: int) -> str:
    return f"{month // 100}-{month % 100:02}-01"


def _run_id(month: int, kind: str = "backfill") -> str:
    """Airflow names a run by the end of its data interval."""
    return f"{kind}__{_date(month + (89 if month % 100 == 12 else 1))}T00:00:00+00:00"


@pytest.mark.timeout(3300)
def test_each_run_of_a_year_has_its_own_span_and_the_window_before_it(
    year: dict[int, Run], store: Store
) -> None:
    for place, month in enumerate(MONTHS):
        run = year[month]
        assert store.spans(run, "SpanExampleGen", _OUTPUT, "examples") == [month]
        window = store.spans(run, "rolling_window", _INTERNAL_OUTPUT, "examples")
        assert window == MONTHS[max(0, place - 6) : place], month
        # What Transform read is what the resolver chose, and what the Evaluator read is the month itself.
        assert store.spans(run, "Transform", _INPUT, "examples") == window
        assert store.spans(run, "Evaluator", _INPUT, "examples") == ([month] if window else [])


def test_first_run_has_nothing_to_train_on_and_is_skipped_with_the_reason(
    year: dict[int, Run], bundle: Bundle
) -> None:
    first = year[MONTHS[0]]
    assert set(first.states.values()) == {"COMPLETE"}
    assert not {"rolling_window", "Transform", "Trainer", "Evaluator", "Pusher"} & set(first.states)
    assert "too few spans to train on: before span 201312 the store has none" in _log(
        bundle, MONTHS[0], "rolling_window"
    )


def test_baseline_is_the_last_model_blessed_before_the_month(year: dict[int, Run], store: Store) -> None:
    last: tuple[int, ...] = ()
    for month in MONTHS[1:]:
        run = year[month]
        assert run.artifacts.get(("Evaluator", _INPUT, "baseline_model"), ()) == last, month
        assert run.artifacts.get(("Trainer", _INPUT, "base_model"), ()) == last, "warm start"
        if store.blessed(run):
            last = run.artifacts["Trainer", _OUTPUT, "model"]


def test_model_that_is_not_blessed_is_not_served_and_the_threshold_is_named(
    year: dict[int, Run], store: Store, bundle: Bundle
) -> None:
    verdicts = {month: store.blessed(run) for month, run in year.items() if month != MONTHS[0]}
    rejected = [month for month, blessed in verdicts.items() if blessed is False]
    blessed = [month for month, verdict in verdicts.items() if verdict]
    assert rejected and blessed and None not in verdicts.values()
    for month in rejected:
        log = _log(bundle, month, "Evaluator")
        assert re.search(r"threshold failed: (auc|binary_accuracy) (is below|changed by|.* is below)", log), (
            log
        )
        assert "Pusher" not in year[month].states
    # The served model changed by blessed runs only, once each.
    assert len(_served(bundle)) == len(blessed)
    pushed = [year[month].artifacts["Pusher", _INPUT, "model"] for month in blessed]
    assert pushed == [year[month].artifacts["Trainer", _OUTPUT, "model"] for month in blessed]


def test_rejections_within_the_noise_are_inconclusive_with_evidence_which_is_only_recorded(
    year: dict[int, Run], store: Store, bundle: Bundle
) -> None:
    for month in MONTHS[1:]:
        [blessing] = year[month].artifacts["EvidenceGate", _OUTPUT, "blessing"]
        [evaluators] = year[month].artifacts["Evaluator", _OUTPUT, "blessing"]
        assert store.number(blessing, "decides") == 0
        assert store.number(evaluators, "decides") is None
        counts = {name: store.number(blessing, name) for name in ("blessed", "failed", "inconclusive")}
        assert counts["blessed"] == 1 and counts["failed"] == 0, month
        if not store.blessed(year[month]):
            assert counts["inconclusive"], month
            assert "the interval spans the bound" in _log(bundle, month, "EvidenceGate")


_DIFFS = [(201401, 201402, 0.0135, -0.0053, 0.0187), (201404, 201405, -0.0173, -0.0064, -0.0109)]


@pytest.mark.parametrize(
    ("before", "month", "total", "model", "data"), [diff for diff in _DIFFS if diff[1] in MONTHS]
)
def test_the_diff_of_two_months_tells_the_model_from_the_data(
    bundle: Bundle, year: dict[int, Run], before: int, month: int, total: float, model: float, data: float
) -> None:
    store = bundle.home / "tfx/mlmd/metadata.db"
    runs = [f"{DAG}:{_run_id(one)}" for one in (before, month)]
    done = bundle.run(
        *("python", "-m", "mlmd_panel", "diff", *runs, "--format", "json", "--mlmd", str(store)),
        PYTHONPATH=str(ROOT / "plugins"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    [row] = [row for row in found["rows"] if (row["slice"]["name"], row["metric"]) == ("Overall", "auc")]

    parts = row["total"], row["model_effect"], row["data_effect"]
    assert [part["value"] for part in parts] == pytest.approx([total, model, data], abs=1e-4)
    assert abs(row["model_effect"]["value"] + row["data_effect"]["value"] - row["total"]["value"]) < 1e-9
    # The month was rejected; whether the model is worse cannot be told.
    assert all(part["interval"]["lower"] < 0 < part["interval"]["upper"] for part in parts)
    assert row["verdict"] == "inconclusive" and "no change beyond chance" in found["sentence"]
    told = {item["kind"] for item in found["changes"]["items"]}
    assert {"data", "drift"} <= told and "code" not in told


def _log(bundle: Bundle, month: int, task: str) -> str:
    folder = bundle.home / "logs" / f"dag_id={DAG}" / f"run_id={_run_id(month)}" / f"task_id={task}"
    return "".join(path.read_text() for path in sorted(folder.glob("attempt=*.log")))


@pytest.fixture(scope="module")
def scheduler(
    bundle: Bundle, year: dict[int, Run], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scheduler]:
    """Airflow again, after the replay has ended; and a DAG that runs by cron for two past months."""
    folder = tmp_path_factory.mktemp("by_cron")
    text = (ROOT / "dags/taxi_retraining.py").read_text()
    by_cron = text[: text.index("# One run for each span")]
    for old, new in (
        ('retraining("taxi_retraining"', 'retraining("by_cron"'),
        ("datetime(2013, 1, 1, ", "datetime(2014, 2, 1, "),
        ('"catchup": False', '"catchup": True, "end_date": datetime(2014, 3, 1, tzinfo=timezone.utc)'),
    ):
        assert by_cron.count(old) == 1
        by_cron = by_cron.replace(old, new)
    (folder / "by_cron.py").write_text(by_cron)
    with bundle.dag_bundles(dags=bundle.folder / "dags", by_cron=folder), running(bundle, print) as client:
        yield client


def _backfill(scheduler: Scheduler, first: int, last: int) -> None:
    backfill = scheduler.call(
        "POST",
        "/api/v2/backfills",
        {
            "dag_id": DAG,
            "from_date": f"{_date(first)}T00:00:00Z",
            "to_date": f"{_date(last)}T00:00:00Z",
            "max_active_runs": 1,
            "reprocess_behavior": "completed",
            "run_backwards": False,
            "dag_run_conf": {},
        },
    )
    path = f"/api/v2/backfills/{backfill['id']}"
    wait_until(lambda: scheduler.call("GET", path)["completed_at"], 600, "the backfill", 0.5)


@pytest.mark.timeout(900)
def test_backfill_in_the_middle_gives_the_same_again_from_the_cache(
    scheduler: Scheduler, year: dict[int, Run], store: Store, bundle: Bundle
) -> None:
    # One month when there are few: its model must be blessed, as that of January 2014 is, to say something of the Pusher.
    middle = MONTHS[-3:-1] if len(MONTHS) > 4 else MONTHS[-3:-2]
    assert any(store.blessed(year[month]) for month in middle)
    served = _served(bundle)
    for _ in range(2 if len(MONTHS) > 4 else 1):
        before = {e.id for e in bundle.executions(DAG)}
        _backfill(scheduler, middle[0], middle[-1])
        assert {e.id for e in bundle.executions(DAG)} > before
        for month in middle:
            again = store.run(DAG, _run_id(month))
            assert store.spans(again, "SpanExampleGen", _OUTPUT, "examples") == [month]
            for place in (
                ("rolling_window", _INTERNAL_OUTPUT, "examples"),
                ("blessed_before", _INTERNAL_OUTPUT, "model"),
                ("Trainer", _OUTPUT, "model"),
                ("Evaluator", _OUTPUT, "blessing"),
            ):
                assert again.artifacts.get(place) == year[month].artifacts.get(place), (month, place)
            # Of the first time and of this time: the latest of each node is from the cache.
            states = {node: state for node, state in again.states.items() if node not in RESOLVERS}
            assert {node for node, state in states.items() if state != "CACHED"} <= {"Pusher"}, states
    # A later month's model is served; that of a backfilled one is not put in its place.
    assert _served(bundle) == served


@pytest.mark.timeout(600)
def test_cron_makes_a_run_per_month_with_the_months_own_span(
    scheduler: Scheduler, year: dict[int, Run], store: Store
) -> None:
    scheduler.unpause("by_cron")
    for month in (201402, 201403):
        run_id = _run_id(month, "scheduled")
        wait_until(lambda run_id=run_id: run_id in scheduler.run_ids("by_cron"), 120, run_id, 0.5)
        assert scheduler.wait_for_run("by_cron", run_id) == "success"
        run = store.run("by_cron", run_id)
        assert store.spans(run, "SpanExampleGen", _OUTPUT, "examples") == [month]
        for place in (("rolling_window", _INTERNAL_OUTPUT, "examples"), ("Trainer", _OUTPUT, "model")):
            assert run.artifacts[place] == year[month].artifacts[place]


@pytest.mark.timeout(600)
def test_each_pushed_model_is_an_event_and_an_event_makes_predictions(
    scheduler: Scheduler, year: dict[int, Run], store: Store
) -> None:
    blessed = [month for month, run in year.items() if store.blessed(run)]
    events = scheduler.call("GET", f"/api/v2/assets/events?source_dag_id={DAG}&limit=100")["asset_events"]
    pushed = [event["extra"]["outputs"]["pushed_model"][0]["id"] for event in events]
    assert sorted(pushed) == sorted(
        year[month].artifacts["Pusher", _OUTPUT, "pushed_model"][0] for month in blessed
    )

    scheduler.unpause("taxi_batch_inference")
    [asset] = scheduler.call("GET", "/api/v2/assets?name_pattern=taxi_model")["assets"]
    scheduler.call("POST", "/api/v2/assets/events", {"asset_id": asset["id"], "extra": {}})
    [run_id] = wait_until(lambda: scheduler.run_ids("taxi_batch_inference"), 120, "a run", 0.5)
    assert scheduler.wait_for_run("taxi_batch_inference", run_id) == "success"
    run = store.run("taxi_batch_inference", run_id)
    [model] = run.artifacts["BulkInferrer", _INPUT, "model"]
    assert model == year[blessed[-1]].artifacts["Trainer", _OUTPUT, "model"][0]
    assert store.spans(run, "BulkInferrer", _INPUT, "examples") == [blessed[-1]]


@pytest.mark.timeout(600)
def test_late_span_is_waited_for_then_the_run_is_skipped_with_the_reason(
    scheduler: Scheduler, year: dict[int, Run], bundle: Bundle
) -> None:
    before = len(bundle.executions(DAG))
    # Cron's own newest month ended long after the data did: no waiting, no training on old data.
    [newest] = [run_id for run_id in scheduler.run_ids(DAG) if run_id.startswith("scheduled__")]
    assert scheduler.wait_for_run(DAG, newest) == "success"
    states = {task_id: task["state"] for task_id, task in scheduler.tasks(DAG, newest).items()}
    assert set(states.values()) == {"skipped"} and len(states) == 16, states
    assert "did not arrive within 3 days" in scheduler.log(DAG, newest, "wait_for_span")
    skip = scheduler.xcom(DAG, newest, "wait_for_span", "tfx_skip")
    assert (skip["node"], skip["outside"]) == ("wait_for_span", True)
    assert "Older data is not used instead" in skip["reason"]
    assert len(bundle.executions(DAG)) == before


@pytest.mark.long
@pytest.mark.timeout(900)
def test_run_by_hand_waits_for_its_span_and_goes_on_when_it_is_there(
    scheduler: Scheduler, year: dict[int, Run], store: Store, bundle: Bundle
) -> None:
    folder = bundle.home / "tfx/taxi/spans/201501"
    aside = folder.rename(folder.with_name("aside"))
    run_id = scheduler.trigger(DAG, conf={"span": 201501, "train_args": {"num_steps": 5}})
    wait_until(
        lambda: scheduler.tasks(DAG, run_id)["wait_for_span"]["state"] == "deferred", 120, "the deferral", 0.5
    )
    assert "Checking again in 0:05:00" in scheduler.log(DAG, run_id, "wait_for_span")
    aside.rename(folder)
    # Nobody waits five minutes for a test: clearing makes it look at once.
    scheduler.clear(DAG, run_id, "wait_for_span")
    assert scheduler.wait_for_run(DAG, run_id) == "success"
    run = store.run(DAG, run_id)
    assert store.spans(run, "SpanExampleGen", _OUTPUT, "examples") == [201501]
    assert store.spans(run, "rolling_window", _INTERNAL_OUTPUT, "examples") == MONTHS[-6:]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_month_that_is_delivered_again_is_trained_on_at_once_with_its_gap_and_anomalies(
    scheduler: Scheduler, year: dict[int, Run], store: Store, bundle: Bundle
) -> None:
    """One delivery of two months: the second version of one, and one with a typing error in it."""
    month, spans = MONTHS[-2], bundle.home / "tfx/taxi/spans"
    with open(next((spans / f"{month}/v0").glob("trips-*")), newline="") as file:
        trips = list(csv.DictReader(file))
    mistyped = [
        {**trip, "trip_start_timestamp": "1704067200", "payment_type": "Cach"} for trip in trips
    ]  # 202401
    raw = bundle.home / "tfx/taxi/raw"  # the only folder that a run may name files of
    raw.mkdir(parents=True, exist_ok=True)
    with open(raw / "again.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, trips[0])
        writer.writeheader()
        writer.writerows([*trips[:-7], *mistyped])
    scheduler.unpause(DELIVERY)
    ingest = scheduler.trigger("taxi_ingest", conf={"raw": "again.csv"})
    assert scheduler.wait_for_run("taxi_ingest", ingest) == "success"
    wait_until(lambda: len(scheduler.run_ids(DELIVERY)) == 2, 120, "a run per month", 0.5)
    states = {run_id: scheduler.wait_for_run(DELIVERY, run_id) for run_id in scheduler.run_ids(DELIVERY)}
    by_span = {
        store.spans(run := store.run(DELIVERY, run_id), "SpanExampleGen", _OUTPUT, "examples")[0]: (
            run_id,
            run,
        )
        for run_id in states
    }
    assert sorted(by_span) == [month, 202401]

    run_id, again = by_span[month]
    assert states[run_id] == "success"
    [examples] = again.artifacts["SpanExampleGen", _OUTPUT, "examples"]
    assert store.number(examples, "version") == 1
    window = store.spans(again, "rolling_window", _INTERNAL_OUTPUT, "examples")
    assert window == MONTHS[-8:-2]
    # A later month's model is served already.
    assert "not_superseded" not in again.states and "Pusher" not in again.states

    run_id, mistaken = by_span[202401]
    assert states[run_id] == "failed"
    assert "Cach" in scheduler.log(DELIVERY, run_id, "AnomalyGate")
    assert "Trainer" not in mistaken.states


@pytest.mark.long  # after the month was delivered with its anomalies
@pytest.mark.timeout(600)
def test_month_with_anomalies_goes_through_by_hand_with_another_policy(
    scheduler: Scheduler, year: dict[int, Run], store: Store
) -> None:
    month = MONTHS[-2]  # delivered again
    warned = scheduler.trigger(
        DAG, conf={"span": 202401, "on_anomalies": "warn", "train_args": {"num_steps": 5}}
    )
    assert scheduler.wait_for_run(DAG, warned) == "success"
    # The window reaches back over nine years without data.
    window = store.run(DAG, warned).artifacts["rolling_window", _INTERNAL_OUTPUT, "examples"]
    versions = {store.number(a, "span"): store.number(a, "version") for a in window}
    assert versions == {span: int(span == month) for span in (*MONTHS[-5:], 201501)}
    assert "2 anomalies in " in scheduler.log(DAG, warned, "AnomalyGate")
    assert scheduler.xcom(DAG, warned, "AnomalyGate", "return_value")["state"] == "executed"


# A Beam program is under the scheduler in scheduler/test_ingest.py, drift and promotion are in test_taxi_dags.py.
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("dag_id", "conf", "node"),
    [
        pytest.param("beam_wordcount", {}, None, id="wordcount"),
        pytest.param(
            *("taxi_span_drift", {"span": 201402, "baseline_span": 201401}, "CompareSpans"), id="drift"
        ),
        pytest.param(*("taxi_promotion", {"span": MONTHS[-1]}, "Evaluator"), id="promotion"),
    ],
)
def test_what_else_is_in_dags_runs_under_the_scheduler(
    scheduler: Scheduler,
    year: dict[int, Run],
    store: Store,
    dag_id: str,
    conf: dict[str, Any],
    node: str | None,
) -> None:
    if dag_id == "taxi_promotion":
        [model] = year[MONTHS[-1]].artifacts["Trainer", _OUTPUT, "model"]
        conf = {**conf, "model": model}
    run_id = scheduler.trigger(dag_id, conf=conf)
    if dag_id == "taxi_promotion":
        # Nothing is in production yet.
        assert "has no baseline model" in scheduler.question(dag_id, run_id, "approve")["body"]
        scheduler.answer(dag_id, run_id, "approve", "Reject", reason="only a test")
    assert scheduler.wait_for_run(dag_id, run_id) == "success"
    if node:
        assert store.run(dag_id, run_id).states[node] == "COMPLETE"
