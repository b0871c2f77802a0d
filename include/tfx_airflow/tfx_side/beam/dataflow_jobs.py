"""Cancels what earlier tries of a task have left at work on Dataflow, through Beam's own client of its API."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.dataflow.internal import apiclient
from apache_beam.runners.dataflow.internal.clients import dataflow
from apitools.base.py import exceptions
from google.auth.exceptions import GoogleAuthError

from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.contract.errors import BeamError

log = logging.getLogger(__name__)

_POLL_SECONDS = 5.0
# A job of many workers takes minutes to release them.
_CANCEL_SECONDS = 600.0
_List = dataflow.DataflowProjectsLocationsJobsListRequest


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
    if not earlier:
        return []
    options = PipelineOptions(list(arguments))
    google = options.view_as(GoogleCloudOptions)
    where = f"project {google.project!r}, region {google.region!r}"
    told: dict[str, str] = {}
    began = time.monotonic()
    try:
        client = apiclient.DataflowApplicationClient(options)
        while running := _at_work(client, google, earlier):
            for job_id, name in running.items():
                if job_id not in told:
                    told[job_id] = name
                    log.warning("Dataflow job %r (%s) is still at work: it is cancelled.", name, job_id)
                    client.modify_job_state(job_id, "JOB_STATE_CANCELLED")
            if time.monotonic() - began > seconds:
                raise BeamError(
                    f"jobs {sorted(running.values())} on Dataflow ({where}) have not ended {seconds:.0f} s after they were "
                    "cancelled; see to them in Google Cloud's console."
                )
            time.sleep(poll_seconds)
    except (exceptions.Error, GoogleAuthError, OSError) as error:
        raise BeamError(
            f"which jobs Dataflow runs ({where}) cannot be known, so that an earlier try's could still be at work: "
            f"{type(error).__name__}: {error}; see to the credentials and to Google Cloud's console, and run the task again."
        ) from None
    return sorted(told.values())


def _at_work(
    client: apiclient.DataflowApplicationClient, google: GoogleCloudOptions, names: set[str]
) -> dict[str, str]:
    """Name by id of the jobs of these names that have not ended."""
    found: dict[str, str] = {}
    page = None
    while True:
        # Beam's own search by name leaves out jobs that wait for their workers.
        request = _List(
            projectId=google.project,
            location=google.region,
            filter=_List.FilterValueValuesEnum.ACTIVE,
            pageToken=page,
        )
        answer = client._client.projects_locations_jobs.List(request)
        found |= {job.id: job.name for job in answer.jobs if job.name in names}
        page = answer.nextPageToken
        if not page:
            return found
