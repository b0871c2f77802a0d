"""What views return: the data for both the page and its JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, TypedDict

from mlmd_panel.store.records import Artifact, Event, Execution


@dataclasses.dataclass(frozen=True)
class Answer:
    """Data of one page.

    Attributes:
      template: Name of the Jinja template that shows it.
      title: Title of the page.
      data: Content of the JSON; each key is a variable of the template.
      only_html: Data for the template only, such as the layout of a picture.
    """

    template: str
    title: str
    data: Mapping[str, Any]
    only_html: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class ArtifactRow(TypedDict):
    """An artifact that an execution read or made."""

    event: Event
    artifact: Artifact


class ExecutionRow(TypedDict):
    """An execution that read or made an artifact."""

    event: Event
    execution: Execution


def plain(value: Any) -> Any:
    """Converts dataclasses, mappings and sequences to JSON values.

    NaN and infinities, which JSON lacks, become the strings "NaN", "Infinity" and "-Infinity". Integers that a browser
    would round stay numbers, as Python and jq read them correctly. Bytes become a text with their length. The
    properties `name` and `label` of records are included.
    """
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (str, int)):
        return value
    if dataclasses.is_dataclass(value):
        kind = getattr(value, "kind", None)
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(kind, str):
            fields = {"kind": kind, **fields}
        named = [name for name in ("name", "label") if isinstance(getattr(type(value), name, None), property)]
        return fields | {name: getattr(value, name) for name in named}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, (set, frozenset)):
        return [plain(item) for item in sorted(value, key=str)]
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value)


def to_json(data: Any) -> bytes:
    """JSON text of a value, without NaN."""
    return json.dumps(plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )
