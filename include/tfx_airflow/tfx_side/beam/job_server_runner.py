"""Runs pipelines on Flink or Spark through Beam's job server.

Beam's PortableRunner takes the server's address and the worker pool's from the pipeline's options, which the cluster shows
on its pages, waits for a server without end, and calls every job the same. This one takes them from the process's
`BeamTarget`, gives the job a name that tells the task and its try, and cancels what it started when its task is killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent import futures
from typing import Any

import grpc
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)
from apache_beam.portability.api import beam_artifact_api_pb2_grpc, beam_fn_api_pb2_grpc, beam_job_api_pb2
from apache_beam.runners.portability import artifact_service, portable_runner
from apache_beam.runners.runner import PipelineState
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.transforms import environments

from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.contract.errors import BeamError
from include.tfx_airflow.tfx_side.beam import flink_rest, job_service, spark_turn

log = logging.getLogger(__name__)

TOKEN_PARAMETER = "token"
MAX_STAGES, MAX_NAME = 10, 200
# All that Flink says when the connection to a worker breaks.
_WORKER_DIED = "CANCELLED: client cancelled"
_POLL_SECONDS, _ANSWER_SECONDS, _AWAY_SECONDS = 0.2, 20.0, 15.0
# A context that is being stopped takes seconds; who has it for minutes, while no job is at work, does not give it back.
_REFUSALS, _REFUSED_SECONDS = 60, 2.0
_target: BeamTarget | None = None
_count = itertools.count(1)
_started: list[JobResult] = []
_handing_over: set[str] = set()


def use(target: BeamTarget) -> None:
    """Says where this process's pipelines run."""
    global _target
    _target = target


def started() -> list[JobResult]:
    """The jobs that this process has started, in their order."""
    return list(_started)


class JobServerRunner(portable_runner.PortableRunner):
    """Beam's PortableRunner with the `BeamTarget` of this process."""

    def default_environment(self, options: PipelineOptions) -> environments.Environment:
        """Where the pipeline's Python code runs: in the worker pool, or in this process."""
        target = _known()
        runner = target.of
        parameters = {}
        address = target.worker_pool
        if runner.workers == "task":
            address, self._workers = _workers_here()
        elif target.worker_pool_token:
            parameters[TOKEN_PARAMETER] = target.worker_pool_token
        portable = options.view_as(PortableOptions)
        return environments.ExternalEnvironment(
            address,
            params=parameters,
            capabilities=environments.python_sdk_capabilities(),
            artifacts=environments.python_sdk_dependencies(portable),
            resource_hints=environments.resource_hints_from_options(portable),
        )

    def run_portable_pipeline(self, pipeline: Any, options: PipelineOptions) -> JobResult:
        """Starts a job.

        Raises:
          BeamError: The job server does not answer, or does not take the job.
        """
        target = _known()
        # A try may have several, and more than one process.
        name = f"{target.job_name or 'beam'}-{next(_count)}-{os.urandom(2).hex()}"
        # Java knows no runner of this name; the job server has its own.
        options.view_as(StandardOptions).runner = None
        options.view_as(GoogleCloudOptions).job_name = name
        handle = _JobServiceHandle(target, name, options)
        workers = getattr(self, "_workers", None)
        stop = [lambda: workers.stop(1)] if workers else []
        result = JobResult(target, name, handle, self._optimize_pipeline(pipeline, options), stop)
        result.hand_over()
        return result


class _JobServiceHandle(portable_runner.JobServiceHandle):
    """Beam's, with the target's channels and the job's name."""

    def __init__(self, target: BeamTarget, name: str, options: PipelineOptions):
        super().__init__(job_service.service(target), options)
        self._target, self._name = target, name
        self.artifact_endpoint = target.artifact_endpoint

    def prepare(self, proto_pipeline: Any) -> Any:
        request = beam_job_api_pb2.PrepareJobRequest(
            job_name=self._name, pipeline=proto_pipeline, pipeline_options=self.get_pipeline_options()
        )
        return self.job_service.Prepare(request, timeout=self.timeout)

    def stage(self, proto_pipeline: Any, artifact_staging_endpoint: str, staging_session_token: str) -> None:
        if artifact_staging_endpoint:
            artifact_service.offer_artifacts(
                beam_artifact_api_pb2_grpc.ArtifactStagingServiceStub(
                    job_service.channel(self._target, artifact_staging_endpoint)
                ),
                artifact_service.ArtifactRetrievalService(
                    artifact_service.BeamFilesystemHandler(None).file_reader
                ),
                staging_session_token,
            )


