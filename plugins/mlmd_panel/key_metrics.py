"""A few numbers of each run's evaluation, for lists and the run page."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Sequence

from mlmd_panel.errors import NotFound, PayloadError
from mlmd_panel.evaluation_table import names_in
from mlmd_panel.models import Artifact
from mlmd_panel.payloads import evaluation
from mlmd_panel.summaries import RunSummary
from mlmd_panel.visit import Visit

MAX_SHOWN = 3
MAX_KEPT = 2000
# Asked for by nobody, these say most about a model; the first that are there are shown.
_USUAL = (
    "auc",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "f1_score",
    "mean_squared_error",
    "loss",
)


@dataclasses.dataclass(frozen=True)
class Overall:
    """Metrics of the candidate on all examples, and which of them have thresholds."""

    metrics: dict[str, float]
    with_thresholds: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class MetricTable:
    """Metrics of a page of runs.

    Attributes:
      names: Those shown.
      available: All that some run has.
      values: By the evaluation's id, then by name.
    """

    names: tuple[str, ...]
    available: tuple[str, ...]
    values: dict[int, dict[str, float]]

    def of(self, row: RunSummary) -> dict[str, float]:
        """Of a run, or of one of its models."""
        return self.values.get(row.evaluation.id, {}) if row.evaluation else {}


class _Kept:
    """The numbers of evaluations read last: reading 25 files for each list would make it slow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple, Overall] = OrderedDict()

    def get(self, key: tuple) -> Overall | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple, value: Overall) -> None:
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)


_kept = _Kept()


def of_runs(visit: Visit, rows: Sequence[RunSummary], asked: str | None) -> MetricTable:
    """The chosen metrics of runs; without a choice those with thresholds, else the usual ones."""
    found: dict[int, Overall] = {}
    for row in rows:
        if row.evaluation is not None:
            overall = of_evaluation(visit, row.evaluation)
            if overall:
                found[row.evaluation.id] = overall
    available = tuple(sorted({name for overall in found.values() for name in overall.metrics}))
    names = names_in(asked or "")[:10]
    if not names:
        names = default_names(list(found.values()))
    values = {
        id_: {name: overall.metrics[name] for name in names if name in overall.metrics}
        for id_, overall in found.items()
    }
    return MetricTable(names, available, values)


def of_evaluation(visit: Visit, artifact: Artifact) -> Overall | None:
    """Overall metrics of an evaluation; None when its files are gone or cannot be read."""
    key = (visit.panel.files, artifact.id, artifact.updated, artifact.uri)
    overall = _kept.get(key)
    if overall is None:
        try:
            payload = evaluation.read(artifact, visit.panel.files, parts=())
        except (PayloadError, NotFound):
            return None
        thresholds = {threshold.key.label for threshold in payload.config.thresholds if not threshold.change}
        metrics = payload.overall()
        overall = Overall(metrics, tuple(sorted(thresholds & set(metrics))))
        _kept.put(key, overall)
    return overall


def default_names(overalls: Sequence[Overall]) -> tuple[str, ...]:
    """Names of the metrics to show first: up to three."""
    thresholds = sorted({name for overall in overalls for name in overall.with_thresholds})
    if thresholds:
        return tuple(thresholds[:MAX_SHOWN])
    present = {name for overall in overalls for name in overall.metrics}
    return tuple(name for name in _USUAL if name in present)[:MAX_SHOWN]
