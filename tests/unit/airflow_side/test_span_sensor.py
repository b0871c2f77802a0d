"""Which span a run has, when its data count as complete, and when the wait for them ends."""

from __future__ import annotations

import json
import types
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.sdk import (
    DAG,
    Asset,
    AssetOrTimeSchedule,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    MultipleCronTriggerTimetable,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.sdk.execution_time import task_runner
from dateutil.relativedelta import relativedelta

from include.tfx_airflow.airflow_side import span_number
from include.tfx_airflow.airflow_side.span_number import SpanError
from include.tfx_airflow.airflow_side.span_sensor import SpanSensor, range_config
from include.tfx_airflow.contract.errors import ConfigError

MARCH = {
    "data_interval_start": pendulum.datetime(2014, 3, 1, tz="UTC"),
    "data_interval_end": pendulum.datetime(2014, 4, 1, tz="UTC"),
}


class Pushed(dict):
    """Stands where the task instance stands, for its one method that is used."""

    def xcom_push(self, key: str, value: Any) -> None:
        """Keeps the value."""
        self[key] = value


def _run(
    root: Path | str, context: dict[str, Any], zone: str = "UTC", schedule: Any = None, **options: Any
) -> dict[str, Any]:
    with DAG("d", start_date=pendulum.datetime(2013, 1, 1, tz=zone), schedule=schedule) as dag:
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


def _span(schedule: Any, *, logical_date: str | None = None, zone: str = "UTC", **options: Any) -> int:
    """The span of the run that Airflow itself makes for a schedule: for the interval that ends at a moment."""
    with DAG("d", start_date=pendulum.datetime(2013, 1, 1, tz=zone), schedule=schedule) as dag:
        SpanSensor(task_id="wait", root="/", **options)
    interval = _as_the_scheduler_has_it(dag).timetable.infer_manual_data_interval(
        run_after=pendulum.parse(logical_date)
    )
    context = {
        "params": {},
        "dag": dag,
        "data_interval_start": interval.start,
        "data_interval_end": interval.end,
    }
    timezone = options.get("timezone")
    return span_number.of_run(
        context, options.get("span_format", "%Y%m"), span_number.zone_of(timezone) if timezone else None
    )


def _as_the_scheduler_has_it(dag: DAG) -> Any:
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


MONTHLY, DAILY, HOURLY = "0 0 1 * *", "0 0 * * *", "0 * * * *"
ZONES = ("UTC", "America/Chicago", "Asia/Tokyo", "Pacific/Chatham")


@pytest.mark.parametrize("dag_zone", ["UTC", "America/Chicago"])
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("cron", "span_format"), [(MONTHLY, "%Y%m"), (DAILY, "%Y%m%d"), ("0 6 * * *", "%Y%m%d")]
)
def test_each_interval_of_a_cron_schedule_has_its_own_span_in_every_zone_of_dag_and_schedule(
    cron: str, span_format: str, zone: str, dag_zone: str
) -> None:
    timetable = CronDataIntervalTimetable(cron, timezone=zone)
    step, count = ({"months": 1}, 14) if cron == MONTHLY else ({"days": 1}, 400)
    wall = pendulum.naive(2013, 12, 1, 12)
    with DAG("d", start_date=pendulum.datetime(2013, 1, 1, tz=dag_zone), schedule=timetable) as dag:
        pass
    scheduled = _as_the_scheduler_has_it(dag).timetable
    for _ in range(count):
        later = wall.add(**step)
        noon = pendulum.datetime(later.year, later.month, later.day, 12, tz=zone)
        interval = scheduled.infer_manual_data_interval(run_after=noon.in_timezone("UTC"))
        context = {
            "params": {},
            "dag": dag,
            "data_interval_start": interval.start.in_timezone("UTC"),
            "data_interval_end": interval.end.in_timezone("UTC"),
        }
        assert span_number.of_run(context, span_format) == int(wall.strftime(span_format)), interval
        wall = wall.add(**step)