class JobResult(portable_runner.PipelineResult):
    """A job.

    Attributes:
      target: Where it runs.
      name: Of the job.
      began: When it was handed over, in seconds of the monotonic clock.
      seconds: How long it took, from then on; None while it runs.
      stages: Name and seconds of each of its stages, as the cluster tells them; empty when it does not.
      link: Address of its page; "" when that is unknown.
      has_gone: Whether it was cancelled and has ended.
    """

    began: float
    seconds: float | None = None
    stages: Iterable[tuple[str, float]] = ()
    link: str = ""
    has_gone: bool = False

    def __init__(
        self,
        target: BeamTarget,
        name: str,
        handle: _JobServiceHandle,
        proto: Any,
        stop: Sequence[Callable[[], None]],
    ):
        """Describes a job that is not handed over yet.

        Args:
          target: Where it is to run.
          name: Of the job.
          handle: The job server, with the job's options.
          proto: The pipeline.
          stop: Called when it has ended.
        """
        super().__init__(handle.job_service, "", iter(()), iter(()), stop)
        self.target, self.name, self._handle, self._proto = target, name, handle, proto

    def hand_over(self) -> None:
        """Gives it to the job server, for the first time or again.

        Raises:
          BeamError: It does not take the job.
        """
        spark, ui = self.target.of.kind == "spark", self.target.ui
        try:
            with (
                spark_turn.taken(self.target, self._handle.job_service, self.name)
                if spark
                else contextlib.nullcontext()
            ):
                self.began = time.monotonic()
                self._messages: list[Any] = []
                _handing_over.add(self.name)
                self._job_id, self._message_stream, self._state_stream = self._handle.submit(self._proto)
                if self not in _started:
                    _started.append(self)
        except grpc.RpcError as error:
            raise BeamError(
                f"the job server of runner {self.target.name!r} at {self.target.job_endpoint} did not take job {self.name!r}: "
                f"{job_service.reason(error)}."
            ) from None
        finally:
            _handing_over.discard(self.name)
        log.info(
            "Beam job %r (%s) runs on %r%s.",
            self.name,
            self._job_id,
            self.target.name,
            f": {ui}" if ui else "",
        )

    @property
    def state(self) -> str:
        """As the job server tells it now.

        Raises:
          BeamError: It does not answer.
        """
        request = beam_job_api_pb2.GetJobStateRequest(job_id=self._job_id)
        deadline = time.monotonic() + _AWAY_SECONDS
        while True:
            try:
                found = self._job_service.GetState(request, timeout=_ANSWER_SECONDS).state
                self._state = self.runner_api_state_to_pipeline_state(found)
                return self._state
            except grpc.RpcError as error:
                if time.monotonic() > deadline:
                    raise self._error(
                        f"the job server at {self.target.job_endpoint} has gone while it ran: {job_service.reason(error)}"
                    ) from None
                time.sleep(1)

    def wait_until_finish(self, duration: int | None = None) -> str:
        """As Beam's, but notices a job server that is gone without a word.

        Raises:
          BeamError: It did not end well; the cluster's own last error is in the message.
        """
        deadline = time.monotonic() + duration / 1000 if duration else math.inf
        self._wait(deadline)
        for _ in range(_REFUSALS):
            if self._state != PipelineState.FAILED or not spark_turn.was_refused(self._last_error_message()):
                break
            log.info("Beam job %r is handed over again: another has Spark's only context.", self.name)
            time.sleep(_REFUSED_SECONDS)
            self.hand_over()
            self._wait(deadline)
        if not PipelineState.is_terminal(self._state):
            return self._state
        self._ended()
        self._cleanup()
        if self._state != PipelineState.DONE:
            raise self._error(f"{self._state}: {self._last_error_message()}")
        return self._state

    def _wait(self, deadline: float) -> None:
        """Reads the job's messages until it has ended, or until then."""
        messages = threading.Thread(target=self._read_messages, daemon=True)
        messages.start()
        try:
            while not PipelineState.is_terminal(self.state) and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
        except BeamError:
            self.cancel_quietly()
            raise
        if PipelineState.is_terminal(self._state):
            messages.join(10)

    def _read_messages(self) -> None:
        with contextlib.suppress(grpc.RpcError):
            for message in self._message_stream:
                self._messages.append(message)
                if message.HasField("message_response"):
                    said = message.message_response
                    log.log(portable_runner.MESSAGE_LOG_LEVELS[said.importance], "%s", said.message_text)

    def _error(self, reason: str) -> BeamError:
        where = f"; its page is {self.link}" if self.link else ""
        if self.target.of.workers == "pool":
            where += (
                f"; its workers come from the pool at {self.target.worker_pool}, as seen from the cluster"
            )
        if _WORKER_DIED in reason:
            where += "; a worker of it has died, and the pool's log says how"
        return BeamError(
            f"job {self.name!r} on runner {self.target.name!r} did not end well{where}; its last error:",
            tail=reason,
        )

    def _ended(self) -> None:
        if self.seconds is not None:
            return
        self.seconds = round(time.monotonic() - self.began, 3)
        if not self.target.ui:
            return
        self.link = self.target.ui
        if self.target.of.kind != "flink":
            return
        try:
            [job] = [job for job in flink_rest.jobs(self.target.ui) if job["name"] == self.name][-1:]
            self.link = f"{self.target.ui}/#/job/{job['jid']}/overview"
            self.stages = flink_rest.stages(self.target.ui, job["jid"])
        except (OSError, ValueError, KeyError) as error:  # only people read it
            log.info("Flink at %s does not tell of job %r: %s", self.target.ui, self.name, error)

    def described(self) -> dict[str, Any]:
        """What people want to know: `name`, `id`, `seconds`, `link` and `stages`, [name, seconds] of the longest."""
        return {
            "name": self.name,
            "id": self._job_id,
            "seconds": self.seconds,
            "link": self.link,
            "stages": [[_cut(name), seconds] for name, seconds in itertools.islice(self.stages, MAX_STAGES)],
        }

    def cancel_quietly(self, seconds: float = 20) -> None:
        """Cancels it and waits for its end; what cannot be done is logged."""
        try:
            job_service.cancel(self.target, lambda name: name == self.name, seconds)
            self.has_gone = True
        except BeamError as error:
            log.error("%s", error)


