"""Explains the names that templates had in Airflow 2 to Airflow 3's Jinja.

Airflow 3 has dropped `execution_date` and what was made from it, and its runs may have no logical date. There a run of
Airflow 2 had the time at which it was triggered, which is `run_after` now.
"""

from __future__ import annotations

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
