"""Which span a run has, when its data count as complete, and when the wait for them ends."""

from __future__ import annotations

import types
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.tfx_airflow.span_sensor import SpanSensor

MARCH = {
    "data_interval_start": pendulum.datetime(2014, 3, 1, tz="UTC"),
    "data_interval_end": pendulum.datetime(2014, 4, 1, tz="UTC"),
}


class Pushed(dict):
    """Stands where the task instance stands, for its one method that is used."""

    def xcom_push(self, key: str, value: Any) -> None:
        """Keeps the value."""
        self[key] = value


def _run(root: Path | str, context: dict[str, Any], zone: str = "UTC", **options: Any) -> dict[str, Any]:
    with DAG("d", start_date=pendulum.datetime(2013, 1, 1, tz=zone), schedule=None) as dag:
        sensor = SpanSensor(task_id="wait", root=str(root), **options)
    run = types.SimpleNamespace(run_after=datetime.now(timezone.utc))
    return sensor.execute(
        {"params": {}, "run_id": "r", "dag": dag, "dag_run": run, "ti": Pushed(), **context}
    )


def _deliver(root: Path, span: int, version: int = 0, complete: bool = True) -> None:
    folder = root / str(span) / f"v{version}"
    folder.mkdir(parents=True)
    if complete:
        (folder / "_SUCCESS").touch()


@pytest.mark.parametrize(
    ("context", "span"),
    [
        (MARCH, 201403),
        ({**MARCH, "params": {"span": 201311}}, 201311),
        ({"partition_key": "201405", "data_interval_start": None}, 201405),
        ({"partition_key": "201405", "params": {"span": 201406}}, 201406),
    ],
    ids=["interval", "param", "partition", "param-before-partition"],
)
def test_span_is_the_params_or_the_partitions_or_the_intervals(
    tmp_path: Path, context: dict[str, Any], span: int
) -> None:
    for one in (201311, 201403, 201405, 201406, 201412):
        _deliver(tmp_path, one)
    found = _run(tmp_path, context)
    assert found == {"span": span, "version": 0, "path": found["path"]}
    assert found["path"].endswith(f"{tmp_path}/{span}/v0")


def test_interval_counts_in_the_dags_time_zone(tmp_path: Path) -> None:
    _deliver(tmp_path, 201403)
    # Midnight of the first of March in Tokyo is still February in UTC.
    start = pendulum.datetime(2014, 3, 1, tz="Asia/Tokyo").in_timezone("UTC")
    assert start.month == 2
    context = {"data_interval_start": start, "data_interval_end": start.add(months=1)}
    assert _run(tmp_path, context, zone="Asia/Tokyo")["span"] == 201403


def test_format_makes_spans_of_days(tmp_path: Path) -> None:
    _deliver(tmp_path, 20140301)
    assert _run(tmp_path, MARCH, span_format="%Y%m%d")["span"] == 20140301


def test_newest_complete_version_counts(tmp_path: Path) -> None:
    for version, complete in ((2, True), (10, True), (11, False)):
        _deliver(tmp_path, 201403, version, complete)
    assert _run(tmp_path, MARCH)["version"] == 10


def test_run_without_a_data_interval_needs_the_param(tmp_path: Path) -> None:
    for context in ({}, {"data_interval_start": None, "partition_key": None}):
        with pytest.raises(AirflowFailException, match="'r' has no span.* give the Param span"):
            _run(tmp_path, context)


@pytest.mark.parametrize("value", ["../secrets", "2014-03", "20140x", -1])
def test_span_that_is_no_number_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(AirflowFailException, match="is not a number such as 201403"):
        _run(tmp_path, {"params": {"span": value}})


def test_past_run_does_not_wait_and_says_why_it_is_skipped(tmp_path: Path) -> None:
    _deliver(tmp_path, 201402)
    _deliver(tmp_path, 201403, 1, complete=False)
    pushed = Pushed()
    with pytest.raises(AirflowSkipException) as caught:
        _run(tmp_path, {**MARCH, "ti": pushed})
    for part in ("span 201403 did not come within 3 days", "unfinished: v1", "Nothing is made of older data"):
        assert part in str(caught.value)
    assert pushed == {"skipped": str(caught.value)}


def test_late_span_is_waited_for_without_a_worker(tmp_path: Path) -> None:
    with pytest.raises(TaskDeferred) as caught:
        _run(tmp_path, {"params": {"span": 201403}}, poke_interval=timedelta(minutes=10))
    path, arguments = caught.value.trigger.serialize()
    # Airflow's own trigger: the triggerer needs nothing of this bundle.
    assert path == "airflow.providers.standard.triggers.temporal.DateTimeTrigger"
    wait = arguments["moment"] - datetime.now(timezone.utc)
    assert timedelta(minutes=9) < wait <= timedelta(minutes=10)
    assert caught.value.method_name == "execute"


def test_last_look_is_when_patience_ends(tmp_path: Path) -> None:
    with pytest.raises(TaskDeferred) as caught:
        _run(tmp_path, {"params": {"span": 201403}}, patience=timedelta(minutes=2))
    _, arguments = caught.value.trigger.serialize()
    assert arguments["moment"] - datetime.now(timezone.utc) <= timedelta(minutes=2)


def test_root_may_be_a_url_and_name_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _deliver(tmp_path / "taxi", 201403)
    assert _run(f"file://{tmp_path}/taxi", MARCH)["span"] == 201403
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__HOME", str(tmp_path))
    assert _run("${TFX_AIRFLOW_HOME}/taxi", MARCH)["span"] == 201403
