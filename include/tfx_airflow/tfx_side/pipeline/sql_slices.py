"""Slices of an evaluation that are written in SQL, where the installed TFX cannot make them."""

from __future__ import annotations

import json
from typing import Any

from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract.errors import UnsupportedNodeError
from include.tfx_airflow.tfx_side import compat

_NAMES = ("slice_keys_sql", "sliceKeysSql")


def refuse(node: pipeline_pb2.PipelineNode) -> None:
    """Refuses a node whose EvalConfig has such slices: TFX 1.21 evaluates and blesses a model without them.

    Raises:
      UnsupportedNodeError: It has some.
    """
    if compat.slices_by_sql():
        return
    text = node.parameters.parameters["eval_config"].field_value.string_value if _has_config(node) else ""
    try:
        found = [
            sql for spec in _specs(json.loads(text or "{}")) for name in _NAMES if (sql := spec.get(name))
        ]
    except (ValueError, AttributeError, TypeError):
        return  # a RuntimeParameter's placeholder, or nothing that TFMA would read
    if found:
        raise UnsupportedNodeError(
            f"{node.node_info.id!r} has a slice by SQL ({found[0]!r}), which the installed TFX would leave out without saying so: "
            "use feature_keys and feature_values, or TFX 1.16 (TFX=1.16 make setup)."
        )


def _has_config(node: pipeline_pb2.PipelineNode) -> bool:
    return "eval_config" in node.parameters.parameters  # which asking for would add


def _specs(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [*config.get("slicing_specs", ()), *config.get("slicingSpecs", ())]
