"""Evaluations and runs made in code, for tests of what judges them."""

from __future__ import annotations

from typing import Any

from mlmd_panel.payloads.evaluation.eval_config import EvalConfig, EvaluatedModel, Threshold
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.metrics import Interval, Metric, MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.payloads.evaluation.thresholds import groups, missing_slices
from mlmd_panel.payloads.evaluation.validation import ValidationPayload
from mlmd_panel.store.records import Artifact, Run
from mlmd_panel.store.run_summaries import RunSummary

OVERALL = Slice(())
CASH = Slice((("payment", "Cash"),))
MODELS = (
    EvaluatedModel("candidate", False, "", "", "", "", ""),
    EvaluatedModel("baseline", True, "", "", "", "", ""),
)
AUC = MetricKey("auc", "candidate", weighted=False)
AUC_DIFF = MetricKey("auc", "candidate", weighted=False, is_diff=True)


def interval(lower: float, upper: float) -> Interval:
    """An interval of TFMA's jackknife with 20 buckets."""
    return Interval(lower, upper, (upper - lower) / 2 / 2.093, 19)


def part(
    slice_: Slice = OVERALL,
    value: float = 0.92,
    ends: tuple[float, float] | None = (0.9, 0.94),
    change: float | None = 0.001,
    change_ends: tuple[float, float] | None = (-0.002, 0.004),
    examples: float | None = 400.0,
) -> SliceMetrics:
    """AUC of candidate and baseline, and the paired change."""
    metrics = [Metric(AUC, "number", value, interval(*ends) if ends else None)]
    if change is not None:
        base = MetricKey("auc", "baseline", weighted=False)
        metrics.append(Metric(base, "number", value - change))
        ends_of_change = interval(*change_ends) if change_ends else None
        metrics.append(Metric(AUC_DIFF, "number", change, ends_of_change))
    return SliceMetrics(slice_, tuple(metrics), examples, None)


def at_least(bound: float, spec: Any = None) -> Threshold:
    """A bound on the value."""
    return Threshold(AUC, spec, False, lower=bound)


def may_fall(bound: float, spec: Any = None, relative: float | None = None) -> Threshold:
    """A bound on the change."""
    return Threshold(AUC_DIFF, spec, True, absolute=bound, relative=relative, direction=2)


def evaluation(*parts: SliceMetrics, thresholds: tuple[Threshold, ...], **said: Any) -> EvaluationPayload:
    """An evaluation with the verdict that TFMA's rule gives it."""
    config = EvalConfig(models=MODELS, thresholds=thresholds)
    checks = [check for _, group in groups(config, parts) for check in group]
    missing = missing_slices(config, parts)
    ok = bool(thresholds) and not missing and all(check.passed is not False for check in checks)
    fields: dict[str, Any] = {
        "ok": ok,
        "rubber_stamp": False,
        "missing_thresholds": not thresholds,
        "missing_slices": tuple(spec.name for spec in missing),
        "missing_cross_slices": (),
        "missing_metrics": (),
        "details": (),
        "checks": tuple(checks),
        "checks_in_all": len(checks),
    }
    return EvaluationPayload(config, parts, validation=ValidationPayload(**(fields | said)))


def run(id_: int = 1, uri: str = "", blessed: bool | None = None, **fields: Any) -> RunSummary:
    """A run, with an evaluation where a URI is given."""
    made = Run(id_, f"taxi:run {id_}", "taxi", "taxi", f"run {id_}", id_ * 1000)
    artifact = Artifact(id_, "ModelEvaluation", "", uri, "LIVE", 0, 0) if uri else None
    return RunSummary(
        made, "COMPLETE", id_ * 1000, id_ * 1000 + 5, 5, (id_,), blessed, None, artifact, (), **fields
    )
