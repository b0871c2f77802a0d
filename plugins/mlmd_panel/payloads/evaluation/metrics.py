"""Reads the metric keys and values of an evaluation."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

from mlmd_panel.payloads.evaluation.slices import MAX_TEXT, text

# Of a structured value, such as the confusion matrices of a metric or an array.
MAX_ELEMENTS = 2000


@dataclasses.dataclass(frozen=True)
class MetricKey:
    """What a value measures.

    Attributes:
      name: Metric, such as `auc`.
      model: Model in the configuration; empty when there is one model, or the metric depends on none.
      output: Output of a model with several.
      class_id: Class of a multi-class model, or None.
      k: Rank of the prediction that is judged, 1 the best, or None.
      top_k: How many of the best predictions are judged, or None.
      aggregation: "", micro, macro or weighted_macro.
      weighted: By example weights; None where TFMA did not say.
      is_diff: The candidate's minus the baseline's.
    """

    name: str
    model: str = ""
    output: str = ""
    class_id: int | None = None
    k: int | None = None
    top_k: int | None = None
    aggregation: str = ""
    weighted: bool | None = None
    is_diff: bool = False

    def __hash__(self) -> int:
        """Computed once: a thousand slices look up the same few keys."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        fields = self.name, self.model, self.output, self.class_id, self.k, self.top_k, self.aggregation
        return hash((*fields, self.weighted, self.is_diff))

    @property
    def sub_key(self) -> str:
        """As TFMA writes it: `classId:1`, `topK:3`, `k:2` or empty."""
        if self.k is not None:
            return f"k:{self.k}"
        parts = [] if self.class_id is None else [f"classId:{self.class_id}"]
        return " ".join(parts if self.top_k is None else [*parts, f"topK:{self.top_k}"])

    @property
    def metric(self) -> str:
        """The name as TFMA shows it, with aggregation or `_diff`."""
        if self.is_diff:
            return f"{self.name}_diff"
        return f"{self.aggregation}_{self.name}" if self.aggregation else self.name

    @property
    def label(self) -> str:
        """For people: metric, then in brackets output and sub key, then the weighting; without the model."""
        return self.label_of("")

    def label_of(self, model: str) -> str:
        """The label with a model in it, such as `auc (click) of dnn, weighted`."""
        inside = ", ".join(part for part in (self.output, self.sub_key) if part)
        named = f"{self.aggregation}_{self.name}" if self.aggregation else self.name
        named = f"{named}_diff" if self.is_diff else named
        named = f"{named} ({inside})" if inside else named
        if model:
            named = f"{named} of {model}"
        if self.name == "weighted_example_count":  # says it itself, and TFMA writes one without weights too
            return f"{named}, unweighted" if self.weighted is False else named
        return f"{named}, weighted" if self.weighted else named


