"""Judges an evaluation by its own thresholds, and by the confidence intervals beside its numbers.

TFMA's validator compares point estimates: a model that is as good as its baseline fails a change threshold whenever
the noise of one evaluation exceeds the allowed change. Its intervals are in the evaluation all the same, those of
changes from the baseline as well: they are paired, from the same examples under both models.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.utils import model_util
from tensorflow_model_analysis.writers import eval_config_writer

from include.tfx_airflow.contract.evidence import FAILED, INCONCLUSIVE, PASSED
from include.tfx_airflow.tfx_side import evaluations

VALUE_THRESHOLDS = ("point", "interval")
# Of an interval whose standard error is 0 but for rounding.
_NO_WIDTH = 1e-12
# Whether values have to be at least that bound.
_VALUE_BOUNDS = {"lower": True, "upper": False}


@dataclasses.dataclass(frozen=True)
class Rules:
    """How thresholds are applied.

    Attributes:
        value_thresholds: "point" compares the value itself with its bounds, as TFMA does; "interval" asks for
            evidence, as for changes.
        min_examples: A slice of fewer examples has no evidence, whatever its interval says; 0: any number will do.
    """

    value_thresholds: str = "point"
    min_examples: int = 30

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ValueError: One is not allowed.
        """
        if self.value_thresholds not in VALUE_THRESHOLDS:
            raise ValueError(
                f"value_thresholds = {self.value_thresholds!r} is not one of {VALUE_THRESHOLDS}."
            )
        if self.min_examples < 0:
            raise ValueError(f"min_examples = {self.min_examples} is negative; 0 turns the rule off.")


@dataclasses.dataclass(frozen=True)
class Check:
    """One bound of one threshold in one slice.

    Attributes:
        metric: Name with what distinguishes it, such as `auc (weighted)`.
        slice: Such as `payment_type=Cash`; empty for all examples.
        bound: `lower` or `upper` of a value, `absolute` or `relative` of a change; empty if no bound was reached.
        limit: The bound.
        value: What is compared with it: the metric, its change, or its change over the baseline's value.
        lower: Lower end of the value's confidence interval.
        upper: Its upper end.
        examples: In the slice; of a comparison of two slices, in the smaller one.
        outcome: `passed`, `failed` or `inconclusive`.
        why: Why it did not pass; empty if it did.
    """

    metric: str
    slice: str
    bound: str = ""
    limit: float | None = None
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    examples: int | None = None
    outcome: str = FAILED
    why: str = ""

    def as_text(self) -> str:
        """Such as `auc changed by -0.0053 [-0.0208, +0.0103]; allowed: absolute -0.004 (the interval spans it)`."""
        name = f"{self.metric}{f' [{self.slice}]' if self.slice else ''}"
        why = f" ({self.why})" if self.why else ""
        if self.value is None or self.limit is None:
            return f"{name}: {self.why}"
        sign = "" if self.bound in _VALUE_BOUNDS else "+"
        interval = (
            f" [{self.lower:{sign}.4g}, {self.upper:{sign}.4g}]"
            if self.lower is not None and self.upper is not None
            else ""
        )
        number = f"{self.value:{sign}.4g}{interval}"
        if self.bound in _VALUE_BOUNDS:
            return f"{name} {number}; {self.bound} bound {self.limit:.4g}{why}"
        of = " of the baseline's" if self.bound == "relative" else ""
        return f"{name} changed by {number}{of}; allowed: {self.bound} {self.limit:.4g}{why}"


@dataclasses.dataclass(frozen=True)
class Evidence:
    """An evaluation, judged.

    Attributes:
        checks: All bounds in all slices that they are meant for.
        compared: Whether the evaluation has a baseline model. Without one, the Evaluator leaves out change
            thresholds, so they are not among the checks.
        tfma: TFMA's own verdict; None if the evaluation has none.
    """

    checks: tuple[Check, ...]
    compared: bool
    tfma: bool | None

    def count(self, outcome: str) -> int:
        """Number of checks with an outcome."""
        return sum(check.outcome == outcome for check in self.checks)

    @property
    def verdict(self) -> str:
        """The worst outcome; `failed` if nothing was checked, so that a forgotten threshold blesses no model."""
        found = {check.outcome for check in self.checks}
        return next((outcome for outcome in (FAILED, INCONCLUSIVE, PASSED) if outcome in found), FAILED)

    @property
    def reason(self) -> str:
        """The verdict in one sentence."""
        alone = "" if self.compared else "; without a baseline model, no change was judged"
        if not self.checks:
            return f"The evaluation has no thresholds, so nothing was checked{alone}."
        verdict, number = self.verdict, self.count(self.verdict)
        checks = f"{len(self.checks)} check{'s' if len(self.checks) > 1 else ''}"
        if verdict == PASSED:
            return f"{'All' if number > 1 else 'The'} {checks} passed{alone}."
        first = next(check for check in self.checks if check.outcome == verdict)
        said = "failed" if verdict == FAILED else "is inconclusive" if number == 1 else "are inconclusive"
        which = "" if number == 1 else ", the first"
        return f"{number} of {checks} {said}{which}: {first.as_text()}{alone}."


