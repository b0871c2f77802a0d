"""TFX's launcher and store handle, extended for several attempts at one node."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable import launcher, outputs_utils
from tfx.orchestration.portable.mlmd import execution_lib

from include.tfx_airflow.contract import mlmd_facts
from include.tfx_airflow.contract.errors import MlmdError
from include.tfx_airflow.contract.object_store import is_object_store
from include.tfx_airflow.tfx_side import workers
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.mlmd.lock import StoreLock
from include.tfx_airflow.tfx_side.node import beam_work, cache, gone_files, watcher, why_executed
from include.tfx_airflow.tfx_side.node.beam_work import BeamWork
from include.tfx_airflow.tfx_side.node.code_version import CodeVersion
from include.tfx_airflow.tfx_side.object_store.staging import StagedResolver, Staging
from include.tfx_airflow.tfx_side.patches import applied
from include.tfx_airflow.tfx_side.patches.patch import Patch

log = logging.getLogger(__name__)

_Execution = metadata_store_pb2.Execution
_OUTPUT = metadata_store_pb2.Event.OUTPUT
_MAX_REASON = 1000  # characters
_PAUSES = (0, 2, 5)  # seconds: a server that restarts is back by then
_GONE = (errors.InternalError, errors.UnavailableError, errors.DeadlineExceededError)


class LockedMetadata(metadata.Metadata):
    """TFX's store handle; entering it takes the lock (see `lock.StoreLock`).

    The store must have been checked (`schema.check`). If the server goes away inside the
    block, the block ends with one clear MlmdError: ml_metadata's own says nothing, and a second one crashes the process.
    """

    def __init__(self, address: dict[str, Any], node: str = ""):
        super().__init__(mlmd_store.connection_config(address))
        self._address = address
        self._lock = StoreLock(address, node)

    def __enter__(self) -> LockedMetadata:
        self._lock.acquire()
        try:
            if not self._users:  # not TFX's own way, which retries for ten seconds whatever the error
                self._store = mlmd_store.connect(self._address)
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
            raise mlmd_store.lost(self._address, error) from None

    def is_locked(self) -> bool:
        """Whether the lock is still held."""
        return self._lock.is_held()


class Launcher(launcher.Launcher):
    """TFX's launcher, which publishes only what is still wanted.

    Attributes:
      given_up: Set when the asking task is dead: its retry may be running by now.
      earlier_tries: The only executions to use as cache; None for all of the node.
      code_version: Tells which of the user's code the node runs; None for a node without any.
      without_cache: Why the cache is not asked; "" when it is.
      patches: Applied while the executor runs.
      staging: Runs the executor on local files; None for a node that may use no object store.
      beam_runner: Name of the runner of its Beam pipelines; "" when none was named.
    """

    given_up: threading.Event
    earlier_tries: frozenset[int] | None = None
    code_version: CodeVersion | None = None
    without_cache: str = ""
    patches: tuple[Patch, ...] = ()
    staging: Staging | None = None
    beam_runner: str = ""
    _output_resolver: Any  # TFX's
    _beam_work: str = ""

    def _prepare_execution(self) -> Any:
        if self.staging and is_object_store(outputs_utils.get_node_dir(self._pipeline_runtime_spec, "")):
            self._output_resolver = StagedResolver(self._output_resolver, self.staging)
        with cache.checked(self._pipeline_node, self._check_wanted, self.earlier_tries):
            return super()._prepare_execution()

    def _register_or_reuse_execution(
        self, *, exec_properties: Mapping[str, Any] | None = None, **arguments: Any
    ) -> metadata_store_pb2.Execution:
        # Here and not in the node's parameters, from which TFX makes its cache key.
        told = self.code_version.properties() if self.code_version else {}
        if self._executor_spec is not None:
            told[why_executed.EXECUTOR_PROPERTY] = why_executed.executor_hash(self._executor_spec)
        with self._found_by_its_attempt():
            return super()._register_or_reuse_execution(
                exec_properties={**(exec_properties or {}), **told}, **arguments
            )

    @contextlib.contextmanager
    def _found_by_its_attempt(self) -> Iterator[None]:
        """Has TFX look for the execution among those of the attempt, which are in a context of their own.

        TFX asks for what is in all contexts of the node: by a filter query, or, with an ml_metadata that has none, by reading all
        executions of the pipeline.
        """

        def in_all(handle: Any, contexts: Iterable[metadata_store_pb2.Context]) -> list[Any]:
            wanted = {context.id for context in contexts}
            return [
                execution
                for execution in self._attempt(handle.store)
                if wanted <= {context.id for context in handle.store.get_contexts_by_execution(execution.id)}
            ]

        original = execution_lib.get_executions_associated_with_all_contexts
        execution_lib.get_executions_associated_with_all_contexts = in_all
        try:
            yield
        finally:
            execution_lib.get_executions_associated_with_all_contexts = original

    def _run_executor(self, execution_info: Any) -> Any:
        with self._mlmd_connection as handle:
            gone_files.check_inputs(handle.store, execution_info.input_dict)
            self._explain(handle.store, execution_info.execution_id, execution_info.exec_properties)
        work = BeamWork(self.beam_runner)
        with workers.copies_end_here(), applied.applied(self.patches), work.observed():
            run = super()._run_executor
            result = self.staging.run(execution_info, run) if self.staging else run(execution_info)
        self._beam_work = work.text()  # a cluster is asked, so not later, under the store's lock
        return result

    def _explain(self, store: Any, execution_id: int, exec_properties: Mapping[str, Any]) -> None:
        """Says why the node runs, in its log and in MLMD."""
        try:
            found = why_executed.explain(
                store, self._pipeline_node, execution_id, exec_properties, self.without_cache
            )
            why_executed.tell(found)
            [execution] = store.get_executions_by_id([execution_id])
            execution.custom_properties[why_executed.PROPERTY].string_value = json.dumps(found)
            store.put_executions([execution])
        except Exception:  # no node fails for what only people read
            log.warning("Why the node runs is not known.", exc_info=True)

    def _check_wanted(self, store: Any) -> None:
        """Refuses to publish for an attempt that was given up: TFX itself would turn FAILED into COMPLETE."""
        for execution in self._attempt(store):
            if execution.last_known_state == _Execution.FAILED:
                raise RuntimeError(f"a later attempt has taken over: execution {execution.id} is FAILED.")

    def _attempt(self, store: Any) -> list[metadata_store_pb2.Execution]:
        """The execution of this attempt, if it is registered yet."""
        return self._executions(store, mlmd_facts.TASK_CONTEXT)

    def _executions(self, store: Any, context_type: str) -> list[metadata_store_pb2.Execution]:
        """Executions in the node's context of a type."""
        for spec in self._pipeline_node.contexts.contexts:
            if spec.type.name == context_type:
                context = store.get_context_by_type_and_name(context_type, spec.name.field_value.string_value)
                return store.get_executions_by_context(context.id) if context else []
        return []

    def launch(self) -> Any:
        """As TFX's, which leaves an execution RUNNING when a driver raises, publishing fails or user code exits."""
        try:
            with watcher.NONE.applied():
                return super().launch()
        except BaseException as error:
            for pause in _PAUSES:
                time.sleep(pause)
                try:
                    self._fail_attempt(f"{type(error).__name__}: {error}"[:_MAX_REASON])
                    break
                except (MlmdError, errors.StatusError):
                    continue  # the next attempt marks it
            raise

    def _fail_attempt(self, reason: str) -> None:
        with self._mlmd_connection as handle:
            handle.store.fail_executions([execution.id for execution in self._attempt(handle.store)], reason)

    def _publish_successful_execution(self, execution_id: int, *arguments: Any) -> None:
        # Under one lock: this attempt is given up before or after publishing, never in the middle.
        with self._mlmd_connection as handle:
            self._check_wanted(handle.store)
            published = not self.given_up.is_set()
            if published:
                self._tell_beam_work(handle.store, execution_id)
                super()._publish_successful_execution(execution_id, *arguments)
            kept = handle.is_locked()
        if not published:
            threading.Event().wait()  # until the thread that records the failure has ended this process
        if not kept:
            self._withdraw_if_overtaken(execution_id)

    def _tell_beam_work(self, store: Any, execution_id: int) -> None:
        """Makes the record of the Beam pipelines a property of the execution, which is known only now."""
        if self._beam_work:
            [execution] = store.get_executions_by_id([execution_id])
            execution.custom_properties[beam_work.PROPERTY].string_value = self._beam_work
            store.put_executions([execution])

    def _withdraw_if_overtaken(self, execution_id: int) -> None:
        """Decides again when the server lost the lock meanwhile: of two attempts the later one counts."""
        with self._mlmd_connection as handle:
            store = handle.store
            if max(e.id for e in self._executions(store, mlmd_facts.TRIES_CONTEXT)) == execution_id:
                return
            made = [
                e.artifact_id for e in store.get_events_by_execution_ids([execution_id]) if e.type == _OUTPUT
            ]
            artifacts = store.get_artifacts_by_id(made)
            for artifact in artifacts:
                artifact.state = metadata_store_pb2.Artifact.ABANDONED
            [execution] = store.get_executions_by_id([execution_id])
            execution.last_known_state = _Execution.FAILED
            store.put_artifacts(artifacts)
            store.put_executions([execution])
        raise RuntimeError(f"a later attempt has taken over: execution {execution_id} was withdrawn.")
