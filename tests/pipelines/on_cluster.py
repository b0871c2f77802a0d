"""A pipeline of one node, whose Beam work is a function of on_workers.py.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import apache_beam as beam
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component

from tests.pipelines import on_workers

_String = tfx.types.standard_artifacts.String


@component(use_beam=True)
def Work(
    function: tfx.dsl.components.Parameter[str],
    text: tfx.dsl.components.OutputArtifact[_String],
    pipeline: tfx.dsl.components.BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Has a worker call the function once."""
    with pipeline as p:
        _ = p | beam.Create([1]) | beam.Map(getattr(on_workers, function))
    text.value = "worked"


def create_pipeline(function: str) -> tfx.dsl.Pipeline:
    """Of one node, `Work`."""
    return tfx.dsl.Pipeline("on_cluster", pipeline_root="", components=[Work(function=function)])
