"""Callbacks and macros of a legacy file find what they found in Airflow 2."""

from __future__ import annotations

import datetime
import importlib
import inspect
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG, CronDataIntervalTimetable, DeltaDataIntervalTimetable

from include.tfx_airflow.airflow_side import legacy_arguments
from include.tfx_airflow.airflow_side.legacy_functions import Callback
from include.tfx_airflow.contract import legacy
from include.tfx_airflow.contract.legacy import LegacyDag

_CHANNEL = "NAME = 'alerts of the team'\n"
_ALERTS = '''
def notify(context):
    """Tells the team."""
    from channel_of_team import NAME
    return NAME, context
'''


@pytest.fixture
def notify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function of a module, which imports the module beside it when it is called."""
    (tmp_path / "channel_of_team.py").write_text(_CHANNEL)
    (tmp_path / "alerts_of_team.py").write_text(_ALERTS)
    with monkeypatch.context() as patched:
        patched.syspath_prepend(str(tmp_path))
        function = importlib.import_module("alerts_of_team").notify
    yield function
    for name in ("alerts_of_team", "channel_of_team"):
        sys.modules.pop(name, None)


def _mapped(**config: Any) -> dict[str, Any]:
    plain = {name: legacy.plain(value) for name, value in config.items()}
    found = legacy_arguments.mapped(LegacyDag("taxi", 1, plain))
    assert not found.refused
    return found.arguments


def test_a_callback_may_import_a_module_beside_its_own_when_it_is_called(notify: Any, tmp_path: Path) -> None:
    found = _mapped(
        on_success_callback=[notify],
        default_args={"on_failure_callback": notify},
        user_defined_macros={"tell": notify},
    )
    for function in (
        found["on_success_callback"][0],
        found["default_args"]["on_failure_callback"],
        found["user_defined_macros"]["tell"],
    ):
        sys.modules.pop("channel_of_team", None)
        before = list(sys.path)
        assert function({"a": 1}) == ("alerts of the team", {"a": 1})
        assert sys.path == before


def test_a_callback_is_to_airflow_the_function_that_it_calls(notify: Any) -> None:
    callback = _mapped(on_failure_callback=notify)["on_failure_callback"]
    assert (callback.__name__, callback.__doc__) == ("notify", "Tells the team.")
    assert inspect.getsource(callback) == inspect.getsource(notify)
    assert pickle.loads(pickle.dumps(callback))({})[0] == "alerts of the team"


def _run(run_type: str, run_after: datetime.datetime) -> Any:
    return types.SimpleNamespace(run_type=run_type, run_after=run_after)


def _names(context: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = Callback(lambda given: given, "/srv")(context)
    return found


def test_a_callback_has_the_names_of_airflow_2() -> None:
    start = pendulum.datetime(2014, 3, 3)  # a Monday
    schedule = CronDataIntervalTimetable("0 0 * * 1-5", pendulum.timezone("UTC"))
    context = {
        "dag": DAG("taxi", schedule=schedule),
        "dag_run": _run("scheduled", start.add(days=1)),
        "logical_date": start,
        "ds": "2014-03-03",
        "data_interval_end": start.add(days=1),
        "prev_data_interval_start_success": start.subtract(days=7),
    }
    before = dict(context)
    found = _names(context)
    assert context == before  # its copy has them
    assert {name: found[name] for name in found.keys() - before.keys()} == {
        "execution_date": start,
        "ds_nodash": "20140303",
        "ts": "2014-03-03T00:00:00+00:00",
        "ts_nodash": "20140303T000000",
        "ts_nodash_with_tz": "20140303T000000+0000",
        "next_execution_date": start.add(days=1),
        "next_ds": "2014-03-04",
        "next_ds_nodash": "20140304",
        "yesterday_ds": "2014-03-02",
        "yesterday_ds_nodash": "20140302",
        "tomorrow_ds": "2014-03-04",
        "tomorrow_ds_nodash": "20140304",
        "prev_execution_date": pendulum.datetime(2014, 2, 28),  # the Friday before
        "prev_ds": "2014-02-28",
        "prev_ds_nodash": "20140228",
        "prev_execution_date_success": start.subtract(days=7),
    }


def test_the_run_before_is_that_of_a_schedule_of_a_timedelta_too() -> None:
    start = pendulum.datetime(2014, 3, 3)
    context = {
        "dag": DAG("taxi", schedule=DeltaDataIntervalTimetable(datetime.timedelta(hours=8))),
        "dag_run": _run("scheduled", start.add(hours=8)),
        "logical_date": start,
    }
    assert _names(context)["prev_execution_date"] == start.subtract(hours=8)


def test_a_run_without_a_logical_date_has_the_date_of_its_trigger() -> None:
    moment = datetime.datetime(2014, 3, 1, 6, tzinfo=datetime.timezone.utc)
    context = {"dag": DAG("taxi", schedule=None), "dag_run": _run("manual", moment)}
    found = _names(context)
    dates = ("execution_date", "prev_execution_date", "next_execution_date")
    assert [found[name] for name in dates] == [moment] * 3
    assert found["execution_date"].add(days=1).isoformat() == "2014-03-02T06:00:00+00:00"
    assert (found["ds"], found["prev_ds"], found["yesterday_ds"]) == (
        "2014-03-01",
        "2014-03-01",
        "2014-02-28",
    )


def test_a_callback_of_a_dag_whose_run_airflow_does_not_tell_is_called_with_what_there_is() -> None:
    context = {"dag": DAG("taxi", schedule=None), "run_id": "manual_1", "reason": "timed_out"}
    assert _names(context) == context
