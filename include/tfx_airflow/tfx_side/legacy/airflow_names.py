"""The few names of Airflow that legacy DAG files use; every other name is refused when it is used."""

from __future__ import annotations

import ast
import datetime
import enum
import importlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.tfx_side.legacy.placeholder import Placeholder, is_tried
from include.tfx_airflow.tfx_side.legacy.refused import NeedsVariables, NoVariableError, RefusedError

_MISSING = object()
_UTC = datetime.timezone.utc
_TASKS = (
    "an adopted file makes TFX pipelines only. Leave these in it, and add other tasks where it is adopted, to Airflow's own "
    "DAG: [dag] = adopt(...), then dag.get_task('Pusher') >> BashOperator(..., dag=dag)"
)
VALUES = (
    "an adopted file is executed without Airflow. Of what Airflow knows it may read Variables; give it other values in "
    "environment={...} of adopt, and use connections where a task runs"
)
_ARGUMENTS = (
    "an adopted file is executed without Airflow. Give what it is for to adopt, in "
    "configs={'taxi': {'airflow_dag_config': {...}}}, where Airflow is at hand"
)
# By parts of a full name, the first that is among them.
_CURES = {
    _TASKS: "operators sensors transfers decorators task_group baseoperator BaseOperator helpers xcom_arg",
    VALUES: "configuration hooks settings secrets session db connection Connection version __version__",
}


class DAG:
    """Stands for `airflow.DAG`: what the runner returns, and a name for annotations.

    What the file assigns to it, such as `doc_md`, is taken as an argument of the DAG. What it gave the runner it may read,
    and change: the config is the DAG's own, because a file that makes one DAG after another changes a dict for the next.
    """

    dag_id: str
    config: dict[str, Any]

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        """Refuses: only the runner makes DAGs here."""
        raise RefusedError(f"DAG(...) of Airflow makes a DAG without a TFX pipeline; {_TASKS}.")

    @classmethod
    def of_pipeline(cls, dag_id: str, config: Mapping[str, Any]) -> DAG:
        """The DAG of a pipeline, with the arguments that the file gave the runner."""
        dag = object.__new__(cls)
        vars(dag).update({"dag_id": dag_id, "config": _copied(dict(config))})
        return dag

    def _refuse(self, *arguments: Any) -> NoReturn:
        raise RefusedError(f"a DAG that a runner has made takes no other tasks in this file; {_TASKS}.")

    __enter__ = __exit__ = __rshift__ = __lshift__ = __rrshift__ = __rlshift__ = _refuse

    def __setattr__(self, name: str, value: Any) -> None:
        self.config[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self.config:
            return self.config[name]
        cure = _TASKS if "task" in name or name in ("leaves", "roots") else _ARGUMENTS
        raise RefusedError(f"DAG.{name} of Airflow is not known where the file is executed; {cure}.")


def _copied(value: Any) -> Any:
    """The same in dicts, lists, tuples and sets of its own; what is in them may be something that has no copy."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_copied(item) for item in value)
    return set(value) if isinstance(value, set) else value


class TriggerRule(str, enum.Enum):
    """As `airflow.utils.trigger_rule.TriggerRule`, of Airflow 1.10 and 2."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_DONE_SETUP_SUCCESS = "all_done_setup_success"
    ALL_SKIPPED = "all_skipped"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    NONE_FAILED_OR_SKIPPED = "none_failed_or_skipped"
    NONE_SKIPPED = "none_skipped"
    DUMMY = "dummy"
    ALWAYS = "always"

    def __str__(self) -> str:
        return self.value


def days_ago(
    n: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0
) -> datetime.datetime:
    """As `airflow.utils.dates.days_ago`: a moment of the day n days ago, in UTC."""
    today = datetime.datetime.now(_UTC).replace(
        hour=hour, minute=minute, second=second, microsecond=microsecond
    )
    return today - datetime.timedelta(days=n)


def _utc_datetime(*arguments: Any, **keywords: Any) -> datetime.datetime:
    return datetime.datetime(*arguments, **{"tzinfo": _UTC, **keywords})


def variable_class(file: LegacyFile, asked: set[str]) -> type:
    """The class that stands for `airflow.models.Variable`, with the values that Airflow gave.

    Args:
      file: The file that is executed.
      asked: The Variables that it lacks are added, because a bare `except:` keeps the error that asks for them.
    """

    class Variable:
        """Stands for `airflow.models.Variable`; it can only be read."""

        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            raise RefusedError(
                "a DAG file that is being read must not make a Variable; use 'airflow variables set'."
            )

        @classmethod
        def get(
            cls, key: str, default_var: Any = _MISSING, deserialize_json: bool = False, **keywords: Any
        ) -> Any:
            """As in Airflow: the value, or the default, or a KeyError."""
            if key not in file.variables:
                asked.update({key, *_literal_names(file.path)} - set(file.variables))
                raise NeedsVariables(asked)
            value = file.variables[key]
            if value is None:
                default = keywords.get("default", default_var)
                if default is _MISSING:
                    raise NoVariableError(key)
                return default
            return json.loads(value) if deserialize_json else value

        @classmethod
        def _refuse(cls, *arguments: Any, **keywords: Any) -> NoReturn:
            raise RefusedError(
                "a DAG file that is being read must not change Variables; use 'airflow variables set'."
            )

        set = setdefault = delete = update = _refuse

    return Variable


def _literal_names(path: str) -> Iterator[str]:
    """Names in `Variable.get("...")` of a file, so that one question is enough for most."""
    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Attribute):
            owner, name = node.func.value, node.args[0]
            of_variable = getattr(owner, "id", getattr(owner, "attr", "")) == "Variable"
            if of_variable and node.func.attr == "get" and isinstance(name, ast.Constant):
                if isinstance(name.value, str):
                    yield name.value


