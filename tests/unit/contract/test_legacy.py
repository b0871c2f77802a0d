"""A legacy DAG file's config on its way from the TFX interpreter to Airflow's."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import json
import sys
from collections.abc import Callable
from types import ModuleType
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


class _Text(str):
    pass


class _Hidden:
    def __repr__(self) -> str:
        return "hunter22"


def notify(context: object) -> None:
    """A callback."""


def _to(channel: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def to_channel(context: object) -> None: ...

        return to_channel

    return decorate


def _unnamed(channel: str) -> Callable[..., None]:
    def to_channel(context: object) -> None: ...

    return to_channel


@_to("#taxi")
def decorated(context: object) -> None:
    """A callback of a decorator's."""


alias = notify
notify_ml = _to("#ml")(notify)
notify_ops = _unnamed("#ops")


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
    ("value", "name"),
    [
        (alias, "notify"),
        (decorated, "decorated"),
        # Not the function that it wraps, whose name it has.
        (notify_ml, "notify_ml"),
        (notify_ops, "notify_ops"),
    ],
)
def test_a_function_is_told_by_a_name_that_its_module_has_for_it(value: Any, name: str) -> None:
    assert _round(value) == Function(f"{__name__}:{name}", __file__)


def test_a_decorator_of_another_module_does_not_make_it_that_modules() -> None:
    # Its code is in the decorator's file, and so is not where the function can be imported from.
    scope: dict[str, Any] = {"functools": functools}
    source = "def with_log(f):\n    @functools.wraps(f)\n    def logged(c): ...\n    return logged\n"
    exec(compile(source, "/srv/logs.py", "exec"), scope)
    module = ModuleType("of_the_team")
    module.__file__ = "/srv/of_the_team.py"

    def tell(context: object) -> None: ...

    tell.__module__, tell.__qualname__ = "of_the_team", "tell"
    module.tell = scope["with_log"](tell)  # type: ignore[attr-defined]
    sys.modules["of_the_team"] = module
    try:
        assert _round(module.tell) == Function("of_the_team:tell", "/srv/of_the_team.py")
    finally:
        del sys.modules["of_the_team"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (_to("#other")(notify), "<function notify at"),
        (_unnamed("#other"), "<function _unnamed.<locals>.to_channel at"),
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


@pytest.mark.parametrize(
    "value",
    [
        {"db_password": "hunter22"},
        {"env": {"DB_PASSWORD": "hunter22"}},
        {"env": [{"name": "DB_PASSWORD", "value": "hunter22"}]},
        [{"slackToken": ["hunter22", {"a": ("hunter22",)}]}],
        {"Authorization": {"x": "Bearer hunter22"}},
        {"proxies": {"http://a:hunter22@b"}},
        {1: {"secret": "hunter22"}},
        {"password": b"hunter22"},
        {"password": _Text("hunter22")},
        {"auth": functools.partial(notify, token="hunter22")},
        {"password": _Hidden()},
    ],
)
def test_a_secret_is_told_without_its_value(value: Any) -> None:
    told = json.dumps(legacy.plain_config({"of_ours": value, "default_args": {"of_ours": value}}))
    assert "hunter" not in told and (told.count("***") >= 2 or "partial" in told)


@pytest.mark.parametrize(
    "value",
    [
        {"max_tokens": 512, "secret": None, "api_key": False},
        {"tokenizer": "bert", "owner": "ann", "tags": ["token"]},
        {"name": "owner", "value": "ann"},
        {"password": ""},
    ],
)
def test_what_is_no_secret_is_told(value: Any) -> None:
    assert legacy.plain_config({"default_args": value, "of_ours": value}) == {
        "default_args": value,
        "of_ours": value,
    }


def test_a_secret_of_the_config_itself_is_told_without_its_value() -> None:
    config = legacy.plain_config({"api_key": "hunter22", "default_args": {"db_password": "hunter22"}})
    assert legacy.live(config["api_key"]) == legacy.live(config["default_args"]["db_password"])
    assert "hunter" not in json.dumps(config)


def test_what_airflow_is_given_is_told_with_its_secrets() -> None:
    config = {"params": {"api_key": "hunter22"}, "executor_config": {"env": {"DB_PASSWORD": "hunter22"}}}
    assert legacy.plain_config({**config, "default_args": config}) == {**config, "default_args": config}
    [macro] = legacy.plain_config({"user_defined_macros": {"get_token": notify}}).values()
    assert legacy.live(macro) == {"get_token": Function(f"{__name__}:notify", __file__)}


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
