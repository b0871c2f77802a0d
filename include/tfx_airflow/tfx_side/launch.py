"""TFX's launcher and its handle on the store, with what several attempts at one node need beside them."""

from __future__ import annotations

import threading
from typing import Any

from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable import launcher

from include.tfx_airflow.tfx_side import cache, mlmd

_Execution = metadata_store_pb2.Execution
_GONE = (errors.InternalError, errors.UnavailableError, errors.DeadlineExceededError)


class LockedMetadata(metadata.Metadata):
    """TFX's store handle; entering it takes the lock of a SQLite store (see `mlmd.StoreLock`).

    The store must have been checked (`schema.checked`). A server that goes away in the block ends the
    block with one clear MlmdError: ml_metadata's says nothing, and a second one crashes the process.
    """

    def __init__(self, address: dict[str, Any]):
        super().__init__(mlmd.connection_config(address))
        self._address = address
        self._lock = mlmd.StoreLock(address)

    def __enter__(self) -> LockedMetadata:
        self._lock.acquire()
        try:
            if not self._users:  # not TFX's own way, which tries for ten seconds whatever the error
                self._store = mlmd.connect(self._address)
            self._users += 1
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *arguments: Any) -> None:
        try:
            super().__exit__(*arguments)
        finally:
            self._lock.release()
        if isinstance(error := arguments[1], _GONE):
            raise mlmd.lost(self._address, error) from None


class Launcher(launcher.Launcher):
    """TFX's launcher, which publishes only what is still asked for.

    Attributes:
      given_up: Set when the asking task is dead: its retry may be at work by now.
    """

    given_up: threading.Event

    def _prepare_execution(self) -> Any:
        with cache.checked(self._pipeline_node):
            return super()._prepare_execution()

    def _publish_successful_execution(self, execution_id: int, *arguments: Any) -> None:
        with self._mlmd_connection as handle:
            [execution] = handle.store.get_executions_by_id([execution_id])
            if execution.last_known_state == _Execution.FAILED:
                raise RuntimeError(f"a later attempt has taken over: execution {execution_id} is FAILED.")
            if not self.given_up.is_set():
                super()._publish_successful_execution(execution_id, *arguments)
                return
        threading.Event().wait()  # until the thread that records the failure has ended this process