def _exceptions() -> dict[str, type[Exception]]:
    """Those that files raise and catch; nothing here raises one."""
    base = type("AirflowException", (Exception,), {"__module__": "airflow.exceptions"})
    kinds = "BadRequest ConfigException FailException NotFoundException SensorTimeout SkipException TaskTimeout".split()
    children = {
        f"Airflow{kind}": type(f"Airflow{kind}", (base,), {"__module__": base.__module__}) for kind in kinds
    }
    return {base.__name__: base, **children}


def names(file: LegacyFile, asked: set[str]) -> dict[str, dict[str, Any]]:
    """What the stand-ins of Airflow's modules hold, by module; for `asked` see `variable_class`."""
    variable = variable_class(file, asked)
    return {
        "airflow": {"DAG": DAG},
        "airflow.exceptions": _exceptions(),
        "airflow.models": {"DAG": DAG, "Variable": variable},
        "airflow.models.dag": {"DAG": DAG},
        "airflow.models.variable": {"Variable": variable},
        "airflow.utils": {},
        "airflow.utils.dates": {"days_ago": days_ago},
        "airflow.utils.timezone": {
            "datetime": _utc_datetime,
            "utc": _UTC,
            "utcnow": lambda: datetime.datetime.now(_UTC),
        },
        "airflow.utils.trigger_rule": {"TriggerRule": TriggerRule},
    }


class AirflowModule(ModuleType):
    """Stands for a module of Airflow; any may be imported, and any name of Airflow 1 and 2, few may be used."""

    def __init__(self, name: str, known: Mapping[str, Mapping[str, Any]]) -> None:
        """Makes it, with the names that it has."""
        super().__init__(name)
        self.__path__: list[str] = []
        vars(self).update(known.get(name, {}))
        self._known = known

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        if full in self._known:
            return importlib.import_module(full)
        if full in ("airflow.configuration.AIRFLOW_HOME", "airflow.settings.AIRFLOW_HOME"):
            return os.environ["AIRFLOW_HOME"]  # looked up late: only a file that asks for it depends on it
        if name.startswith("__") and full != "airflow.__version__":
            raise AttributeError(name)
        parts = set(full.split("."))
        cure = next((cure for cure, of in _CURES.items() if parts & {*of.split()}), _ARGUMENTS)
        refusal = f"{full} of Airflow is not known where the file is executed; {cure}."
        # A file that knows Airflow 3 as well is to take what it has for Airflow 2.
        if full.startswith("airflow.sdk.") or is_tried():
            raise RefusedError(refusal)
        return Placeholder(full, refusal)
