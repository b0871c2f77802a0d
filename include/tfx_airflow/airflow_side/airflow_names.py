"""The only file that knows where this Airflow keeps its names: the same on 2.11 and 3.x."""

from __future__ import annotations

try:
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
except ImportError:  # 2.11 without the standard provider
    from airflow.triggers.temporal import TimeDeltaTrigger
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    BaseHook,
    BaseOperator,
    BaseOperatorLink,
    Context,
    ObjectStoragePath,
    Param,
    TaskGroup,
)

try:
    from airflow.sdk.definitions._internal.expandinput import MappedArgument
except ImportError:  # 2.11
    from airflow.models.expandinput import MappedArgument

__all__ = [
    "DAG",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "Context",
    "MappedArgument",
    "ObjectStoragePath",
    "Param",
    "TaskGroup",
    "TimeDeltaTrigger",
]
