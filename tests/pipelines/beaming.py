"""A component whose executor runs a Beam pipeline.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import apache_beam as beam
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component


@component
def Rows(text: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.String]) -> None:
    """Counts three rows."""
    with beam.Pipeline() as pipeline:
        _ = pipeline | beam.Create([1, 2, 3]) | beam.Map(_count)
    text.value = "counted"


def _count(row: int) -> None:
    beam.metrics.Metrics.counter("test", "rows").inc()
