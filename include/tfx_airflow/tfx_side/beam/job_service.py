"""Beam's job server as a client sees it: reached in seconds or not at all, asked for jobs, told to cancel some."""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Callable
from typing import Any

import grpc
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.contract.errors import BeamError
from include.tfx_airflow.tfx_side.beam import flink_rest

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 20.0
_CANCEL_SECONDS = 60.0
_JobState = beam_job_api_pb2.JobState
ENDED = (_JobState.DONE, _JobState.DRAINED, _JobState.FAILED, _JobState.CANCELLED)
# A server that is gone is noticed while a call waits, too.
_OPTIONS = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


class _Details(
    collections.namedtuple("_Details", "method timeout metadata credentials wait_for_ready compression"),
    grpc.ClientCallDetails,
):
    pass


class _Bearer(
    grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor
):
    """Sends a token with each call."""

    def __init__(self, token: str):
        self._header = ("authorization", f"Bearer {token}")

    def _call(self, continuation: Callable[..., Any], details: grpc.ClientCallDetails, request: Any) -> Any:
        metadata = [*(details.metadata or ()), self._header]
        return continuation(
            _Details(
                details.method,
                details.timeout,
                metadata,
                details.credentials,
                details.wait_for_ready,
                details.compression,
            ),
            request,
        )

    intercept_unary_unary = intercept_unary_stream = intercept_stream_stream = _call


def channel(target: BeamTarget, endpoint: str) -> grpc.Channel:
    """A channel to a service of the target's job server.

    Raises:
      BeamError: Nothing answers at the endpoint.
    """
    if target.tls:
        made = grpc.secure_channel(endpoint, grpc.ssl_channel_credentials(), _OPTIONS)
    else:
        made = grpc.insecure_channel(endpoint, _OPTIONS)
    try:
        grpc.channel_ready_future(made).result(timeout=_CONNECT_SECONDS)
    except grpc.FutureTimeoutError:
        made.close()
        raise BeamError(
            f"the job server of Beam runner {target.name!r} does not answer at {endpoint} within {_CONNECT_SECONDS:.0f} s; "
            f"start it, or correct Connection {target.of.conn_id!r}."
        ) from None
    return grpc.intercept_channel(made, _Bearer(target.token)) if target.token else made


def service(target: BeamTarget) -> beam_job_api_pb2_grpc.JobServiceStub:
    """The target's job server.

    Raises:
      BeamError: Nothing answers.
    """
    return beam_job_api_pb2_grpc.JobServiceStub(channel(target, target.job_endpoint))


def cancel_earlier(target: BeamTarget) -> list[str]:
    """Cancels what earlier tries of this task instance have left at work, and waits for its end.

    A task that was killed together with its machine could not cancel its job.

    Args:
      target: Its job name tells task instances apart. This try has started nothing yet.

    Returns:
      Names of the jobs that were cancelled.

    Raises:
      BeamError: The job server does not answer, or a job goes on.
    """
    mine = target.job_name.rpartition("-try")[0] + "-try"
    return cancel(target, lambda name: name.startswith(mine))


def cancel(target: BeamTarget, wanted: Callable[[str], bool], seconds: float = _CANCEL_SECONDS) -> list[str]:
    """Cancels jobs by their names, through the job server and, where its address is known, at Flink itself.

    A job server that was started again knows nothing of the jobs that it started before, but Flink does; and Flink goes on
    with a job whose job server only stops waiting for it.

    Args:
      target: The cluster.
      wanted: Whether a job of that name is to be cancelled.
      seconds: How long their end is waited for.

    Returns:
      Names of the jobs that were at work.

    Raises:
      BeamError: A job goes on, or nobody answers.
    """
    deadline, told, asked = time.monotonic() + seconds, set[str](), set[str]()
    jobs = service(target)
    while True:
        try:
            running = _running(target, jobs)
        except (grpc.RpcError, OSError, ValueError) as error:
            raise BeamError(
                f"which jobs Beam runner {target.name!r} runs cannot be known, so that an earlier try's could still be at "
                f"work: {_reason(error)}; see to its job server at {target.job_endpoint}"
                + (f" and to Flink at {target.ui}." if target.ui else ".")
            ) from None
        running = [(key, name, end) for key, name, end in running if wanted(name)]
        for key, name, end in running:
            told.add(name)
            if key not in asked:
                asked.add(key)
                log.warning("Beam job %r is still at work: it is cancelled.", name)
                try:
                    end()
                except (grpc.RpcError, OSError) as error:  # it may have ended just now
                    log.info("Beam job %r: %s", name, _reason(error))
        if not running:
            return sorted(told)
        if time.monotonic() > deadline:
            raise BeamError(
                f"jobs {sorted(name for _, name, _ in running)} of Beam runner {target.name!r} do not end within "
                f"{seconds:.0f} s of being cancelled; cancel them"
                + (f" at {target.ui}." if target.ui else " in the cluster's pages.")
            )
        time.sleep(0.5)


def _running(
    target: BeamTarget, jobs: beam_job_api_pb2_grpc.JobServiceStub
) -> list[tuple[str, str, Callable[[], Any]]]:
    """(key, name, how to cancel it) of each job that has not ended."""
    found: list[tuple[str, str, Callable[[], Any]]] = []
    answer = jobs.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=_ANSWER_SECONDS)
    for job in answer.job_info:
        if job.state not in ENDED:
            request = beam_job_api_pb2.CancelJobRequest(job_id=job.job_id)
            found.append(
                (job.job_id, job.job_name, lambda r=request: jobs.Cancel(r, timeout=_ANSWER_SECONDS))  # type: ignore[misc]
            )
    if target.ui and target.of.kind == "flink":
        for one in flink_rest.jobs(target.ui):
            if one["state"] not in flink_rest.ENDED:
                found.append(
                    (one["jid"], one["name"], lambda id_=one["jid"]: flink_rest.cancel(target.ui, id_))  # type: ignore[misc]
                )
    return found


def _reason(error: BaseException) -> str:
    if isinstance(error, grpc.RpcError) and hasattr(error, "code"):
        return f"{error.code().name}: {error.details()}"
    return f"{type(error).__name__}: {error}"
