"""The retraining example as a user has it: some months of trips, each but the first trained on those before it."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.bundle import ROOT, STATE, Bundle

JANUARY, FEBRUARY, MARCH = 201301, 201302, 201303
# Part by which a metric may differ: sums of floats depend on their order.
RELATIVE = 1e-6
DAGS = ("taxi_ingest", "taxi_retraining")


def trips(*months: int) -> bytes:
    """The trips of some months from the sample that comes with TFX, as CSV."""
    [sample] = STATE.glob(
        "tfx/lib/python3*/site-packages/tfx/examples/chicago_taxi_pipeline/data/simple/data.csv"
    )
    header, *rows = sample.read_text().splitlines()
    place = header.split(",").index("trip_start_timestamp")
    kept = [
        row
        for row in rows
        if int(f"{datetime.fromtimestamp(int(row.split(',')[place]), timezone.utc):%Y%m}") in months
    ]
    return "\n".join([header, *kept, ""]).encode()


def write_dags(folder: Path, changes: dict[str, str]) -> None:
    """Copies the two DAG files, with texts in them changed, each of which must be in one of them.

    Args:
      folder: Of DAG files.
      changes: New text by old.
    """
    texts = {name: (ROOT / "dags" / f"{name}.py").read_text() for name in DAGS}
    for old, new in changes.items():
        assert any(old in text for text in texts.values()), old
        texts = {name: text.replace(old, new) for name, text in texts.items()}
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)


def put_trips(home: Path, *months: int) -> None:
    """Puts the trips of some months where the ingest looks for them, below [tfx_airflow] home."""
    raw = home / "taxi" / "raw"
    raw.mkdir(parents=True)
    (raw / "trips.csv").write_bytes(trips(*months))


def run(bundle: Bundle, *spans: int, runner: str = "in_memory") -> list[str]:
    """Ingests, and retrains on each of some months, in `airflow dags test`; returns what each run said.

    Args:
      bundle: Has the DAG files and the trips.
      *spans: The months, such as 201302. The first of all has nothing to train on.
      runner: Of the ingest.
    """
    logs = []
    ingest = {"raw": "*.csv", "runner": runner}
    for dag_id, conf in (("taxi_ingest", ingest), *(("taxi_retraining", {"span": span}) for span in spans)):
        done = bundle.dags_test(dag_id, "--conf", json.dumps(conf))
        assert done.returncode == 0, done.stdout[-8000:]
        logs.append(done.stdout)
    return logs


@dataclasses.dataclass(frozen=True)
class Month:
    """A month of retraining.

    Attributes:
      metrics: Of its model.
      transformed: URI of the rows that the model was trained on.
      states: MLMD state by node.
    """

    metrics: dict[str, float]
    transformed: str
    states: dict[str, str]


def latest(bundle: Bundle) -> Month:
    """What the last run of the retraining left."""
    latest = {execution.node: execution for execution in bundle.executions("taxi_retraining")}
    uri = latest["Transform"].uri("transformed_examples")
    states = {node: execution.state for node, execution in latest.items()}
    return Month(evaluations(bundle)[-1], uri, states)


def evaluations(bundle: Bundle) -> list[dict[str, float]]:
    """Metrics of the models, the oldest first."""
    found = bundle.airflow_rows(
        "select value from xcom where dag_id = 'taxi_retraining' and task_id = 'Evaluator'"
        " and key = 'return_value' order by timestamp"
    )
    return [metrics(value) for (value,) in found]


def metrics(evaluated: Any) -> dict[str, float]:
    """The metrics in the XCom of an Evaluator's task, without their intervals, which are drawn at random."""
    found = json.loads(evaluated) if isinstance(evaluated, str) else evaluated
    return {
        name: value["value"] if isinstance(value, dict) else value
        for name, value in found["summary"]["metrics"].items()
    }
