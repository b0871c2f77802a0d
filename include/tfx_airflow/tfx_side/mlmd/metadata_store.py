"""`ml_metadata.MetadataStore` with ordered answers and a safe way to mark executions FAILED."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.tfx_side.mlmd import order
from include.tfx_airflow.tfx_side.mlmd.database import Server

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

    def _call_method(self, method_name: str, request: Any, response: Any) -> None:
        super()._call_method(method_name, request, response)
        order.arrange(method_name, request, response)
