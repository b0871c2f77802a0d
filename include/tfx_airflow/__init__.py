"""TFX pipelines on Airflow: each TFX node an Airflow task, run in an interpreter of its own.

The names below are imported when first used, because the TFX interpreter imports this package too
and has no Airflow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.tfx_airflow.config import AirflowPipelineConfig, NodeConfig
    from include.tfx_airflow.dag import AirflowDagRunner
    from include.tfx_airflow.errors import TfxAirflowError
    from include.tfx_airflow.operators import TfxNodeOperator
    from include.tfx_airflow.span_sensor import SpanSensor

_HOME = {
    "AirflowDagRunner": "dag",
    "AirflowPipelineConfig": "config",
    "NodeConfig": "config",
    "SpanSensor": "span_sensor",
    "TfxAirflowError": "errors",
    "TfxNodeOperator": "operators",
}
__all__ = [
    "AirflowDagRunner",
    "AirflowPipelineConfig",
    "NodeConfig",
    "SpanSensor",
    "TfxAirflowError",
    "TfxNodeOperator",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
