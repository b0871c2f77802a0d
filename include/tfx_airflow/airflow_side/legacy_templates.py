"""Explains the names that templates and callbacks had in Airflow 2 to Airflow 3.

Airflow 3 has dropped `execution_date` and what was made from it, and its runs may have no logical date. There a run of
Airflow 2 had the time at which it was triggered, which is `run_after` now.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from typing import Any

from include.tfx_airflow.contract.templates import is_template

_DATE = "(logical_date if logical_date is defined and logical_date else dag_run.run_after)"
_END = f"(data_interval_end if data_interval_end is defined and data_interval_end else {_DATE})"
# In the order in which they are set.
_NAMES = {
    "execution_date": _DATE,
    "ds": f"{_DATE} | ds",
    "ds_nodash": f"{_DATE} | ds_nodash",
    "ts": f"{_DATE} | ts",
    "ts_nodash": f"{_DATE} | ts_nodash",
    "ts_nodash_with_tz": f"{_DATE} | ts_nodash_with_tz",
    "next_execution_date": _END,
    "next_ds": f"{_END} | ds",
    "next_ds_nodash": f"{_END} | ds_nodash",
    "yesterday_ds": f"macros.ds_add({_DATE} | ds, -1)",
    "yesterday_ds_nodash": f"macros.ds_add({_DATE} | ds, -1) | replace('-', '')",
    "tomorrow_ds": f"macros.ds_add({_DATE} | ds, 1)",
    "tomorrow_ds_nodash": f"macros.ds_add({_DATE} | ds, 1) | replace('-', '')",
}


class _WithAnyName(dict[str, Any]):
    """Filters or tests of Jinja; the names that Airflow or the DAG adds are known, too."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, lambda value, *arguments, **options: value)


def for_airflow_3(text: Any) -> Any:
    """A template that has Airflow 2's names at hand; any other value is returned as it is.

    Names that Airflow 3 knows as well are set only where a run has no logical date, so that they mean the same.
    """
    if not is_template(text):
        return text
    from jinja2 import Environment, TemplateSyntaxError, meta

    environment = Environment()
    environment.filters = _WithAnyName(environment.filters)
    environment.tests = _WithAnyName(environment.tests)
    try:
        used = meta.find_undeclared_variables(environment.parse(text))
    except TemplateSyntaxError:
        return text  # Airflow says so, and where
    sets = [f"{{% set {name} = {value} %}}" for name, value in _NAMES.items() if name in used]
    return "".join(sets) + text


def old_names(context: Mapping[str, Any]) -> dict[str, Any]:
    """Airflow 2's names, with their values in a context of Airflow 3, for callbacks.

    A name is left out where the context does not tell its value: that of a DAG's callback may have no run.
    """
    from airflow.sdk import DAG
    from airflow.sdk.execution_time import macros
    from jinja2 import UndefinedError

    environment = DAG("any", schedule=None).get_template_env()
    told = {"macros": macros, **context}

    def value(expression: str) -> Any:
        return _moment(environment.compile_expression(expression, undefined_to_none=False)(told))

    found: dict[str, Any] = {}
    with contextlib.suppress(UndefinedError):
        found = {name: value(expression) for name, expression in _NAMES.items()}
        told["before"] = found["prev_execution_date"] = _before(context, found["execution_date"])
        found |= {"prev_ds": value("before | ds"), "prev_ds_nodash": value("before | ds_nodash")}
    if (success := "prev_data_interval_start_success") in context:
        found["prev_execution_date_success"] = context[success]
    return found


def _moment(value: Any) -> Any:
    """As Airflow gives it to templates: that of a run's `run_after` is a plain one."""
    import pendulum

    return pendulum.instance(value) if isinstance(value, datetime.datetime) else value


def _before(context: Mapping[str, Any], date: Any) -> Any:
    """The date of the run before, by the schedule; that of a run itself if it has none, as in Airflow 2."""
    from airflow.sdk import CronDataIntervalTimetable, DeltaDataIntervalTimetable
    from airflow.timetables import interval

    schedule = getattr(context.get("dag"), "timetable", None)
    timetable: interval.CronDataIntervalTimetable | interval.DeltaDataIntervalTimetable
    if getattr(context.get("dag_run"), "run_type", "manual") == "manual":
        return date
    if isinstance(schedule, CronDataIntervalTimetable):
        timetable = interval.CronDataIntervalTimetable(schedule.expression, schedule.timezone)
    elif isinstance(schedule, DeltaDataIntervalTimetable):
        timetable = interval.DeltaDataIntervalTimetable(schedule.delta)
    else:
        return date
    return timetable.infer_manual_data_interval(run_after=date).start
