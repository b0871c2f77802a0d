"""A legacy DAG file's config on its way from the TFX interpreter to Airflow's."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from include.tfx_airflow.contract import legacy
from include.tfx_airflow.contract.legacy import Function, LegacyDag, LegacyFile, Unknown

_NOON = datetime.datetime(2019, 1, 1, 12, 30, 0, 5)


class _Rule(str, enum.Enum):
    ALL_DONE = "all_done"


class _Opaque:
    def __repr__(self) -> str:
        return "<opaque\n  thing>"


def notify(context: object) -> None:
    """A callback."""


def _round(value: Any) -> Any:
    return legacy.live(json.loads(json.dumps(legacy.plain(value))))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.5,
        "@daily",
        [1, "a", None],
        {"retries": 1, "nested": {"a": [2]}},
        datetime.timedelta(days=-1, seconds=3, microseconds=7),
        _NOON,
        _NOON.replace(tzinfo=ZoneInfo("Europe/Berlin")),
        _NOON.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
    ],
)
def test_values_arrive_as_they_were(value: Any) -> None:
    assert _round(value) == value
    if isinstance(value, datetime.datetime):
        assert _round(value).utcoffset() == value.utcoffset()


def test_a_time_zone_keeps_its_name() -> None:
    moment = _round(_NOON.replace(tzinfo=ZoneInfo("Europe/Berlin")))
    assert moment.tzinfo.key == "Europe/Berlin"
    assert _round(_NOON.replace(tzinfo=ZoneInfo("UTC"))).tzinfo.key == "UTC"


def test_kinds_that_json_lacks_become_their_nearest() -> None:
    assert _round((1, 2)) == [1, 2]
    assert _round({"b", "a"}) == ["a", "b"]
    assert _round(_Rule.ALL_DONE) == "all_done"


def test_a_function_becomes_its_reference() -> None:
    assert _round({"on_failure_callback": notify}) == {
        "on_failure_callback": Function(f"{__name__}:notify", __file__)
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (_Opaque(), "<opaque thing>"),
        (functools.partial(notify, 1), "functools.partial"),
        (lambda context: None, "<lambda>"),
        ({1: 2}, "{1: 2}"),
        ({"$": 2}, "{'$': 2}"),
    ],
)
def test_what_cannot_be_told_says_what_it_was(value: Any, text: str) -> None:
    found = _round([value])[0]
    assert isinstance(found, Unknown) and text in found.text and len(found.text) <= 200


def test_a_dag_is_the_same_after_json() -> None:
    dag = LegacyDag("taxi", 9, {"retries": 1}, {"Gen.input": "{{ ds }}"}, "sqlite:////a", ("b",), {"c": "d"})
    dag = dataclasses.replace(dag, variables={"A": "/srv/a.py"}, first=("/srv",), folders=("/opt",))
    assert dag.with_texts(lambda text: text) == dag
    assert dag.with_texts(lambda text: text.replace("////a", "////ü")).store == "sqlite:////ü"


def test_what_an_earlier_version_told_is_not_taken() -> None:
    told = {"dag_id": "taxi", "line": 9, "config": {}, "ignored": []}
    with pytest.raises(KeyError):
        LegacyDag.of(told)


def test_a_file_becomes_a_module_that_hides_no_other() -> None:
    assert LegacyFile("/srv/legacy/tfx.py", ("/srv/legacy",)).module == "dag_file_tfx"
    assert LegacyFile("/srv/legacy/taxi-2.v1.py", ("/srv/legacy",)).module == "dag_file_taxi_2_v1"
    file = LegacyFile("/a.py", ("/",), {"key": "secret"}, ("/srv",), "/srv/work")
    assert "secret" not in repr(file)
    assert LegacyFile.of(json.loads(json.dumps(dataclasses.asdict(file)))) == file
