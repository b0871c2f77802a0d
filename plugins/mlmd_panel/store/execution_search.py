"""A text that executions are searched for."""

from __future__ import annotations

import sqlalchemy as sa

from mlmd_panel.store.records import Execution
from mlmd_panel.store.rows import Rows
from mlmd_panel.store.tables import EXECUTION_KIND


class ExecutionText:
    """Whether a text is in the names of an execution's type, node, run or in its own, or is its id."""

    def __init__(self, rows: Rows, text: str):
        self._index, self._text = rows.index, text.casefold()
        self._named = rows.having_display_name(rows.tables.execution_property, text)
        types = rows.type_names(EXECUTION_KIND)
        self._types = {id_ for id_, name in types.items() if self._text in name.casefold()}
        # With the pipeline's name before the node's; what has the text in that is left out in the end.
        names = self._index.node_names.items()
        self.nodes = {id_ for id_, name in names if self._text in name.casefold()}
        displayed = rows.having_display_name(rows.tables.context_property, text)
        self.runs = set(self._index.runs(None, name=text, also=displayed))
        # Otherwise the index has all there is to know; it has no names of executions that are no nodes.
        newest = sa.select(sa.func.max(rows.tables.execution.c.id))
        self.needs_rows = bool(self._types or self._named) or self._text.isdigit()
        self.needs_rows |= self._index.nodes < (rows.connection.execute(newest).scalar() or 0)

    def of(self, execution: Execution) -> bool:
        """Whether an execution has it."""
        names = (execution.type, execution.node, execution.given_name)
        return (
            self._text == str(execution.id)
            or any(self._text in name.casefold() for name in names)
            or bool(execution.run and execution.run.id in self.runs)
        )

    def may_be(self, row: sa.engine.Row) -> bool:
        """Whether the execution of a row may have it."""
        run, node = self._index.member(row.id)
        return (
            run in self.runs
            or node in self.nodes
            or row.type_id in self._types
            or row.id in self._named
            or (not node and self._text in (row.name or "").casefold())
            or self._text == str(row.id)
        )
