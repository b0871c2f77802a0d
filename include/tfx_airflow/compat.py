"""The only file that knows where this Airflow keeps its names: the same on 2.11 and 3.x."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    BaseHook,
    BaseOperator,
    Context,
    Param,
    TaskGroup,
)

__all__ = [
    "DAG",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "BaseHook",
    "BaseOperator",
    "Context",
    "Param",
    "TaskGroup",
]
