"""Reads properties of artifacts, executions and contexts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterable
from typing import Any, TypeVar

import sqlalchemy as sa
from google.protobuf import any_pb2, struct_pb2
from google.protobuf.message import DecodeError

from mlmd_panel.store.records import Property
from mlmd_panel.store.text_encoding import Letters

# Prefix of a base64 google.protobuf.Struct in a text column.
STRUCT = "mlmd-struct::"
# A Struct is a dict; TFX wraps other values under this key.
_WRAPPED = "__value__"
IDS_AT_ONCE = 500
Id = TypeVar("Id", int, str)


def of(
    connection: sa.engine.Connection,
    table: sa.Table,
    ids: Collection[int],
    letters: Letters,
    names: Collection[str] | None = None,
) -> dict[int, tuple[Property, ...]]:
    """Properties by their owner's id, sorted by name; owners without any are left out.

    Args:
      table: ArtifactProperty, ExecutionProperty or ContextProperty.
      names: Names of the properties to read; None for all.
    """
    owner, *columns = table.c
    found: dict[int, list[Property]] = {}
    for chunk in chunks(ids):
        query = sa.select(owner, *columns).where(owner.in_(chunk))
        if names is not None:
            query = query.where(table.c.name.in_([letters.write(name) for name in names]))
        for row in connection.execute(query):
            found.setdefault(row[0], []).append(_property(row[1:], letters))
    return {id_: tuple(sorted(some, key=lambda p: (p.name, p.custom))) for id_, some in found.items()}


def chunks(ids: Iterable[Id], at_once: int = IDS_AT_ONCE) -> Iterable[list[Id]]:
    """Sorted ids or names in lists short enough for every database."""
    every = sorted(ids)
    return (every[start : start + at_once] for start in range(0, len(every), at_once))


def encoded(value: Any) -> str:
    """The text column's value for a number, boolean or text that TFX stored as a JSON value."""
    struct = struct_pb2.Struct()
    struct[_WRAPPED] = value
    return STRUCT + base64.b64encode(struct.SerializeToString()).decode()


def _property(row: Any, letters: Letters) -> Property:
    name, custom, integer, double, text, proto, truth = row
    name, custom = letters.read(name), bool(custom)
    if integer is not None:
        return Property(name, integer, "int", custom)
    if text is not None and text.startswith(STRUCT):
        return Property(name, _struct(text.removeprefix(STRUCT)), "struct", custom)
    if text is not None:
        return Property(name, letters.read(text), "string", custom)
    if proto is not None:
        return Property(name, _proto(proto), "proto", custom)
    if truth is not None:
        return Property(name, bool(truth), "bool", custom)
    # A row without a value is a double: SQLite keeps NaN as NULL.
    return Property(name, float("nan") if double is None else double, "double", custom)


def _struct(text: str) -> Any:
    try:
        struct = struct_pb2.Struct.FromString(base64.b64decode(text))
        # Not MessageToDict, which refuses NaN and infinity.
        value = {key: _plain(item) for key, item in struct.fields.items()}
    except (binascii.Error, DecodeError):
        return STRUCT + text
    return value[_WRAPPED] if list(value) == [_WRAPPED] else value


def _plain(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: _plain(item) for key, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def _proto(value: Any) -> dict[str, str]:
    raw = value.encode() if isinstance(value, str) else bytes(value)
    try:
        # PostgreSQL has the message itself, which is never Base64 as it starts with a line feed.
        message = any_pb2.Any.FromString(raw if raw.startswith(b"\n") else base64.b64decode(raw))
    except (binascii.Error, DecodeError):
        return {"type_url": "", "base64": base64.b64encode(raw).decode()}
    return {"type_url": message.type_url, "base64": base64.b64encode(message.value).decode()}