def _cut(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"


def cancel_all(seconds: float = 20) -> None:
    """Cancels the jobs of this process that have not ended; for a task that is killed.

    Args:
      seconds: How long their end is waited for. What has not ended by then is left to a process of its own: a job that is
        being handed over to the cluster cannot be cancelled before it is there.
    """
    if _handing_over:
        leave_to_another_process(_known())
        return
    left = [result for result in started() if result.seconds is None]
    threads = [threading.Thread(target=result.cancel_quietly, args=[seconds], daemon=True) for result in left]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    if any(thread.is_alive() for thread in threads) or not all(result.has_gone for result in left):
        leave_to_another_process(left[0].target)


def leave_to_another_process(target: BeamTarget) -> None:
    """Has a process that outlives this one cancel the jobs of the target's try."""
    process = subprocess.Popen(
        [sys.executable, "-m", "include.tfx_airflow.tfx_side.beam.cancel"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin
    process.stdin.write(json.dumps(dataclasses.asdict(target)).encode())
    process.stdin.close()


def _known() -> BeamTarget:
    if _target is None:
        raise BeamError(
            "this process was not told where its pipelines run; use a runner's name, see include/beam_runners.py."
        )
    return _target


def _workers_here() -> tuple[str, grpc.Server]:
    """Serves workers in this process, to this machine only: whoever reaches them can run code."""
    server = grpc.server(futures.ThreadPoolExecutor(), options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(
        BeamFnExternalWorkerPoolServicer(), server
    )
    server.start()
    return f"localhost:{port}", server
