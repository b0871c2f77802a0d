"""Reads the Airflow task instances that ran executions, which this bundle records in contexts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from mlmd_panel.store.mlmd_facts import TASK_PROPERTIES
from mlmd_panel.store.properties import chunks
from mlmd_panel.store.records import Run, Task
from mlmd_panel.store.tables import Tables
from mlmd_panel.store.text_encoding import Letters

_RUNS_AT_ONCE = 200


def of(
    connection: sa.engine.Connection, tables: Tables, runs: Mapping[int, Run | None], letters: Letters
) -> dict[int, Task]:
    """Tasks by execution; the last one if several tries worked on an execution.

    They are looked up by the run id, an indexed property, as no index leads from an execution to its contexts.

    Args:
      runs: The run of each execution, or None.
    """
    contexts: dict[int, int] = {}
    known, joined = tables.context_property, tables.association
    query = sa.select(joined.c.execution_id, joined.c.context_id).select_from(
        known.join(joined, joined.c.context_id == known.c.context_id)
    )
    ours = {id_: letters.write(run.run_id) for id_, run in runs.items() if run and run.name != run.run_id}
    for run_ids in chunks(set(ours.values()), _RUNS_AT_ONCE):
        # Not restricted to the executions, which databases would look up in each context.
        within = query.where(
            known.c.name == "run_id",
            known.c.is_custom_property == sa.false(),
            known.c.string_value.in_(run_ids),
        )
        for execution, context in connection.execute(within):
            if execution in ours:
                contexts[execution] = max(context, contexts.get(execution, 0))
    found = fields(connection, known, contexts.values(), letters)
    # Contexts of TFX's old launcher have a run_id too, but none of the other properties.
    return {
        execution: Task(**found[context])
        for execution, context in contexts.items()
        if len(found.get(context, ())) == len(TASK_PROPERTIES)
    }


def fields(
    connection: sa.engine.Connection, known: sa.Table, ids: Iterable[int], letters: Letters
) -> dict[int, dict]:
    """Properties of task instance contexts, by context.

    Args:
      known: ContextProperty.
    """
    found: dict[int, dict] = {}
    for chunk in chunks(set(ids)):
        query = sa.select(known.c.context_id, known.c.name, known.c.int_value, known.c.string_value).where(
            known.c.context_id.in_(chunk), known.c.name.in_(TASK_PROPERTIES)
        )
        for context, name, integer, text in connection.execute(query):
            found.setdefault(context, {})[name] = letters.read(text) if integer is None else integer
    return found
