"""`ml_metadata.MetadataStore` with ordered answers and a safe way to mark executions FAILED."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.tfx_side.mlmd import order
from include.tfx_airflow.tfx_side.mlmd.database import Server
from include.tfx_airflow.tfx_side.mlmd.reader import Reader, among

_Event = metadata_store_pb2.Event
_READ_FOR = (
    "select made.artifact_id, used.artifact_id, span.int_value, span.string_value from Event made"
    f" join Event used on used.execution_id = made.execution_id and used.type = {_Event.INPUT}"
    " join Artifact a on a.id = used.artifact_id"
    " left join Type t on t.id = a.type_id and t.name = 'Examples'"
    " left join ArtifactProperty span on span.artifact_id = a.id and t.id is not null"
    " and span.name = 'span' and span.is_custom_property = true"
    f" where made.type = {_Event.OUTPUT} and "
)
SUCCESSFUL = (metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED)
UNFINISHED = (metadata_store_pb2.Execution.NEW, metadata_store_pb2.Execution.RUNNING)


class MetadataStore(mlmd.MetadataStore):
    """A store whose answers are ordered, see `order`, and whose states can be changed conditionally."""

    def __init__(self, config: metadata_store_pb2.ConnectionConfig, address: dict[str, Any]):
        """Opens the store.

        Args:
          config: Connection of ml_metadata.
          address: The same as in a `NodeRequest`.
        """
        super().__init__(config)
        self._address = address

    def fail_executions(self, ids: Sequence[int], reason: str) -> list[int]:
        """Marks the given executions that are NEW or RUNNING as FAILED.

        What is published meanwhile is not marked: a server ensures that itself, SQLite through the lock under which
        the store is open.

        Args:
          ids: Ids of executions.
          reason: Stored beside the state, for people.

        Returns:
          Ids of those that were marked.

        Raises:
          MlmdError: The server cannot be reached.
        """
        if self._address["kind"] == "sqlite":
            found = [e.id for e in self.get_executions_by_id(ids) if e.last_known_state in UNFINISHED]
        else:
            with Server(self._address) as server:
                found = server.fail_executions(ids)
        executions = self.get_executions_by_id(found)
        for execution in executions:
            execution.last_known_state = metadata_store_pb2.Execution.FAILED
            execution.custom_properties["failure"].string_value = reason
        if executions:
            self.put_executions(executions)
        return found

    def read_for(self, artifacts: Collection[int]) -> dict[int, dict[int, int | str | None]]:
        """Of each artifact the examples and other artifacts that its executions read, with the span of examples.

        One query, where ml_metadata's calls load every event and artifact.

        Args:
          artifacts: Ids.

        Returns:
          By id, the ids of what was read; with its span, None if it has none or is no Examples.
        """
        found: dict[int, dict[int, int | str | None]] = {}
        with Reader(self._address) as reader:
            for condition in among("made.artifact_id", artifacts):
                for artifact, source, number, text in reader.rows(_READ_FOR + condition):
                    found.setdefault(artifact, {})[source] = text or number
        return found

    def newest_executions(
        self, contexts: Sequence[int], states: Collection[int], limit: int, before: int = 0
    ) -> list[metadata_store_pb2.Execution]:
        """Executions that are in all of the contexts, newest first, of which ml_metadata can only load all.

        Args:
          contexts: Ids.
          states: Theirs, of `Execution.State`.
          limit: Most to return.
          before: Only those with a smaller id; 0 for all.
        """
        if not contexts:
            return []
        first, *others = contexts
        joins = "".join(
            f" join Association a{n} on a{n}.execution_id = first.execution_id and a{n}.context_id = {other:d}"
            for n, other in enumerate(others)
        )
        with Reader(self._address) as reader:
            rows = reader.rows(
                f"select e.id from Association first join Execution e on e.id = first.execution_id{joins}"
                f" where first.context_id = {first:d}"
                f" and e.last_known_state in ({', '.join(str(int(state)) for state in states)})"
                f"{f' and first.execution_id < {before:d}' if before else ''}"
                f" order by first.execution_id desc limit {limit:d}"
            )
        return list(self.get_executions_by_id([id_ for (id_,) in rows])) if rows else []

    def run_of(self, execution: int) -> str:
        """Name of the pipeline run of an execution; "" if it has none. Reads only ids, but those of all executions."""
        with Reader(self._address) as reader:
            found = reader.rows(
                "select c.name from Association a join Context c on c.id = a.context_id"
                " join Type t on t.id = c.type_id and t.name = 'pipeline_run' where a.execution_id = %s",
                (execution,),
            )
        return found[0][0] if found else ""

    def _call_method(self, method_name: str, request: Any, response: Any) -> None:
        super()._call_method(method_name, request, response)
        order.arrange(method_name, request, response)
