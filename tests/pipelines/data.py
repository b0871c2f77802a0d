"""A pipeline that only looks at data."""

from __future__ import annotations

from tfx import v1 as tfx


def create_pipeline(data_root: str, name: str = "data") -> tfx.dsl.Pipeline:
    """CSV files, their statistics and a schema."""
    examples = tfx.components.CsvExampleGen(input_base=data_root)
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"])
    return tfx.dsl.Pipeline(name, pipeline_root="", components=[examples, statistics, schema])