@dataclasses.dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval at 95 %.

    Attributes:
      lower: Bound; a float, or nested lists of an array.
      upper: Bound.
      standard_error: Standard error of the t distribution, or None.
      degrees_of_freedom: Degrees of freedom of the t distribution, or None.
    """

    lower: Any
    upper: Any
    standard_error: Any = None
    degrees_of_freedom: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """A value.

    Attributes:
      key: What it measures.
      kind: number, text, array, cutoffs, confusion_matrices, multi_class_confusion_matrices, unknown, message
        (an error that TFMA wrote instead of a value) or none.
      value: float, text, nested lists or rows of dicts.
      interval: None when TFMA computed none.
      cut: The value has more elements than shown.
    """

    key: MetricKey
    kind: str
    value: Any
    interval: Interval | None = None
    cut: bool = False

    @property
    def number(self) -> float | None:
        """The value as one number, or None."""
        value = self.value
        while self.kind == "array" and isinstance(value, list) and len(value) == 1:
            value = value[0]
        return value if isinstance(value, (int, float)) else None


def key_of(message: Any) -> MetricKey:
    """Key of a `MetricKey`, `PlotKey` or `AttributionsKey` message."""
    sub, fields = message.sub_key, message.DESCRIPTOR.fields_by_name
    aggregation = message.aggregation_type.WhichOneof("type") if "aggregation_type" in fields else None
    return MetricKey(
        name=message.name[:MAX_TEXT],
        model=message.model_name[:MAX_TEXT],
        output=message.output_name[:MAX_TEXT],
        class_id=sub.class_id.value if sub.HasField("class_id") else None,
        k=sub.k.value if sub.HasField("k") else None,
        top_k=sub.top_k.value if sub.HasField("top_k") else None,
        aggregation=(aggregation or "").removesuffix("_average"),
        weighted=message.example_weighted.value if message.HasField("example_weighted") else None,
        is_diff=message.is_diff if "is_diff" in fields else False,
    )


def metric_of(key: MetricKey, value: Any, interval: Any = None) -> Metric:
    """Value of a `MetricValue` message and the `ConfidenceInterval` message beside it, if any."""
    found = _interval(interval) if interval is not None else None
    which = value.WhichOneof("type")
    if which == "double_value":
        return Metric(key, "number", value.double_value.value, found)
    if which is None:
        return Metric(key, "none", None, found)
    field = getattr(value, which)
    if which == "bounded_value":
        return Metric(key, "number", field.value.value, found or _bounds(field))
    if which == "t_distribution_value":
        return Metric(key, "number", field.unsampled_value.value, found or _t_distribution(field))
    kind, plain, cut = _plain(which, field)
    return Metric(key, kind, plain, found, cut)


def confusion_row(matrix: Any) -> dict[str, float]:
    """Counts and ratios of a confusion matrix at one threshold."""
    return {
        "threshold": matrix.threshold,
        "true_positives": matrix.true_positives,
        "false_positives": matrix.false_positives,
        "true_negatives": matrix.true_negatives,
        "false_negatives": matrix.false_negatives,
        "precision": matrix.precision,
        "recall": matrix.recall,
    }


def _plain(which: str, field: Any) -> tuple[str, Any, bool]:
    """Kind, value and whether it was cut."""
    if which == "double_value":
        return "number", field.value, False
    if which == "bytes_value":
        return "text", text(field[:MAX_ELEMENTS]), len(field) > MAX_ELEMENTS
    if which == "debug_message":
        return "message", field[:MAX_ELEMENTS], len(field) > MAX_ELEMENTS
    if which == "unknown_type":
        return "unknown", text(field.value[:MAX_ELEMENTS]), len(field.value) > MAX_ELEMENTS
    if which == "array_value":
        return "array", *_array(field)
    if which == "value_at_cutoffs":
        rows = [{"cutoff": pair.cutoff, "value": _at_cutoff(pair)} for pair in field.values[:MAX_ELEMENTS]]
        return "cutoffs", rows, len(field.values) > MAX_ELEMENTS
    if which == "confusion_matrix_at_thresholds":
        rows = [confusion_row(matrix) for matrix in field.matrices[:MAX_ELEMENTS]]
        return "confusion_matrices", rows, len(field.matrices) > MAX_ELEMENTS
    rows, cut = [], False
    for matrix in field.matrices:
        room = MAX_ELEMENTS - len(rows)
        cut |= len(matrix.entries) > room
        rows += [
            {
                "threshold": matrix.threshold,
                "actual": entry.actual_class_id,
                "predicted": entry.predicted_class_id,
                "examples": entry.num_weighted_examples,
            }
            for entry in matrix.entries[:room]
        ]
    return "multi_class_confusion_matrices", rows, cut


def _at_cutoff(pair: Any) -> float:
    if pair.HasField("bounded_value"):
        return pair.bounded_value.value.value
    if pair.HasField("t_distribution_value"):
        return pair.t_distribution_value.unsampled_value.value
    return pair.value


def _array(field: Any) -> tuple[Any, bool]:
    """Nested lists in the array's shape; flat when the shape does not fit the values."""
    for name in ("float64_values", "float32_values", "int64_values", "int32_values", "bytes_values"):
        values = getattr(field, name)
        if values:
            break
    else:
        return [], False
    found = [text(v) if isinstance(v, bytes) else v for v in values[:MAX_ELEMENTS]]
    if len(values) > MAX_ELEMENTS:
        return found, True
    size = 1
    for length in field.shape[:16]:
        size *= length
    if size != len(found) or len(field.shape) > 16:
        return found, False
    for length in reversed(field.shape[1:]):
        found = [found[i : i + length] for i in range(0, len(found), length)]
    return (found if field.shape else found[0]), False


def _interval(message: Any) -> Interval | None:
    if not (message.HasField("lower_bound") and message.HasField("upper_bound")):
        return None
    degrees = message.degrees_of_freedom.value if message.HasField("degrees_of_freedom") else None
    return Interval(
        _bound(message.lower_bound), _bound(message.upper_bound), _bound(message.standard_error), degrees
    )


def _bound(message: Any) -> Any:
    which = message.WhichOneof("type")
    if which == "double_value":
        return message.double_value.value
    return _plain(which, getattr(message, which))[1] if which in _BOUNDS else None


_BOUNDS = ("double_value", "array_value", "confusion_matrix_at_thresholds")


def _bounds(field: Any) -> Interval | None:
    if not (field.HasField("lower_bound") and field.HasField("upper_bound")):
        return None
    return Interval(field.lower_bound.value, field.upper_bound.value)


def _t_distribution(field: Any) -> Interval | None:
    """The error without bounds: those need the quantile of the distribution, which TFMA did not write."""
    if not field.HasField("sample_standard_deviation"):
        return None
    degrees = field.sample_degrees_of_freedom
    return Interval(
        None,
        None,
        field.sample_standard_deviation.value,
        degrees.value if field.HasField("sample_degrees_of_freedom") else None,
    )
