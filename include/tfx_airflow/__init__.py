"""TFX pipelines on Airflow: each TFX node an Airflow task, run in an interpreter of its own.

The names below are imported on first use, because the TFX interpreter, which has no Airflow, imports
this package too.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.tfx_airflow.airflow_side.adopt import adopt
    from include.tfx_airflow.airflow_side.config import AirflowPipelineConfig, NodeConfig
    from include.tfx_airflow.airflow_side.dag import AirflowDagRunner
    from include.tfx_airflow.airflow_side.operators import TfxNodeOperator
    from include.tfx_airflow.airflow_side.span_sensor import SpanSensor, range_config
    from include.tfx_airflow.contract.errors import TfxAirflowError

_HOME = {
    "AirflowDagRunner": "airflow_side.dag",
    "AirflowPipelineConfig": "airflow_side.config",
    "NodeConfig": "airflow_side.config",
    "SpanSensor": "airflow_side.span_sensor",
    "TfxAirflowError": "contract.errors",
    "TfxNodeOperator": "airflow_side.operators",
    "adopt": "airflow_side.adopt",
    "range_config": "airflow_side.span_sensor",
}
__all__ = [
    "AirflowDagRunner",
    "AirflowPipelineConfig",
    "NodeConfig",
    "SpanSensor",
    "TfxAirflowError",
    "TfxNodeOperator",
    "adopt",
    "range_config",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