@dataclasses.dataclass(frozen=True)
class _Estimate:
    """A number with its confidence interval, if it has one."""

    value: float | None
    lower: float | None = None
    upper: float | None = None

    def over(self, base: float) -> _Estimate:
        """The number divided by another, which is taken as known exactly."""
        if self.value is None:
            return self
        ends = [end / base for end in (self.lower, self.upper) if end is not None]
        lower, upper = sorted(ends) if len(ends) == 2 else (None, None)
        return _Estimate(self.value / base, lower, upper)


@dataclasses.dataclass(frozen=True)
class _Slice:
    """The numbers of a slice, or why TFMA wrote none."""

    key: Any
    name: str
    metrics: dict[metric_types.MetricKey, _Estimate]
    left_out: str


@dataclasses.dataclass(frozen=True)
class _Bound:
    """A bound of a threshold: values have to be at least, or at most, the limit."""

    kind: str
    limit: float
    at_least: bool | None

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


def judge(uri: str, rules: Rules) -> Evidence:
    """Applies the thresholds of an evaluation's own EvalConfig.

    Which thresholds apply to which slices is as in TFMA's validator
    (`tensorflow_model_analysis/evaluators/metrics_validator.py`), and so is that a missing slice or metric
    fails. Otherwise than there, a slice that `min_slice_size` hides is inconclusive, for the thresholds that are
    meant for it, and numbers that are not finite fail in both directions.

    Args:
        uri: Of a ModelEvaluation artifact.
        rules: How to apply them.

    Returns:
        The outcome of each bound in each slice.

    Raises:
        ValueError: There is no evaluation by TFMA.
    """
    config, *_ = eval_config_writer.load_eval_run(uri)
    if config is None:
        raise ValueError(
            f"{uri!r} has no eval_config.json that TFMA can read. "
            "Give the gate the output `evaluation` of an Evaluator, with its files."
        )
    baseline = model_util.get_baseline_model_spec(config)
    slices = list(_slices(uri))
    checks: dict[Any, Check] = {}
    thresholds = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    for key, pairs in thresholds.items():
        if baseline and key.model_name == baseline.name:
            continue  # as TFMA: a baseline is not judged
        for spec, threshold in pairs:
            for place, check in _checks(key, spec, threshold, slices, baseline and baseline.name, rules):
                checks.setdefault((key, place, check.bound, check.limit), check)
    return Evidence(tuple(checks.values()), baseline is not None, _tfma(uri))


def _tfma(uri: str) -> bool | None:
    try:
        return bool(tfma.load_validation_result(uri).validation_ok)
    except AssertionError:  # no file, or several
        return None


def _slices(uri: str) -> Iterator[_Slice]:
    for record in tfma.load_metrics(uri):
        if record.HasField("cross_slice_key"):
            key = slicer_lib.deserialize_cross_slice_key(record.cross_slice_key)
            parts = record.cross_slice_key.comparison_slice_key, record.cross_slice_key.baseline_slice_key
            name = " against ".join(evaluations.slice_name(part) or "all examples" for part in parts)
        else:
            key = slicer_lib.deserialize_slice_key(record.slice_key)
            name = evaluations.slice_name(record.slice_key)
        metrics = {
            metric_types.MetricKey.from_proto(p.key): _estimate(p) for p in record.metric_keys_and_values
        }
        left_out = "; ".join(value.debug_message for value in record.metrics.values() if value.debug_message)
        yield _Slice(key, name, metrics, left_out)


def _estimate(pair: Any) -> _Estimate:
    interval = pair.confidence_interval
    return _Estimate(_number(pair.value), _number(interval.lower_bound), _number(interval.upper_bound))


def _number(value: Any) -> float | None:
    """A MetricValue as a number; None for all that is not a single one."""
    kind = value.WhichOneof("type")
    if kind == "double_value":
        return value.double_value.value
    if kind == "array_value":  # as of Precision at one threshold
        array = value.array_value
        numbers = [*array.float64_values, *array.float32_values, *array.int64_values, *array.int32_values]
        return float(numbers[0]) if len(numbers) == 1 else None
    return None


