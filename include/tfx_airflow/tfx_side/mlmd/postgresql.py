"""An MLMD store on PostgreSQL that accepts any text.

ml_metadata 1.16 builds its SQL from libpq's PQescapeLiteral without the first and last character. For text with a
backslash that is a syntax error, so an Evaluator with settings of a metric could never be recorded. Here a backslash
is stored as another character, which occurs in no JSON and no path.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import message
from google.protobuf.descriptor import FieldDescriptor

from include.tfx_airflow.contract.mlmd_facts import POSTGRESQL_BACKSLASH
from include.tfx_airflow.tfx_side import compat
from include.tfx_airflow.tfx_side.mlmd.metadata_store import MetadataStore


class PostgresqlStore(MetadataStore):
    """A store whose backslashes are replaced on the way to the server and back."""

    def _call_method(self, method_name: str, request: Any, response: Any) -> None:
        sent = type(request)()
        sent.CopyFrom(request)
        replace(sent, "\\", POSTGRESQL_BACKSLASH)
        super()._call_method(method_name, sent, response)
        replace(response, POSTGRESQL_BACKSLASH, "\\")


def replace(proto: message.Message, old: str, new: str) -> None:
    """Replaces a character in every string of a message, in place.

    Not in structs, which MLMD keeps as base64.
    """
    for field, value in proto.ListFields():
        inner = field.message_type
        if inner is not None and inner.full_name.startswith("google.protobuf."):
            continue
        if inner is not None and inner.GetOptions().map_entry:
            _replace_in_map(inner.fields_by_name["value"], value, old, new)
        elif inner is not None:
            for item in value if compat.is_repeated(field) else [value]:
                replace(item, old, new)
        elif field.type != FieldDescriptor.TYPE_STRING:
            continue
        elif compat.is_repeated(field):
            value[:] = [text.replace(old, new) for text in value]
        elif old in value:
            setattr(proto, field.name, value.replace(old, new))


def _replace_in_map(field: Any, value: Any, old: str, new: str) -> None:
    for key in list(value):
        if field.message_type is not None:
            replace(value[key], old, new)
        elif field.type == FieldDescriptor.TYPE_STRING and old in value[key]:
            value[key] = value[key].replace(old, new)
