"""A legacy DAG file, written for `tfx.orchestration.airflow`: where it is, and what the TFX side tells of its DAGs.

Such a file is executed in the TFX interpreter. Airflow's interpreter gets its configs as plain values: JSON, in which
an object with the key `$` stands for a value that JSON lacks. Standard library only; both interpreters use it.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from include.tfx_airflow.contract import legacy_secrets

_TAG = "$"
_LONGEST = 200


@dataclasses.dataclass(frozen=True)
class LegacyFile:
    """A file, and what it needs to be executed.

    Attributes:
      path: Of the file, absolute.
      folders: From which it may import: those that were given to `adopt`, and its own.
      variables: Values of the Airflow Variables that it asks for; None for one that does not exist.
      first: Folders that come before Python's own library on `sys.path`, because the file has put them there.
      working_folder: In which it is executed, and its nodes work; "" for the bundle's root.
    """

    path: str
    folders: tuple[str, ...]
    variables: Mapping[str, str | None] = dataclasses.field(default_factory=dict, repr=False)
    first: tuple[str, ...] = ()
    working_folder: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> LegacyFile:
        """Makes it again from what `dataclasses.asdict` and JSON have made of it."""
        return cls(**{**data, "folders": tuple(data["folders"]), "first": tuple(data["first"])})

    @property
    def module(self) -> str:
        """Name of the module that the file becomes; a prefix keeps it apart from modules such as `tfx`."""
        return "dag_file_" + re.sub(r"\W", "_", Path(self.path).stem)


@dataclasses.dataclass(frozen=True)
class LegacyDag:
    """One DAG of a legacy file.

    Attributes:
      dag_id: The pipeline's name.
      line: Where in the file it is made; 0 when that is elsewhere.
      config: Arguments of Airflow's DAG, as `plain` makes them.
      templates: Template by the name of a RuntimeParameter that stands for it, where the file has a template in a
        component's property; such a parameter does not become a Param.
      store: Address of the ML Metadata store that the pipeline names, without user and password; "" if it names none.
      notes: What else has no effect here, or another one, as sentences.
      refused: What cannot be honoured, as sentences by name.
      variables: By the name of each environment variable that executing the file sets, the file that sets it to a literal
        text, which its nodes are given; "" where only executing it would tell. Never a value: it may be a secret.
      first: Folders that executing the file puts before Python's own library on `sys.path`; its nodes need them there.
      folders: ... and behind it.
    """

    dag_id: str
    line: int
    config: dict[str, Any]
    templates: dict[str, str] = dataclasses.field(default_factory=dict)
    store: str = ""
    notes: tuple[str, ...] = ()
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    first: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> LegacyDag:
        """Makes it again from what `dataclasses.asdict` and JSON have made of it.

        Raises:
          KeyError: It was made by an earlier version, which told less.
        """
        return cls(**{**data, **{name: tuple(data[name]) for name in ("notes", "first", "folders")}})

    def with_texts(self, change: Callable[[str], str]) -> LegacyDag:
        """The same with its JSON changed, such as by `fingerprint.abstract`."""
        return LegacyDag.of(json.loads(change(json.dumps(dataclasses.asdict(self), ensure_ascii=False))))


@dataclasses.dataclass(frozen=True)
class Function:
    """A function of a legacy file or of a module that it imports.

    Attributes:
      reference: `module:function`.
      path: Of the module's file.
    """

    reference: str
    path: str


@dataclasses.dataclass(frozen=True)
class Unknown:
    """A value that cannot be told to the other interpreter; `text` is its repr, cut."""

    text: str


def plain_config(config: Mapping[Any, Any]) -> dict[str, Any]:
    """A config as JSON, without secrets that Airflow has no use for."""
    return {str(key): plain(value) for key, value in legacy_secrets.masked(config).items()}


def plain(value: Any) -> Any:
    """A value of a config as JSON."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value if type(value) in (bool, int, float, str, type(None)) else _plain_subclass(value)
    if isinstance(value, datetime.datetime):
        return {_TAG: "datetime", "value": _naive(value).isoformat(), **_zone(value)}
    if isinstance(value, datetime.timedelta):
        return {_TAG: "timedelta", "value": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, Mapping) and all(isinstance(key, str) and key != _TAG for key in value):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=repr)
    if function := _function(value):
        return function
    # The arguments of a partial, which may be secrets, have no names if they have places.
    text = f"functools.partial({value.func!r}, ...)" if isinstance(value, functools.partial) else repr(value)
    return {_TAG: "unknown", "value": " ".join(text.split())[:_LONGEST]}


def _plain_subclass(value: Any) -> Any:
    """Enumerations such as `TriggerRule.ALL_DONE` are texts."""
    kinds: tuple[type, ...] = (bool, int, float, str)
    return next(
        kind.__new__(kind, getattr(value, "value", value)) for kind in kinds if isinstance(value, kind)
    )


def _naive(moment: datetime.datetime) -> datetime.datetime:
    parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
    return datetime.datetime(*parts, moment.microsecond)


def _zone(moment: datetime.datetime) -> dict[str, Any]:
    if moment.tzinfo is None:
        return {}
    for attribute in ("key", "zone", "name"):  # of zoneinfo, pytz and pendulum
        name = getattr(moment.tzinfo, attribute, None)
        if isinstance(name, str) and re.fullmatch(r"[A-Za-z]\w*(/[\w+-]+)*", name):
            return {"zone": name}
    offset = moment.utcoffset() or datetime.timedelta()
    return {"offset": offset.total_seconds()}


def _function(value: Any) -> dict[str, Any] | None:
    """A function by a name of its module that stands for it, and not for one that it wraps."""
    module = sys.modules.get(value.__module__) if inspect.isfunction(value) else None
    path = getattr(module, "__file__", None)
    if not path:
        return None
    names = [value.__qualname__, *vars(module)]
    name = next((name for name in names if vars(module).get(name) is value), "")
    if not name:
        return None
    return {_TAG: "function", "value": f"{value.__module__}:{name}", "path": os.path.abspath(path)}


def live(value: Any) -> Any:
    """The value that `plain` was given; functions as `Function`, what could not be told as `Unknown`."""
    if isinstance(value, list):
        return [live(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: live(item) for key, item in value.items()}
    return _LIVE[value[_TAG]](value)


def _datetime(value: dict[str, Any]) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(value["value"])
    if "zone" in value:
        return moment.replace(tzinfo=ZoneInfo(value["zone"]))
    if "offset" in value:
        return moment.replace(tzinfo=datetime.timezone(datetime.timedelta(seconds=value["offset"])))
    return moment


_LIVE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "datetime": _datetime,
    "timedelta": lambda value: datetime.timedelta(*value["value"]),
    "function": lambda value: Function(value["value"], value["path"]),
    "unknown": lambda value: Unknown(value["value"]),
}
