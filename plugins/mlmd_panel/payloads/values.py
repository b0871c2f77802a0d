"""Reads simple values: String, Integer, Float, Boolean, JsonValue, Bytes; the URI itself is the file."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadError
from mlmd_panel.files import json_documents
from mlmd_panel.files.allowed import Files
from mlmd_panel.store.records import Artifact

TYPES = ("Boolean", "Bytes", "Float", "Integer", "JsonValue", "String")
MAX_BYTES = 1 << 20
MAX_TEXT = 10_000
_MAX_DIGITS = 4000
# TFX names a value that stands for one of MLMD's system types by both, such as String_Model.
_ANNOTATED = ("_Dataset", "_Metrics", "_Model", "_Statistics")
_NULL = "__is_null__"


@dataclasses.dataclass(frozen=True)
class ValuePayload:
    """A value.

    Attributes:
      type: boolean, bytes, float, integer, json, string or null.
      value: bool, hexadecimal text of bytes, float, int, JSON, text or None. Of JSON that names a Python class the
        plain object; nothing is imported.
      cut: Text or bytes go on.
    """

    kind: ClassVar[str] = "value"
    type: str
    value: Any
    cut: bool = False


def plain_type(type_: str) -> str:
    """Type without the system type that it is annotated as."""
    for ending in _ANNOTATED:
        if type_.removesuffix(ending) in TYPES:
            return type_.removesuffix(ending)
    return type_


def read(artifact: Artifact, files: Files) -> ValuePayload:
    """Reads the value.

    Raises:
      PayloadError: Gone, broken or too large.
    """
    if artifact.property(_NULL):
        return ValuePayload("null", None)
    data, of = files.read(artifact.uri, "", MAX_BYTES), plain_type(artifact.type)
    if of == "Bytes":
        return ValuePayload("bytes", data[:MAX_TEXT].hex(" "), len(data) > MAX_TEXT)
    if of == "JsonValue":
        return ValuePayload("json", json_documents.parse(data, "The value"))
    try:
        text = data.decode()
        if of in ("Boolean", "Float", "Integer") and len(text) > _MAX_DIGITS:
            raise ValueError(text)
        if of == "Boolean":
            return ValuePayload("boolean", int(text) != 0)
        if of == "Integer":
            return ValuePayload("integer", int(text))
        if of == "Float":
            return ValuePayload("float", float(text))
    except ValueError as error:
        raise PayloadError(f"The value is not a valid {of}.") from error
    return ValuePayload("string", text[:MAX_TEXT], len(text) > MAX_TEXT)
