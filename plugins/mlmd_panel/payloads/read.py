"""Reads what lies behind an artifact, whatever its type."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from mlmd_panel.files import Files
from mlmd_panel.models import Artifact
from mlmd_panel.payloads import values

# Module and function of a type's reader; modules are imported when the first such artifact is read.
_READERS = {
    "Examples": ("examples", "read"),
    "ExampleStatistics": ("statistics", "read"),
    "ExampleAnomalies": ("anomalies", "read"),
    "Schema": ("schema", "read"),
    "TransformGraph": ("transform", "read"),
    "Model": ("model", "read"),
    "PushedModel": ("model", "read"),
    "ModelEvaluation": ("evaluation", "read"),
    "ModelBlessing": ("blessing", "read"),
    "InfraBlessing": ("blessing", "read"),
    "HyperParameters": ("hyperparameters", "read"),
    "TunerResults": ("hyperparameters", "read_results"),
    **dict.fromkeys(values.TYPES, ("values", "read")),
}
_OTHER = ("other", "read")


class Payload(Protocol):
    """A frozen dataclass of plain values.

    Attributes:
      kind: Which of them it is, such as `evaluation` or `other`.
    """

    kind: str


def read(artifact: Artifact, files: Files) -> Payload:
    """Reads the files of an artifact.

    Args:
      artifact: With all its properties.
      files: Where from.

    Raises:
      PayloadGone: There are no files.
      PayloadError: They cannot be shown.
    """
    module, function = _READERS.get(values.plain_type(artifact.type), _OTHER)
    reader: Any = getattr(importlib.import_module(f"mlmd_panel.payloads.{module}"), function)
    return reader(artifact, files)
