"""Takes turns with other jobs on a job server of Spark, which can run one at a time.

Such a server makes a SparkContext for each job (`SparkContextFactory` in Beam's runners/spark), of which Spark allows one in a
Java process (SPARK-2243): a second job would fail.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.tfx_side.beam import job_service

log = logging.getLogger(__name__)

_POLL_SECONDS, _ANSWER_SECONDS = 1.0, 20.0
_State = beam_job_api_pb2.JobState
_AT_WORK = (_State.STARTING, _State.RUNNING, _State.DRAINING, _State.CANCELLING, _State.UPDATING)


def was_refused(message: str) -> bool:
    """Whether a job failed because another one had its SparkContext still, or already."""
    return "Only one SparkContext" in message


@contextlib.contextmanager
def taken(target: BeamTarget, jobs: beam_job_api_pb2_grpc.JobServiceStub, name: str) -> Iterator[None]:
    """Waits until the job server runs nothing; inside, a job is handed over.

    Tasks that share `home` hand theirs over one after another. One of another deployment may come in between: then the job
    is refused, see `was_refused`.

    Args:
      target: The cluster.
      jobs: Its job server.
      name: Of the job, for the log.

    Raises:
      grpc.RpcError: The job server does not answer.
    """
    with _alone(target):
        tells = True
        everything = beam_job_api_pb2.GetJobsRequest()
        while any(
            job.state in _AT_WORK for job in jobs.GetJobs(everything, timeout=_ANSWER_SECONDS).job_info
        ):
            if tells:
                log.info(
                    "Beam job %r waits: the job server of Spark runs another, and can run one at a time.",
                    name,
                )
                tells = False
            time.sleep(_POLL_SECONDS)
        yield


@contextlib.contextmanager
def _alone(target: BeamTarget) -> Iterator[None]:
    path = Path(target.home, "beam", f"{hashlib.sha256(target.job_endpoint.encode()).hexdigest()[:16]}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:  # read-only, or not there: what the server says has to do
        log.info("Tasks do not take turns by %s: %s", path, job_service.reason(error))
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
