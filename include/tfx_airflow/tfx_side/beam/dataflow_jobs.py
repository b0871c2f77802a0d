"""Cancels what tries of a task have left at work on Dataflow.

By its REST API (https://cloud.google.com/dataflow/docs/reference/rest/v1b3/projects.locations.jobs) and with Beam's
credentials: Beam's own client of it is another one in each of its versions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from urllib.parse import quote

import requests
from apache_beam.internal.gcp import auth
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.contract.errors import BeamError

log = logging.getLogger(__name__)

_POLL_SECONDS = 5.0
# A job of many workers takes minutes to release them.
_CANCEL_SECONDS = 600.0
_REQUEST_SECONDS = 60.0
# Half a minute: a service that restarts, or asks to be left alone for a moment.
_AGAIN = Retry(5, backoff_factor=1, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)


def cancel_earlier(
    target: BeamTarget,
    arguments: Sequence[str],
    seconds: float = _CANCEL_SECONDS,
    poll_seconds: float = _POLL_SECONDS,
) -> list[str]:
    """Cancels the jobs of earlier tries of this task instance that are still at work, and waits for their end.

    A task that was killed together with its machine could not cancel its job.

    Args:
      target: Its job name tells task instances apart.
      arguments: Beam's, with project and region.
      seconds: How long their end is waited for.
      poll_seconds: Between two questions.

    Returns:
      Names of the jobs that were cancelled.

    Raises:
      BeamError: Dataflow does not answer, or a job goes on.
    """
    instance, _, number = target.job_name.rpartition("-try")
    earlier = {f"{instance}-try{before}" for before in range(1, int(number or 1))}
    return _cancel_named(earlier, arguments, seconds, poll_seconds) if earlier else []


def cancel_try(target: BeamTarget, arguments: Sequence[str], seconds: float = _CANCEL_SECONDS) -> list[str]:
    """Cancels the job of the target's try, whose process is dead or about to be; see `cancel_earlier`."""
    return _cancel_named({target.job_name}, arguments, seconds, _POLL_SECONDS)


def _cancel_named(
    names: set[str], arguments: Sequence[str], seconds: float, poll_seconds: float
) -> list[str]:
    options = PipelineOptions(list(arguments))
    google = options.view_as(GoogleCloudOptions)
    where = f"project {google.project!r}, region {google.region!r}"
    jobs = (
        f"{google.dataflow_endpoint.rstrip('/')}/v1b3/projects/{quote(google.project or '', safe=':')}"
        f"/locations/{quote(google.region or '')}/jobs"
    )
    told: dict[str, str] = {}
    began = time.monotonic()
    try:
        with _session(options) as session:
            while running := _at_work(session, jobs, names):
                for job_id, name in running.items():
                    if job_id not in told:
                        told[job_id] = name
                        log.warning("Dataflow job %r (%s) is still at work: it is cancelled.", name, job_id)
                        _cancel(session, f"{jobs}/{job_id}")
                if time.monotonic() - began > seconds:
                    raise BeamError(
                        f"jobs {sorted(running.values())} on Dataflow ({where}) have not ended {seconds:.0f} s after they "
                        "were cancelled; see to them in Google Cloud's console."
                    )
                time.sleep(poll_seconds)
    except (requests.RequestException, GoogleAuthError, OSError, ValueError) as error:
        raise BeamError(
            f"which jobs Dataflow runs ({where}) cannot be known, so that one of {sorted(names)} could still be at work: "
            f"{type(error).__name__}: {error}; see to the credentials and to Google Cloud's console, and run the task again."
        ) from None
    return sorted(told.values())


def _session(options: PipelineOptions) -> AuthorizedSession:
    """Asks with Beam's credentials, those of an impersonated service account too; without any where Beam has none."""
    no_auth = options.view_as(GoogleCloudOptions).no_auth
    adapter = None if no_auth else auth.get_service_credentials(options)
    session = AuthorizedSession(adapter.get_google_auth_credentials() if adapter else AnonymousCredentials())
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=_AGAIN))
    return session


def _at_work(session: AuthorizedSession, jobs: str, names: set[str]) -> dict[str, str]:
    """Name by id of the jobs of these names that have not ended, with those that wait for their workers."""
    found: dict[str, str] = {}
    query = {"filter": "ACTIVE"}
    while True:
        answer = session.get(jobs, params=query, timeout=_REQUEST_SECONDS)
        answer.raise_for_status()
        page = answer.json()
        found |= {job["id"]: job["name"] for job in page.get("jobs", []) if job["name"] in names}
        if not page.get("nextPageToken"):
            return found
        query["pageToken"] = page["nextPageToken"]


def _cancel(session: AuthorizedSession, job: str) -> None:
    wanted = {"requestedState": "JOB_STATE_CANCELLED"}
    answer = session.put(job, json=wanted, timeout=_REQUEST_SECONDS)
    # What has ended since it was listed cannot be cancelled: the next listing says so.
    if answer.status_code != requests.codes.bad_request:
        answer.raise_for_status()
