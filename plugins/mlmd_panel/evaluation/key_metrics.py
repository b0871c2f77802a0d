"""Selects a few metrics of each run's evaluation for lists and the run page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from mlmd_panel.errors import NotFound, PayloadError
from mlmd_panel.evaluation.kept import Kept
from mlmd_panel.evaluation.table import ALL, FEW_COLUMNS, chosen_names
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import evaluation
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.metric_names import metric_names
from mlmd_panel.payloads.evaluation.metrics import MetricKey
from mlmd_panel.store.records import Artifact
from mlmd_panel.store.run_summaries import RunSummary

MAX_SHOWN = 3
MAX_COLUMNS = 50
MAX_KEPT = 2000
# Shown by default, in this order, if no metric has thresholds.
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
    """Metrics of the candidate models on all examples.

    Attributes:
      metrics: Numbers by key; the keys do not name the model if there is only one.
      with_thresholds: Keys of those that have a threshold.
      problem: A sentence if there are none, or "".
    """

    metrics: dict[MetricKey, float]
    with_thresholds: frozenset[MetricKey]
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class MetricTable:
    """Metrics of a page of runs.

    Attributes:
      names: Those shown.
      available: All that any of the runs has.
      unknown: Requested names that none of these runs has.
      left_out: Requested names beyond MAX_COLUMNS.
      values: By the evaluation's id, then by name.
      problems: Why an evaluation has no such numbers, by its id.
    """

    names: tuple[str, ...]
    available: tuple[str, ...]
    unknown: tuple[str, ...]
    left_out: tuple[str, ...]
    values: dict[int, dict[str, float]]
    problems: dict[int, str]

    def of(self, row: RunSummary) -> dict[str, float]:
        """Metrics of a run or branch by name."""
        return self.values.get(row.evaluation.id, {}) if row.evaluation else {}

    def problem_of(self, row: RunSummary) -> str | None:
        """Why the evaluation of a run or branch has no metrics; None if it has."""
        return self.problems.get(row.evaluation.id) if row.evaluation else None


# Reading 25 files for each list would be slow.
_kept: Kept[Overall] = Kept(MAX_KEPT)


def of_runs(files: Files, rows: Sequence[RunSummary], asked: Sequence[str]) -> MetricTable:
    """The chosen metrics of runs; without a choice those with thresholds, else the usual ones."""
    found = {
        row.evaluation.id: of_evaluation(files, row.evaluation) for row in rows if row.evaluation is not None
    }
    of_key = metric_names(sorted({key for one in found.values() for key in one.metrics}, key=repr))
    available = tuple(sorted(of_key.values()))
    names = chosen_names(asked)
    unknown = tuple(name for name in names if name not in available and name != ALL)
    if ALL in names:
        names = tuple(dict.fromkeys([*available, *unknown]))
    elif not names:
        names = tuple(of_key[key] for key in default_keys(list(found.values())))
    names, left_out = names[:MAX_COLUMNS], names[MAX_COLUMNS:]
    values = {
        id_: {of_key[key]: number for key, number in one.metrics.items() if of_key[key] in names}
        for id_, one in found.items()
    }
    problems = {id_: one.problem for id_, one in found.items() if one.problem}
    return MetricTable(names, available, unknown, left_out, values, problems)


def of_evaluation(files: Files, artifact: Artifact) -> Overall:
    """Overall metrics of an evaluation; without any when its files are gone or cannot be read."""
    key = (files, artifact.id, artifact.updated, artifact.uri)
    overall = _kept.get(key)
    if overall is None:
        try:
            payload = evaluation.read(artifact, files, parts=())
        except (PayloadError, NotFound) as error:
            return Overall({}, frozenset(), str(error))
        overall = _overall(payload)
        _kept.put(key, overall)
    return overall


def _overall(payload: EvaluationPayload) -> Overall:
    if payload.overall_slice is None:
        return Overall({}, frozenset(), "The evaluation has no slice of all examples.")
    metrics = payload.overall()
    bound = {one.key for one in payload.config.thresholds if not one.change}
    plain = {dataclasses.replace(key, model="") if key.model == payload.sole else key for key in bound}
    return Overall(metrics, frozenset(plain & set(metrics)), payload.overall_slice.error)


def default_keys(overalls: Sequence[Overall]) -> tuple[MetricKey, ...]:
    """Keys of the metrics to show first: three with thresholds, else three usual ones, each of all models.

    And with all weightings, so that none stands for the other.
    """
    keys = {key for one in overalls for key in one.metrics}
    bound = {_measure(key) for one in overalls for key in one.with_thresholds}
    measures = bound or {m for m in map(_measure, keys) if m.name in _USUAL}
    if not bound:  # those of an output or a class only where there are no others
        measures = {m for m in measures if not m.output and not m.sub_key} or measures

    def place(key: MetricKey) -> tuple:
        return 0 if bound else _USUAL.index(key.name), key.label

    found: list[MetricKey] = []
    for measure in sorted(measures, key=place)[:MAX_SHOWN]:
        of_models = sorted(
            (key for key in keys if _measure(key) == measure), key=lambda key: (key.model, key.label)
        )
        if found and len(found) + len(of_models) > FEW_COLUMNS:
            break
        found += of_models
    return tuple(found[:MAX_COLUMNS])


def default_names(payloads: Sequence[EvaluationPayload], of_key: Mapping[MetricKey, str]) -> list[str]:
    """Names of the metrics to compare first, the most telling first.

    Args:
      payloads: Evaluations that are compared.
      of_key: Names of their metrics.
    """
    overalls = [_overall(payload) for payload in payloads]
    return [of_key[key] for key in default_keys(overalls) if key in of_key]


def _measure(key: MetricKey) -> MetricKey:
    return dataclasses.replace(key, model="", weighted=None)
