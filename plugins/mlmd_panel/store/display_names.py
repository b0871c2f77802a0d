"""Reads display names, which programs such as Kubeflow Pipelines keep in a property."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from mlmd_panel.store.properties import chunks
from mlmd_panel.store.text_encoding import Letters

# Kubeflow Pipelines' executions have a task name instead of a display name.
DISPLAY_NAME, TASK_NAME = "display_name", "task_name"


def of(
    connection: sa.engine.Connection,
    table: sa.Table,
    ids: Collection[int],
    letters: Letters,
    names: tuple[str, ...] = (DISPLAY_NAME,),
) -> dict[int, str]:
    """Display names by owner id, for owners that have one.

    Args:
      table: ArtifactProperty, ExecutionProperty or ContextProperty.
      names: Properties with display names; the first that an owner has is used.
    """
    owner = next(iter(table.c))
    found: dict[int, dict[str, str]] = {}
    for chunk in chunks(ids):
        query = sa.select(owner, table.c.name, table.c.string_value).where(
            owner.in_(chunk), table.c.name.in_(names)
        )
        for id_, name, text in connection.execute(query):
            if text:
                found.setdefault(id_, {})[letters.read(name)] = letters.read(text)
    return {id_: next(given[name] for name in names if name in given) for id_, given in found.items()}


def are_used(connection: sa.engine.Connection, table: sa.Table) -> bool:
    """Whether anything has a display name; TFX sets none, and an index answers this quickly."""
    return connection.execute(_all(table).limit(1)).first() is not None


def owners_containing(
    connection: sa.engine.Connection, table: sa.Table, text: str, letters: Letters, most: int
) -> list[int]:
    """The newest owners whose display name contains a text; ASCII letters match in either case."""
    owner = next(iter(table.c))
    query = _all(table).where(contains(table, text, letters)).order_by(owner.desc()).limit(most)
    return [row[0] for row in connection.execute(query)]


def contains(table: sa.Table, text: str, letters: Letters) -> sa.sql.ColumnElement:
    """Condition on rows of properties: a display name contains a text; ASCII letters match in either case."""
    return sa.and_(
        table.c.name.in_((DISPLAY_NAME, TASK_NAME)),
        sa.func.lower(table.c.string_value).like(letters.pattern(text).lower(), escape="!"),
    )


def _all(table: sa.Table) -> sa.sql.Select:
    return sa.select(next(iter(table.c))).where(
        table.c.name.in_((DISPLAY_NAME, TASK_NAME)),
        table.c.is_custom_property.in_([False, True]),
        table.c.string_value.is_not(None),
    )
