"""Reads contexts of any type, such as runs, pipelines and experiments."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from mlmd_panel.store import properties
from mlmd_panel.store.properties import chunks
from mlmd_panel.store.records import Property
from mlmd_panel.store.rows import Rows
from mlmd_panel.store.tables import CONTEXT_KIND

# Parents and children of one.
_MOST = 100


@dataclasses.dataclass(frozen=True)
class Context:
    """A context of any type.

    Attributes:
      id: Context id.
      type: Type name, such as `Experiment` or `system.PipelineRun`.
      name: Its name.
      display_name: Its property `display_name`, or empty.
      created: Milliseconds.
      updated: Milliseconds.
      properties: Empty unless requested.
    """

    id: int
    type: str
    name: str
    display_name: str
    created: int
    updated: int
    properties: tuple[Property, ...] = ()

    @property
    def label(self) -> str:
        """Its name on pages."""
        return self.display_name or self.name


@dataclasses.dataclass(frozen=True)
class ContextDetail:
    """A context with its properties, and the contexts above and below it.

    Attributes:
      cut: There are more parents or children.
    """

    context: Context
    parents: tuple[Context, ...]
    children: tuple[Context, ...]
    cut: bool


def of_rows(rows: Rows, found: Sequence[sa.engine.Row], kept: dict | None = None) -> list[Context]:
    """Contexts from rows of their table."""
    types, read, table = rows.type_names(CONTEXT_KIND), rows.letters.read, rows.tables.context_property
    given = rows.display_names(table, [row.id for row in found])
    return [
        Context(
            row.id,
            types.get(row.type_id, ""),
            read(row.name),
            given.get(row.id, ""),
            row.create_time_since_epoch,
            row.last_update_time_since_epoch,
            (kept or {}).get(row.id, ()),
        )
        for row in found
    ]


def is_visible(rows: Rows, id_: int, dags: frozenset[str] | None) -> bool:
    """Whether a user may see a context; users who may not see everything see only runs of their DAGs."""
    return dags is None or (rows.index.run(id_) is not None and rows.index.run_visible(id_, dags))


def detail(rows: Rows, id_: int, dags: frozenset[str] | None) -> ContextDetail | None:
    """A context with all its properties, its parents and its children; None when there is none."""
    found = _by_id(
        rows, [id_], properties.of(rows.connection, rows.tables.context_property, [id_], rows.letters)
    )
    if not found:
        return None
    link = rows.tables.parent_context
    (parents, more_parents), (children, more_children) = (
        _linked(rows, other, sa.select(other).where(mine == id_), dags)
        for mine, other in (
            (link.c.context_id, link.c.parent_context_id),
            (link.c.parent_context_id, link.c.context_id),
        )
    )
    return ContextDetail(found[0], tuple(parents), tuple(children), more_parents or more_children)


def _linked(
    rows: Rows, column: sa.Column, query: sa.sql.Select, dags: frozenset[str] | None
) -> tuple[list[Context], bool]:
    ids = [row[0] for row in rows.connection.execute(query.order_by(column.desc()).limit(_MOST + 1))]
    seen = [id_ for id_ in ids[:_MOST] if is_visible(rows, id_, dags)]
    return _by_id(rows, seen), len(ids) > _MOST


def _by_id(rows: Rows, ids: Collection[int], kept: dict | None = None) -> list[Context]:
    context, found = rows.tables.context, []
    for chunk in chunks(ids):
        query = sa.select(context).where(context.c.id.in_(chunk)).order_by(context.c.id)
        found += of_rows(rows, rows.connection.execute(query).all(), kept)
    return found
