"""The columns of MLMD's tables, schema version 10, that the panel reads."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import sqlalchemy as sa

from mlmd_panel.store.mlmd_facts import GROUP_CONTEXT, TASK_CONTEXT, TRIES_CONTEXT

# Values of Type.type_kind.
EXECUTION_KIND, ARTIFACT_KIND, CONTEXT_KIND = 0, 1, 2
# Types of contexts that TFX and this bundle write; `run` and `component_run` are from TFX's old launcher.
OWN_CONTEXTS = (
    "pipeline",
    "pipeline_run",
    "run",
    "node",
    "component_run",
    "execution_cache",
    TASK_CONTEXT,
    TRIES_CONTEXT,
    GROUP_CONTEXT,
)
EVENT_KINDS = (
    "UNKNOWN",
    "DECLARED_OUTPUT",
    "DECLARED_INPUT",
    "INPUT",
    "OUTPUT",
    "INTERNAL_INPUT",
    "INTERNAL_OUTPUT",
    "PENDING_OUTPUT",
)
# Numbers of the event kinds of `records.Event.is_output` and `is_input`.
OUTPUTS, INPUTS = (1, 4, 7), (2, 3, 5)


@dataclasses.dataclass(frozen=True)
class Tables:
    """The tables, with the names that one kind of database uses."""

    type: sa.Table
    artifact: sa.Table
    execution: sa.Table
    context: sa.Table
    artifact_property: sa.Table
    execution_property: sa.Table
    context_property: sa.Table
    event: sa.Table
    event_path: sa.Table
    association: sa.Table
    attribution: sa.Table
    parent_context: sa.Table
    version: sa.Table


def plain(column: sa.Column, ids: Sequence[int]) -> sa.sql.ColumnElement:
    """The column is one of the ids; the + 0 keeps databases from using another index than that of ids."""
    return (column + 0).in_(ids)


@functools.cache
def tables(dialect: str) -> Tables:
    """The tables for a SQLAlchemy dialect; in PostgreSQL their names are lower case."""
    metadata = sa.MetaData()

    def table(name: str, /, **columns: type[sa.types.TypeEngine]) -> sa.Table:
        name = name.lower() if dialect == "postgresql" else name
        return sa.Table(name, metadata, *(sa.Column(column, kind) for column, kind in columns.items()))

    def properties(name: str, owner: str) -> sa.Table:
        return table(
            name,
            **{owner: sa.Integer},
            name=sa.String,
            is_custom_property=sa.Boolean,
            int_value=sa.BigInteger,
            double_value=sa.Float,
            string_value=sa.Text,
            # Base64 as text; a column of bytes on servers and, in name, in SQLite too.
            proto_value=sa.types.NullType,
            bool_value=sa.Boolean,
        )

    times = {"create_time_since_epoch": sa.BigInteger, "last_update_time_since_epoch": sa.BigInteger}
    return Tables(
        type=table("Type", id=sa.Integer, name=sa.String, type_kind=sa.Integer),
        artifact=table(
            "Artifact",
            id=sa.Integer,
            type_id=sa.Integer,
            uri=sa.Text,
            state=sa.Integer,
            name=sa.String,
            **times,
        ),
        execution=table(
            "Execution",
            id=sa.Integer,
            type_id=sa.Integer,
            last_known_state=sa.Integer,
            name=sa.String,
            **times,
        ),
        context=table("Context", id=sa.Integer, type_id=sa.Integer, name=sa.String, **times),
        artifact_property=properties("ArtifactProperty", "artifact_id"),
        execution_property=properties("ExecutionProperty", "execution_id"),
        context_property=properties("ContextProperty", "context_id"),
        event=table(
            "Event",
            id=sa.Integer,
            artifact_id=sa.Integer,
            execution_id=sa.Integer,
            type=sa.Integer,
            milliseconds_since_epoch=sa.BigInteger,
        ),
        event_path=table(
            "EventPath",
            event_id=sa.Integer,
            is_index_step=sa.Boolean,
            step_index=sa.Integer,
            step_key=sa.Text,
        ),
        association=table("Association", id=sa.Integer, context_id=sa.Integer, execution_id=sa.Integer),
        attribution=table("Attribution", id=sa.Integer, context_id=sa.Integer, artifact_id=sa.Integer),
        parent_context=table("ParentContext", context_id=sa.Integer, parent_context_id=sa.Integer),
        version=table("MLMDEnv", schema_version=sa.Integer),
    )
