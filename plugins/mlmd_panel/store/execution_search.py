"""Searches executions for a text."""

from __future__ import annotations

import sqlalchemy as sa

from mlmd_panel.store.records import Execution
from mlmd_panel.store.rows import Rows
from mlmd_panel.store.tables import EXECUTION_KIND


class ExecutionText:
    """Whether an execution's name, or that of its type, node or run, contains a text, or its id equals it."""

    def __init__(self, rows: Rows, text: str):
        self._index, self._text = rows.index, text.casefold()
        self._named = rows.having_display_name(rows.tables.execution_property, text)
        types = rows.type_names(EXECUTION_KIND)
        self._types = {id_ for id_, name in types.items() if self._text in name.casefold()}
        # These names start with the pipeline's; matches in that part are removed by `of`.
        names = self._index.node_names.items()
        self.nodes = {id_ for id_, name in names if self._text in name.casefold()}
        displayed = rows.having_display_name(rows.tables.context_property, text)
        self.runs = set(self._index.runs(None, name=text, also=displayed))
        # Otherwise the index is enough; it does not know the names of executions without a node.
        newest = sa.select(sa.func.max(rows.tables.execution.c.id))
        self.needs_rows = bool(self._types or self._named) or self._text.isdigit()
        self.needs_rows |= self._index.nodes < (rows.connection.execute(newest).scalar() or 0)

    def of(self, execution: Execution) -> bool:
        """Whether an execution matches."""
        names = (execution.type, execution.node, execution.given_name)
        return (
            self._text == str(execution.id)
            or any(self._text in name.casefold() for name in names)
            or bool(execution.run and execution.run.id in self.runs)
        )

    def may_be(self, row: sa.engine.Row) -> bool:
        """Whether the execution of a row may match."""
        run, node = self._index.member(row.id)
        return (
            run in self.runs
            or node in self.nodes
            or row.type_id in self._types
            or row.id in self._named
            or (not node and self._text in (row.name or "").casefold())
            or self._text == str(row.id)
        )
