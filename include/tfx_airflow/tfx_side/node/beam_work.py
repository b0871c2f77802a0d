"""Where the time went: seconds and counters of the Beam pipelines that an executor runs in this process.

Beam samples every 200 ms which step is at work, so that short bundles count for too little; what is in no step at all is
the set-up of stages. The record becomes a property of the execution, for people, and is no part of TFX's cache key.
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from include.tfx_airflow.tfx_side.beam.job_server_runner import JobResult

log = logging.getLogger(__name__)

PROPERTY = "beam_work"
MAX_STEPS, MAX_COUNTERS, MAX_NAME = 20, 40, 200
MAX_JOBS = 10
_STEP_MSECS = ("beam", "metric:ptransform_execution_time:total_msecs:v1")
_NOT_THE_USERS = ("beam", "internal")


# Of all pipelines that this process has begun.
_begun: list[Any] = []


def cancel_others() -> None:
    """Cancels jobs that run elsewhere but on a job server, on Dataflow: for a task that is killed."""
    for result in _begun:
        if isinstance(result, JobResult) or not hasattr(result, "job_id"):
            continue
        try:
            result.cancel()
        except Exception:  # it has ended, or its service does not answer
            log.warning("A Beam job could not be cancelled.", exc_info=True)


class BeamWork:
    """Collects what the pipelines that run inside `observed` say about themselves."""

    def __init__(self, runner: str = "") -> None:
        """Begins.

        Args:
          runner: Name of the Beam runner; "" when none was named.
        """
        self._runner = runner
        self._results: list[Any] = []
        self._seconds: list[float] = []

    @contextlib.contextmanager
    def observed(self) -> Iterator[None]:
        """Remembers the result of each pipeline that is run inside the block."""
        run, inside = beam.Pipeline.run, threading.local()

        def observed_run(pipeline: beam.Pipeline, *arguments: Any, **options: Any) -> Any:
            if getattr(inside, "a_run", False):  # Beam may run a copy of the pipeline
                return run(pipeline, *arguments, **options)
            inside.a_run, began = True, time.monotonic()
            try:
                result = run(pipeline, *arguments, **options)
            finally:
                inside.a_run = False
            self._results.append(result)
            _begun.append(result)
            # A runner elsewhere has only begun.
            ended = beam.runners.runner.PipelineState.is_terminal(getattr(result, "state", None))
            self._seconds.append(time.monotonic() - began if ended else math.nan)
            return result

        beam.Pipeline.run = observed_run
        try:
            yield
        finally:
            beam.Pipeline.run = run

    def summary(self) -> dict[str, Any]:
        """The record; {} when nothing ran.

        Returns:
          `pipelines`, how many; `seconds`, what they took, if all ended before `run` did; `steps`, [name, seconds] of
          those at work longest, and `steps_left_out`, [number, seconds]; `counters`, [name, value], largest first; `distributions`,
          [name, count, smallest, mean, largest]; `counters_left_out`, how many of both. Names are cut at the front.
          `runner`, its name, if it has one; `jobs` on a cluster, each with `name`, `id`, `seconds`, `link` ("" if
          unknown) and `stages`, [name, seconds] of those that took longest, as the cluster tells.
        """
        if not self._results:
            return {}
        steps: collections.Counter[str] = collections.Counter()
        counters: collections.Counter[str] = collections.Counter()
        distributions: dict[str, list[Any]] = {}
        for result in self._results:
            try:
                _add(result, steps, counters, distributions)
            except Exception:  # no node fails for what only people read, whatever its runner
                log.debug("Beam's metrics cannot be read.", exc_info=True)
        shown, rest = steps.most_common(MAX_STEPS), steps.most_common()[MAX_STEPS:]
        ordered = sorted(counters.items(), key=lambda counter: (-counter[1], counter[0]))
        room = max(MAX_COUNTERS - len(counters), 0)
        found: dict[str, Any] = {
            "pipelines": len(self._results),
            "steps": [[_cut(name), milliseconds / 1000] for name, milliseconds in shown],
            "counters": [[_cut(name), value] for name, value in ordered[:MAX_COUNTERS]],
            "distributions": [[_cut(name), *distributions[name]] for name in sorted(distributions)[:room]],
        }
        if self._runner:
            found["runner"] = self._runner
        if jobs := [job for job in map(_job, self._results) if job]:
            found["jobs"] = jobs[:MAX_JOBS]
        seconds = sum(map(_seconds, self._results, self._seconds))
        if not math.isnan(seconds):
            found["seconds"] = round(seconds, 3)
        if rest:
            found["steps_left_out"] = [len(rest), sum(milliseconds for _, milliseconds in rest) / 1000]
        if more := len(counters) + len(distributions) - len(found["counters"]) - len(found["distributions"]):
            found["counters_left_out"] = more
        return found

    def text(self) -> str:
        """The record as JSON on one line; "" when nothing ran."""
        found = self.summary()
        return json.dumps(found, separators=(",", ":")) if found else ""


def _job(result: Any) -> dict[str, Any] | None:
    """What is known of a job on a cluster, see `BeamWork.summary`; None of a pipeline that ran here."""
    if isinstance(result, JobResult):
        return result.described()
    client = getattr(getattr(result, "_runner", None), "dataflow_client", None)
    if client is None or not result.has_job:
        return None
    place, job_id = client.google_cloud_options, result.job_id()
    link = f"https://console.cloud.google.com/dataflow/jobs/{place.region}/{job_id}?project={place.project}"
    return {"name": result._job.name, "id": job_id, "seconds": None, "link": link, "stages": []}


def _seconds(result: Any, seconds: float) -> float:
    """How long a pipeline took; a job on a cluster has only begun when `run` returns."""
    if isinstance(result, JobResult):
        return math.nan if result.seconds is None else result.seconds
    return seconds


def of_text(text: str) -> dict[str, Any]:
    """The record in a property of an execution; {} when there is none."""
    return json.loads(text) if text else {}


def _add(
    result: Any,
    steps: collections.Counter[str],
    counters: collections.Counter[str],
    distributions: dict[str, list[Any]],
) -> None:
    """Adds one pipeline's metrics."""
    # Beam's own runner tells only the user's by `metrics`.
    metrics = getattr(result, "monitoring_metrics", result.metrics)().query()
    for found in metrics["counters"]:
        name = found.key.metric
        if (name.namespace, name.name) == _STEP_MSECS and found.key.step and found.result:
            steps[found.key.step] += found.result
        elif name.namespace not in _NOT_THE_USERS:
            counters[f"{name.namespace}:{name.name}"] += found.result
    for found in metrics["distributions"]:
        name = found.key.metric
        if name.namespace in _NOT_THE_USERS or not found.result.count:
            continue
        values, label = found.result, f"{name.namespace}:{name.name}"
        count, low, mean, high = distributions.get(label, (0, values.min, 0.0, values.max))
        total = count + values.count
        mean = (mean * count + values.sum) / total
        distributions[label] = [total, min(low, values.min), mean, max(high, values.max)]


def _cut(name: str) -> str:
    """The end of a step's name says most."""
    return name if len(name) <= MAX_NAME else f"…{name[1 - MAX_NAME :]}"
