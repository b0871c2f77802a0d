"""Channels by which the taxi pipelines read each other's artifacts, from the MLMD store that they share.

tfx.dsl.Channel(type=Examples, producer_component_id="SpanExampleGen")   # of the pipeline it is used in
family.spans()                                                           # of taxi_retraining, wherever it is used
"""

from __future__ import annotations

from typing import Any

from tfx import v1 as tfx
from tfx.types import channel_utils

RETRAINING, TUNING = "taxi_retraining", "taxi_tuning"
_standard = tfx.types.standard_artifacts
# TFX requires one and writes it into the IR, but its launcher queries the run's own store regardless.
_OWNER = "taxi"


def spans() -> Any:
    """Channel of the Examples of all spans that retraining has read."""
    return _query(_standard.Examples, RETRAINING, "SpanExampleGen", "examples")


def trained_models() -> Any:
    """Channel of all Models that retraining has trained, blessed or not."""
    return _query(_standard.Model, RETRAINING, "Trainer", "model")


def pushed_models() -> Any:
    """Channel of all PushedModels of retraining."""
    return _query(_standard.PushedModel, RETRAINING, "Pusher", "pushed_model")


def tuned_hyperparameters() -> Any:
    """Channel of the best HyperParameters of all tunings."""
    return _query(_standard.HyperParameters, TUNING, "Tuner", "best_hyperparameters")


def _query(artifact_type: Any, pipeline: str, node: str, output: str) -> Any:
    return channel_utils.external_pipeline_artifact_query(
        artifact_type, owner=_OWNER, pipeline_name=pipeline, producer_component_id=node, output_key=output
    )