@pytest.mark.parametrize("zone", ["America/Chicago", "Asia/Tokyo"])
def test_the_example_reads_march_wherever_airflow_is(tmp_path: Path, zone: str) -> None:
    for span in (201402, 201403):
        _deliver(tmp_path, span)
    schedule = CronDataIntervalTimetable("@monthly", timezone="UTC")
    assert _run(tmp_path, MARCH, zone=zone, schedule=schedule)["span"] == 201403


def test_schedules_that_hold_others_are_looked_into() -> None:
    inner = CronTriggerTimetable(MONTHLY, timezone="Asia/Tokyo", interval=timedelta(days=28))
    both = AssetOrTimeSchedule(timetable=inner, assets=[Asset("a")])
    several = MultipleCronTriggerTimetable(MONTHLY, timezone="Asia/Tokyo", interval=timedelta(days=28))
    for schedule in (inner, both, several):
        with DAG("d", start_date=pendulum.datetime(2013, 1, 1, tz="UTC"), schedule=schedule) as dag:
            pass
        assert str(span_number.clock(dag)) == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("interval", "cron", "when", "span_format", "span"),
    [
        (timedelta(days=1), DAILY, "2014-03-10T05:00:00Z", "%Y%m%d", 20140309),  # a day of 23 hours
        (timedelta(days=1), DAILY, "2014-11-03T06:00:00Z", "%Y%m%d", 20141102),  # and one of 25
        (relativedelta(months=1), MONTHLY, "2014-04-01T05:00:00Z", "%Y%m", 201403),
        (relativedelta(months=1), MONTHLY, "2014-12-01T06:00:00Z", "%Y%m", 201411),
        (timedelta(hours=1), HOURLY, "2014-03-09T08:00:00Z", "%Y%m%d%H", 2014030901),
    ],
    ids=["spring", "autumn", "month-of-spring", "month-of-autumn", "hour-of-spring"],
)
def test_days_of_23_and_25_hours_are_days(
    interval: Any, cron: str, when: str, span_format: str, span: int
) -> None:
    schedule = CronTriggerTimetable(cron, timezone="America/Chicago", interval=interval)
    assert _span(schedule, logical_date=when, span_format=span_format) == span
    zone = "America/Chicago"
    assert _span(schedule, logical_date=when, span_format=span_format, timezone=zone) == span


def test_an_hour_that_comes_twice_is_refused_and_counted_in_utc() -> None:
    schedule = CronDataIntervalTimetable(HOURLY, timezone="America/Chicago")
    spans = {}
    for hour in range(4, 10):
        when = f"2014-11-02T{hour:02}:30:00Z"
        try:
            spans[hour] = _span(schedule, logical_date=when, span_format="%Y%m%d%H")
        except SpanError as error:
            assert "2014110201 stands for two hours" in str(error) and "timezone='UTC'" in str(error)
            spans[hour] = 0
    assert spans == {4: 2014110122, 5: 2014110123, 6: 2014110200, 7: 0, 8: 0, 9: 2014110202}
    utc = [
        _span(schedule, logical_date=f"2014-11-02T{h:02}:30:00Z", span_format="%Y%m%d%H", timezone="UTC")
        for h in range(4, 10)
    ]
    assert utc == [2014110203, 2014110204, 2014110205, 2014110206, 2014110207, 2014110208]


def test_a_delta_that_knows_no_daylight_saving_time_is_refused_where_there_is_any() -> None:
    schedule = DeltaDataIntervalTimetable(timedelta(days=1))
    when, daily = "2014-11-04T06:00:00Z", {"span_format": "%Y%m%d"}
    with pytest.raises(SpanError, match="ignores daylight saving time, and America/Chicago has it"):
        _span(schedule, logical_date=when, zone="America/Chicago", **daily)
    assert _span(schedule, logical_date=when, zone="America/Chicago", timezone="UTC", **daily) == 20141103
    assert _span(schedule, logical_date="2014-11-03T15:00:00Z", zone="Asia/Tokyo", **daily) == 20141103


