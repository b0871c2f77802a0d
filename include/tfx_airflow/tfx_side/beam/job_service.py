"""Beam's job server as a client sees it: reached in seconds or not at all, asked for jobs, told to cancel some."""

from __future__ import annotations

import collections
import functools
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
_CANCEL_SECONDS = 90.0
_JobState = beam_job_api_pb2.JobState
ENDED = (_JobState.DONE, _JobState.DRAINED, _JobState.FAILED, _JobState.CANCELLED)
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A machine that vanishes says nothing, and some calls have no deadline. Servers in Java end connections that ask more often
    # than every five minutes.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)
# How long a job that was cancelled while it was handed over may take to come to Flink all the same.
_COMING_SECONDS = 60.0


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


def cancel(
    target: BeamTarget,
    wanted: Callable[[str], bool],
    seconds: float = _CANCEL_SECONDS,
    is_patient: bool = False,
) -> list[str]:
    """Cancels jobs by their names, through the job server and at Flink itself.

    Beam's job server for Flink only stops waiting for a job that it cancels: Flink goes on with it, and one that is just
    being handed over comes to Flink later. And a job server that was started again knows nothing of its earlier jobs, one
    that is away tells none: then Flink alone is asked.

    Args:
      target: The cluster.
      wanted: Whether a job of that name is to be cancelled.
      seconds: How long their end is waited for.
      is_patient: Who does not answer is asked again, for as long.

    Returns:
      Names of the jobs that were at work.

    Raises:
      BeamError: A job goes on, or nobody answers.
    """
    began, told, asked = time.monotonic(), set[str](), set[str]()
    jobs: beam_job_api_pb2_grpc.JobServiceStub | None = None
    asks_server = True
    while True:
        waited = time.monotonic() - began
        try:
            jobs = jobs or (service(target) if asks_server else None)
            running, coming = _at_work(target, jobs, wanted)
        except (BeamError, grpc.RpcError, OSError, ValueError) as error:
            if asks_server and _is_flink(target) and isinstance(error, (BeamError, grpc.RpcError)):
                asks_server, jobs = False, None
                log.warning("Flink alone is asked which jobs it runs: %s", reason(error))
                continue
            if is_patient and waited < seconds:
                time.sleep(2)
                continue
            raise _unknown(target, error) from None
        told |= {name for _, name, _ in running}
        for key, name, end in running:
            if key not in asked:
                asked.add(key)
                _cancel_one(name, end)
        if not running and (not coming or waited > _COMING_SECONDS):
            return sorted(told)
        if waited > seconds:
            raise BeamError(
                f"jobs {sorted({name for _, name, _ in running} | coming)} of Beam runner {target.name!r} have not ended "
                f"{seconds:.0f} s after they were cancelled; see to them"
                + (f" at {target.ui}." if target.ui else " in the cluster's pages.")
            )
        time.sleep(0.5)


def _unknown(target: BeamTarget, error: Exception) -> BeamError:
    if isinstance(error, BeamError):
        return error
    return BeamError(
        f"which jobs Beam runner {target.name!r} runs cannot be known, so that an earlier try's could still be at "
        f"work: {reason(error)}; see to its job server at {target.job_endpoint}"
        + (f" and to Flink at {target.ui}." if target.ui else ".")
    )


def _cancel_one(name: str, end: Callable[[], Any]) -> None:
    log.warning("Beam job %r is still at work: it is cancelled.", name)
    try:
        end()
    except (grpc.RpcError, OSError) as error:  # it may have ended just now
        log.info("Beam job %r: %s", name, reason(error))


_Jobs = list[tuple[str, str, Callable[[], Any]]]


def _at_work(
    target: BeamTarget, jobs: beam_job_api_pb2_grpc.JobServiceStub | None, wanted: Callable[[str], bool]
) -> tuple[_Jobs, set[str]]:
    """(key, name, how to cancel it) of each job that has not ended, and names of those that may still come to Flink.

    Without a job server, those that Flink tells.
    """
    found, coming = _at_server(jobs, wanted) if jobs else ([], set())
    if not _is_flink(target):
        return found, set()
    for one in flink_rest.jobs(target.ui):
        coming.discard(one["name"])
        if wanted(one["name"]) and one["state"] not in flink_rest.ENDED:
            end = functools.partial(flink_rest.cancel, target.ui, one["jid"])
            found.append((one["jid"], one["name"], end))
    return found, coming


def _at_server(
    jobs: beam_job_api_pb2_grpc.JobServiceStub, wanted: Callable[[str], bool]
) -> tuple[_Jobs, set[str]]:
    """What a job server runs, and names of the jobs that were cancelled a moment ago; as `_at_work`."""
    found: _Jobs = []
    cancelled = set()
    for job in jobs.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=_ANSWER_SECONDS).job_info:
        if not wanted(job.job_name):
            continue
        if job.state not in ENDED:
            request = beam_job_api_pb2.CancelJobRequest(job_id=job.job_id)
            end = functools.partial(jobs.Cancel, request, timeout=_ANSWER_SECONDS)
            found.append((job.job_id, job.job_name, end))
        elif job.state == _JobState.CANCELLED and _seconds_ago(jobs, job.job_id) < _COMING_SECONDS:
            cancelled.add(job.job_name)
    return found, cancelled


def _is_flink(target: BeamTarget) -> bool:
    """Whether it has Flink's own REST API."""
    return target.of.kind == "flink" and bool(target.ui)


def _seconds_ago(jobs: Any, job_id: str) -> float:
    """How long ago a job came to its state, by the job server's clock and this one; 0 when that is unknown."""
    try:
        request = beam_job_api_pb2.GetJobStateRequest(job_id=job_id)
        event = jobs.GetState(request, timeout=_ANSWER_SECONDS)
    except grpc.RpcError:  # forgotten meanwhile
        return 0.0
    return max(time.time() - event.timestamp.seconds, 0.0) if event.timestamp.seconds else 0.0


def reason(error: BaseException) -> str:
    """Why a call failed, on one line."""
    if isinstance(error, BeamError):
        return str(error)
    if isinstance(error, grpc.RpcError) and hasattr(error, "code"):
        return f"{error.code().name}: {error.details()}"
    return f"{type(error).__name__}: {error}"
