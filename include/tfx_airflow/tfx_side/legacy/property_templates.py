"""Templates in the properties of a legacy pipeline's components.

TFX's runner made every property a template field of its task, so `CsvExampleGen(input_base="/data/{{ ds }}")` worked. Here
a RuntimeParameter takes the place of such a property; its value is computed from the template in each run, and is
nothing that a run's conf may choose.
"""

from __future__ import annotations

from tfx.dsl.components.base import base_component
from tfx.orchestration import data_types
from tfx.orchestration import pipeline as pipeline_lib

from include.tfx_airflow.contract import templates


def take(pipeline: pipeline_lib.Pipeline) -> dict[str, str]:
    """Puts a RuntimeParameter in place of each property that has a template; returns template by parameter."""
    found = {}
    for component in pipeline.components:
        if not isinstance(component, base_component.BaseComponent):
            continue
        for key, value in component.spec.exec_properties.items():
            if isinstance(value, str) and templates.in_text(value) and "RuntimeParameter" not in value:
                name = f"{component.id}.{key}"
                found[name] = value
                component.spec.exec_properties[key] = data_types.RuntimeParameter(name, str, "")
    return found
