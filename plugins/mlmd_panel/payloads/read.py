"""Reads the contents of an artifact of any type."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, ClassVar, Protocol

from mlmd_panel.errors import PayloadGone, PayloadUnknown
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads import other, tombstone, values
from mlmd_panel.payloads.part import WHOLE, Part
from mlmd_panel.store.records import Artifact

# Module and function of each type's reader; modules are imported when first needed.
_READERS = {
    "Examples": ("data.examples", "read"),
    "ExampleStatistics": ("data.statistics", "read"),
    "ExampleAnomalies": ("data.anomalies", "read"),
    "Schema": ("data.schema", "read"),
    "TransformGraph": ("model.transform", "read"),
    "Model": ("model.model", "read"),
    "PushedModel": ("model.model", "read"),
    "ModelEvaluation": ("evaluation.evaluation", "read"),
    "ModelBlessing": ("model.blessing", "read"),
    "InfraBlessing": ("model.blessing", "read"),
    "HyperParameters": ("model.hyperparameters", "read"),
    "TunerResults": ("model.hyperparameters", "read_results"),
    **dict.fromkeys(values.TYPES, ("values", "read")),
}
_OTHER = ("other", "read")
_IN_PARTS = ("data.anomalies", "data.examples", "data.statistics")


class Payload(Protocol):
    """A frozen dataclass of plain values.

    Attributes:
      kind: Kind of payload, such as `evaluation` or `other`.
    """

    kind: ClassVar[str]


def read(artifact: Artifact, files: Files, part: Part = WHOLE) -> Payload:
    """Reads the files of an artifact; files that are not recognized are listed, with the reason.

    Args:
      artifact: With all its properties.
      files: Where from.
      part: Requested part, for payloads that have parts.

    Raises:
      PayloadDeleted: Retention has taken the files.
      PayloadGone: There are no files.
      PayloadError: They cannot be shown.
    """
    module, function = _READERS.get(values.plain_type(artifact.type), _OTHER)
    reader: Any = getattr(importlib.import_module(f"mlmd_panel.payloads.{module}"), function)
    try:
        return reader(artifact, files, part) if module in _IN_PARTS else reader(artifact, files)
    except PayloadUnknown as error:
        return dataclasses.replace(other.read(artifact, files), problem=str(error))
    except PayloadGone:
        tombstone.check(artifact)
        raise
