"""Makes JSON of records, mappings and numbers that JSON lacks."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any


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
