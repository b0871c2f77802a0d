"""Reads of many evaluations only what a page needs, and keeps it: some slices, or some metrics."""

from __future__ import annotations

import dataclasses
import sys

from mlmd_panel.errors import NotFound, PayloadError
from mlmd_panel.evaluation.kept import Kept
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import evaluation, validation
from mlmd_panel.payloads.evaluation.eval_config import EvalConfig
from mlmd_panel.payloads.evaluation.metrics import Metric, MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.validation import Recorded
from mlmd_panel.store.records import Artifact

# Metrics, names and thresholds of all that is kept; some 40 MB at most.
MAX_KEPT = 60_000


@dataclasses.dataclass(frozen=True)
class Reading:
    """A part of an evaluation.

    Attributes:
      config: Its configuration.
      baseline: Name of the baseline model, or None.
      sole: The candidate model if it is the only one, else "".
      keys: Keys of all metrics of all slices that are numbers.
      slices: Names of all slices.
      parts: The slices and metrics that were asked for.
      recorded: TFMA's verdict; None where it wrote none.
      cut: The evaluation is larger than the panel reads.
      problem: Why there are no metrics, or empty.
    """

    config: EvalConfig = EvalConfig()
    baseline: str | None = None
    sole: str = ""
    keys: tuple[MetricKey, ...] = ()
    slices: tuple[str, ...] = ()
    parts: tuple[SliceMetrics, ...] = ()
    recorded: Recorded | None = None
    cut: bool = False
    problem: str = ""

    def own(self, key: MetricKey) -> MetricKey:
        """A key of a candidate without the name of the only one, as other evaluations call it something else."""
        return dataclasses.replace(key, model="") if key.model and key.model == self.sole else key

    def there(self, key: MetricKey) -> tuple[MetricKey, ...]:
        """What a key of `own` is called here, the more probable first."""
        if key.model or not self.sole:
            return (key,)
        return dataclasses.replace(key, model=self.sole), key


def read(
    artifact: Artifact,
    files: Files,
    slices: frozenset[str] | None = None,
    metrics: frozenset[str] | None = None,
) -> Reading:
    """A part of an evaluation; without metrics where its files are gone or cannot be read.

    Args:
      artifact: The ModelEvaluation.
      files: Where from.
      slices: Names of the slices to read; None for all.
      metrics: Names of the metrics to read, such as `auc`; None for all.
    """
    key = (files, artifact.id, artifact.updated, artifact.uri, slices, metrics)
    reading = _kept.get(key)
    if reading is None:
        try:
            reading = _read(artifact, files, slices, metrics)
        except (PayloadError, NotFound) as error:
            return Reading(problem=str(error))
        _kept.put(key, reading)
    return reading


def _read(
    artifact: Artifact, files: Files, slices: frozenset[str] | None, metrics: frozenset[str] | None
) -> Reading:
    [search] = slices if slices is not None and len(slices) == 1 else [""]
    payload = evaluation.read(artifact, files, parts=(), search=search)
    numbers = {metric.key for part in payload.slices for metric in part.metrics if metric.number is not None}
    keys = tuple(sorted(numbers, key=repr))
    same = _keys.get(keys)
    if same is None:  # the evaluations of a pipeline have the same
        _keys.put(keys, keys)
    parts = tuple(
        dataclasses.replace(
            part,
            metrics=tuple(_light(m) for m in part.metrics if metrics is None or m.key.name in metrics),
        )
        for part in payload.slices
        if slices is None or part.slice.name in slices
    )
    try:
        recorded = validation.recorded(files, artifact.uri)
    except PayloadError:
        recorded = None
    return Reading(
        config=payload.config,
        baseline=payload.baseline,
        sole=payload.sole,
        keys=same or keys,
        slices=tuple(sys.intern(part.slice.name) for part in payload.slices),
        parts=parts,
        recorded=recorded,
        cut=payload.cut,
        problem=next(iter(payload.problems), ""),
    )


def _light(metric: Metric) -> Metric:
    """Structures, which may be large, are of no use to what compares numbers."""
    return metric if metric.number is not None else dataclasses.replace(metric, value=None)


def _cost(reading: Reading) -> int:
    metrics = 1 + sum(1 + len(part.metrics) for part in reading.parts)
    return metrics + len(reading.slices) // 8 + len(reading.config.thresholds)


_kept: Kept[Reading] = Kept(MAX_KEPT, _cost)
_keys: Kept[tuple[MetricKey, ...]] = Kept(1000)