def _checks(
    key: metric_types.MetricKey,
    spec: Any,
    threshold: Any,
    slices: list[_Slice],
    baseline: str | None,
    rules: Rules,
) -> Iterator[tuple[Any, Check]]:
    """The checks of one threshold, each with the key of its slice."""
    metric = evaluations.metric_name(key.to_proto())
    meant = [slice_ for slice_ in slices if _is_meant(spec, slice_.key)]
    if not meant:
        wanted = " ".join(str(spec).split()) if spec is not None else ""
        yield wanted, Check(metric, wanted, why="the evaluation has no such slice")
    for slice_ in meant:
        examples = _examples(slice_, slices)
        blank = Check(metric, slice_.name, examples=examples)
        estimate = slice_.metrics.get(key)
        if slice_.left_out:
            yield slice_.key, dataclasses.replace(blank, outcome=INCONCLUSIVE, why=slice_.left_out)
        elif estimate is None:
            yield slice_.key, dataclasses.replace(blank, why="the evaluation has no such metric")
        elif estimate.value is None:
            yield slice_.key, dataclasses.replace(blank, why="the metric is not a single number")
        else:
            for bound in _bounds(threshold):
                base = slice_.metrics.get(key.make_baseline_key(baseline)) if baseline else None
                yield slice_.key, _check(blank, bound, estimate, base, rules)


def _is_meant(spec: Any, key: Any) -> bool:
    cross = slicer_lib.is_cross_slice_key(key)
    if isinstance(spec, config_pb2.CrossSlicingSpec):
        return cross and slicer_lib.is_cross_slice_applicable(cross_slice_key=key, cross_slicing_spec=spec)
    return not cross and (spec is None or slicer_lib.SingleSliceSpec(spec=spec).is_slice_applicable(key))


def _examples(slice_: _Slice, slices: list[_Slice]) -> int | None:
    """Number of examples in a slice; None if the evaluation does not say, or only with weights."""
    if slicer_lib.is_cross_slice_key(slice_.key):
        sides = [_examples(side, slices) for side in slices if side.key in slice_.key]
        known = [number for number in sides if number is not None]
        return min(known) if len(known) == len(slice_.key) else None
    counts = [
        estimate.value
        for key, estimate in slice_.metrics.items()
        if key.name == "example_count" and not key.is_diff and not key.example_weighted
    ]
    return min((int(count) for count in counts if count is not None), default=None)


def _bounds(threshold: Any) -> Iterator[_Bound]:
    if isinstance(threshold, config_pb2.GenericValueThreshold):
        for kind, at_least in _VALUE_BOUNDS.items():
            if threshold.HasField(f"{kind}_bound"):
                yield _Bound(kind, getattr(threshold, f"{kind}_bound").value, at_least)
        return
    directions = {
        config_pb2.MetricDirection.HIGHER_IS_BETTER: True,
        config_pb2.MetricDirection.LOWER_IS_BETTER: False,
    }
    for kind in ("absolute", "relative"):
        if threshold.HasField(kind):
            yield _Bound(kind, getattr(threshold, kind).value, directions.get(threshold.direction))


def _check(blank: Check, bound: _Bound, estimate: _Estimate, base: _Estimate | None, rules: Rules) -> Check:
    found = dataclasses.replace(blank, bound=bound.kind, limit=bound.limit)
    if bound.at_least is None:
        return dataclasses.replace(found, why="the change threshold has no direction")
    if bound.kind == "relative":
        if base is None or base.value is None:
            return dataclasses.replace(found, why="the baseline model has no such metric")
        if base.value == 0:
            return dataclasses.replace(found, why="a change relative to 0 is not defined")
        estimate = estimate.over(base.value)
    outcome, why = _outcome(bound, estimate, blank.examples, rules)
    return dataclasses.replace(found, **dataclasses.asdict(estimate), outcome=outcome, why=why)


def _outcome(bound: _Bound, estimate: _Estimate, examples: int | None, rules: Rules) -> tuple[str, str]:
    assert estimate.value is not None
    if math.isnan(bound.limit):
        return FAILED, "the bound is not a number"
    if not math.isfinite(estimate.value):
        return FAILED, "the value is not a finite number"
    if bound.kind in _VALUE_BOUNDS and rules.value_thresholds == "point":
        return (PASSED, "") if bound.holds(estimate.value) else (FAILED, "the value is beyond its bound")
    missing = _missing_evidence(estimate, examples, rules)
    if missing:
        return INCONCLUSIVE, missing
    ends = [bound.holds(end) for end in (estimate.lower, estimate.upper) if end is not None]
    if all(ends):
        return PASSED, ""
    if any(ends):
        return INCONCLUSIVE, "the interval spans the bound"
    return FAILED, "the whole interval is beyond the bound"


def _missing_evidence(estimate: _Estimate, examples: int | None, rules: Rules) -> str:
    """Why an interval proves nothing; empty if it does."""
    if estimate.lower is None or estimate.upper is None:
        return "no confidence interval; set compute_confidence_intervals in the EvalConfig's options"
    if not math.isfinite(estimate.upper - estimate.lower):
        return "the confidence interval is not finite"
    if estimate.upper - estimate.lower <= _NO_WIDTH:
        return "the standard error is 0, so it is unknown"
    if rules.min_examples and examples is None:
        return "the number of examples is unknown; add ExampleCount, unweighted, to the EvalConfig's metrics"
    if examples is not None and examples < rules.min_examples:
        return f"{examples} examples, fewer than {rules.min_examples}"
    return ""
