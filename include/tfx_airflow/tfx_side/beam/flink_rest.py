"""Flink's REST API, as far as a job's end and its report need it: the address of its pages, by `ui` of the Connection."""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

_SECONDS = 5.0
ENDED = ("FINISHED", "CANCELED", "FAILED")


def jobs(ui: str) -> list[dict[str, Any]]:
    """All jobs that Flink remembers, with `jid`, `name` and `state`, the one started first, first.

    Raises:
      OSError: It does not answer.
      ValueError: Something else does.
    """
    return sorted(_ask(f"{ui}/jobs/overview")["jobs"], key=lambda job: job["start-time"])


def cancel(ui: str, job_id: str) -> None:
    """Asks Flink to cancel a job.

    Raises:
      OSError: It does not answer, or does not know the job.
    """
    request = urllib.request.Request(f"{ui}/jobs/{job_id}?mode=cancel", method="PATCH")
    with _answer(request):
        pass


def stages(ui: str, job_id: str) -> list[tuple[str, float]]:
    """Name and seconds of each of a job's stages, the longest first.

    Raises:
      OSError: It does not answer, or does not know the job.
      ValueError: Something else does.
    """
    found = [(v["name"], max(v["duration"], 0) / 1000) for v in _ask(f"{ui}/jobs/{job_id}")["vertices"]]
    return sorted(found, key=lambda stage: (-stage[1], stage[0]))


def _ask(address: str) -> Any:
    with _answer(address) as answer:
        return json.load(answer)


@contextlib.contextmanager
def _answer(request: urllib.request.Request | str) -> Iterator[Any]:
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            yield answer
    except http.client.HTTPException as error:  # an answer that breaks off, or is none
        raise OSError(f"{type(error).__name__}: {error}") from error
