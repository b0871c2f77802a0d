"""Evaluations made in memory, with the runs and artifacts around them."""

from __future__ import annotations

from typing import Any

from mlmd_panel.evaluation.evaluated import Evaluated
from mlmd_panel.payloads.evaluation.eval_config import EvalConfig, EvaluatedModel, Threshold
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.metrics import Interval, Metric, MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.payloads.evaluation.validation import Check, ValidationPayload
from mlmd_panel.store.records import Artifact, Property, Run
from mlmd_panel.store.run_summaries import RunSummary

OVERALL = Slice(())
DE = Slice((("language", "de"),))
FR = Slice((("language", "fr"),))
CANDIDATE, BASELINE = "candidate", "baseline"
MODELS = (
    EvaluatedModel(CANDIDATE, False, "", "label", "", "", ""),
    EvaluatedModel(BASELINE, True, "", "label", "", "", ""),
)


def interval(value: float, error: float, degrees: int = 19) -> Interval:
    """As TFMA writes a jackknife interval."""
    reach = 2.093 * error
    return Interval(value - reach, value + reach, error, degrees)


def metric(key: MetricKey, value: Any, error: float | None = None, kind: str = "number") -> Metric:
    """A metric, with an interval if it has a standard error."""
    return Metric(key, kind, value, None if error is None else interval(value, error))


def part(
    slice_: Slice = OVERALL,
    examples: float | None = 400.0,
    error: float | None = 0.01,
    baseline: dict[str, float] | None = None,
    changes: dict[str, tuple[float, float | None]] | None = None,
    **numbers: Any,
) -> SliceMetrics:
    """A slice of an evaluation.

    Args:
      slice_: The slice.
      examples: Number of examples.
      error: Standard error of each metric; None for no intervals.
      baseline: Metrics of the baseline model.
      changes: Differences of the two models, with their standard errors.
      **numbers: Metrics of the candidate.
    """
    metrics = [metric(MetricKey(name, CANDIDATE), value, error) for name, value in numbers.items()]
    metrics += [metric(MetricKey(name, BASELINE), value, error) for name, value in (baseline or {}).items()]
    metrics += [
        metric(MetricKey(name, CANDIDATE, is_diff=True), value, own)
        for name, (value, own) in (changes or {}).items()
    ]
    return SliceMetrics(slice_, tuple(metrics), examples, None)


def payload(*parts: SliceMetrics, checks: tuple[Check, ...] = (), **config: Any) -> EvaluationPayload:
    """An evaluation of a candidate and a baseline model."""
    made = EvalConfig(**{"models": MODELS, "version": "0.47.1", "intervals": "JACKKNIFE", **config})
    verdict = ValidationPayload(True, False, False, (), (), (), (), checks) if checks else None
    return EvaluationPayload(made, parts, validation=verdict)


def artifact(id_: int, type_: str, **properties: Any) -> Artifact:
    """An artifact with properties."""
    found = tuple(Property(name, value, "string", False) for name, value in properties.items())
    return Artifact(id_, type_, "", f"/{type_}/{id_}", "LIVE", 0, 0, found)


def run(id_: int, evaluation: Artifact | None = None, pipeline: str = "taxi", name: str = "") -> RunSummary:
    """A run in short."""
    made = Run(id_, f"{pipeline}:run {id_}", pipeline, pipeline, f"run {id_}", 0)
    return RunSummary(made, "COMPLETE", 0, 1, 1, (), True, True, evaluation, (), name)


def evaluated(
    number: int,
    *parts: SliceMetrics,
    model: int | None = None,
    baseline_model: int | None = None,
    examples: int | None = None,
    fingerprint: str = "",
    read: EvaluationPayload | None = None,
    pipeline: str = "taxi",
) -> Evaluated:
    """An evaluation of a run, with what it judged.

    Args:
      number: Of the run and, times ten, of the evaluation; the model is 100 times it unless it is given.
      *parts: Its slices.
      model: Id of the candidate model.
      baseline_model: Id of the baseline model.
      examples: Id of the Examples; 1,000 times the number unless it is given.
      fingerprint: Of the Examples.
      read: What the evaluation says, in place of parts.
      pipeline: Of the run.
    """
    found = artifact(10 * number, "ModelEvaluation")
    return Evaluated(
        run(number, found, pipeline),
        found,
        read or payload(*parts),
        artifact(model or 100 * number, "Model"),
        artifact(baseline_model, "Model") if baseline_model else None,
        (
            artifact(
                examples or 1000 * number,
                "Examples",
                input_fingerprint=fingerprint or f"of {number}",
                span=number,
            ),
        ),
        "",
    )


def threshold(name: str, **settings: Any) -> Threshold:
    """A threshold on a metric of the candidate."""
    change = "direction" in settings
    return Threshold(MetricKey(name, CANDIDATE, is_diff=change), None, change, **settings)


def check(name: str, bound: str, limit: float, direction: str = "", slice_: Slice = OVERALL) -> Check:
    """A bound as an Evaluator applied it."""
    key = MetricKey(name, CANDIDATE, is_diff=bool(direction))
    return Check(slice_, key, bound, limit, direction, 0.0, None, 0.0, True, True)