@pytest.mark.parametrize("schedule", [MONTHLY, None], ids=["cron-without-interval", "by-hand"])
def test_a_moment_is_no_interval_and_names_no_span(tmp_path: Path, schedule: Any) -> None:
    _deliver(tmp_path, 201404)
    moment = pendulum.datetime(2014, 4, 1, tz="UTC")
    context = {"data_interval_start": moment, "data_interval_end": moment}
    with pytest.raises(
        AirflowFailException, match="'r' has no span.*is a single moment.*CronDataIntervalTimetable"
    ):
        _run(tmp_path, context, schedule=schedule)
    assert _run(tmp_path, {**context, "params": {"span": 201404}}, schedule=schedule)["span"] == 201404


@pytest.mark.parametrize("span_format", ["%d%m%Y", "%m%Y", "%Y-%m", "%B", "", "2014", "%m", "%H"])
def test_a_format_whose_numbers_do_not_grow_with_time_is_an_error_in_the_dag_file(
    tmp_path: Path, span_format: str
) -> None:
    with pytest.raises(ConfigError, match="does not make numbers that grow with time"):
        _run(tmp_path, MARCH, span_format=span_format)


def test_a_zone_that_is_none_is_an_error_in_the_dag_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'Chicago' is not a time zone"):
        _run(tmp_path, MARCH, timezone="Chicago")


@pytest.mark.parametrize(
    ("sensors", "map_index"),
    [
        ({-1: 201403}, -1),
        ({-1: 201403}, 1),
        ({0: 201402, 1: 201403}, 1),
        ({1: 201403}, 1),
    ],
    ids=["neither-mapped", "pipeline-mapped", "both-mapped", "other-item-skipped"],
)
def test_what_an_example_gen_reads_is_what_the_sensor_found(
    monkeypatch: pytest.MonkeyPatch, sensors: dict[int, int], map_index: int
) -> None:
    def get_one(*, task_id: str, map_index: int, key: str, **_: Any) -> Any:
        assert (task_id, key) == ("wait", "return_value")
        return {"span": sensors[map_index]} if map_index in sensors else None

    def get_all(**_: Any) -> Any:
        return [{"span": span} for span in sensors.values()]

    monkeypatch.setattr(task_runner.XCom, "get_one", get_one)
    monkeypatch.setattr(task_runner.XCom, "get_all", get_all)
    instance = task_runner.RuntimeTaskInstance.model_construct(
        dag_id="d", run_id="r", task_id="gen", map_index=map_index
    )
    rendered = DAG("d").get_template_env().from_string(range_config("wait")).render(ti=instance)
    assert json.loads(rendered) == {"static_range": {"start_span_number": 201403, "end_span_number": 201403}}


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


@pytest.mark.parametrize(
    "value", ["../secrets", "2014-03", "20140x", -1, "٢٠١٤", "201403\n", "9" * 5000, 0, True]
)
def test_span_that_is_no_number_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(AirflowFailException, match="of run 'r' is not a number such as 201403"):
        _run(tmp_path, {"params": {"span": value}})


def test_past_run_does_not_wait_and_says_why_it_is_skipped(tmp_path: Path) -> None:
    _deliver(tmp_path, 201402)
    _deliver(tmp_path, 201403, 1, complete=False)
    pushed = Pushed()
    with pytest.raises(AirflowSkipException) as caught:
        _run(tmp_path, {**MARCH, "ti": pushed})
    for part in (
        "span 201403 did not arrive within 3 days",
        "unfinished: v1",
        "Older data is not used instead",
    ):
        assert part in str(caught.value)
    assert pushed == {"tfx_skip": {"node": "wait", "reason": str(caught.value), "outside": True}}


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


def test_a_worker_with_another_home_is_told_so_instead_of_waiting_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__HOME", str(tmp_path))
    with pytest.raises(AirflowFailException, match="'wait' waits for files in it; mount one shared folder"):
        _run("${TFX_AIRFLOW_HOME}/spans", MARCH)
    (tmp_path / "dag-processor").touch()
    _deliver(tmp_path / "spans", 201403)
    assert _run("${TFX_AIRFLOW_HOME}/spans", MARCH)["span"] == 201403
