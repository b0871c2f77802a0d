"""Edits the thresholds of an evaluation's configuration, as a form asks, on a copy in memory."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlmd_panel.errors import BadQuery
from mlmd_panel.payloads.evaluation import eval_config, slices
from mlmd_panel.payloads.evaluation.eval_config import EvalConfig
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.slices import Slice

# Thresholds that a form has room for; those beyond stay as they are.
MAX_ROWS = 60
MAX_ADDED = 20
MAX_SLICES = 500
EVERY_SLICE = "every slice"
VALUE_BOUNDS, CHANGE_BOUNDS = ("lower", "upper"), ("absolute", "relative")
DIRECTIONS = {"": 0, "lower": 1, "higher": 2}
# What an added threshold bounds: whether the change, which bound, and the direction that is better.
KINDS = {
    "value at least": (False, "lower", 0),
    "value at most": (False, "upper", 0),
    "change at least": (True, "absolute", 2),
    "change at most": (True, "absolute", 1),
    "relative change at least": (True, "relative", 2),
    "relative change at most": (True, "relative", 1),
}
_FIELD = re.compile(
    r"(a?)(\d{1,4})\.(lower|upper|absolute|relative|direction|remove|metric|slice|kind|bound)"
)


@dataclasses.dataclass(frozen=True)
class Added:
    """A threshold that the form adds.

    Attributes:
      metric: One of `Choices.metrics`.
      slice: One of `Choices.slices`.
      kind: One of KINDS.
      bound: The bound.
    """

    metric: str
    slice: str
    kind: str
    bound: float


@dataclasses.dataclass(frozen=True)
class Edits:
    """What a form asks.

    Attributes:
      edited: The form was sent: a bound that it leaves empty is removed.
      fields: Texts by number of the threshold and name of the field, such as `(0, "lower")`.
      added: Thresholds that are not in the configuration.
    """

    edited: bool = False
    fields: Mapping[tuple[int, str], str] = dataclasses.field(default_factory=dict)
    added: tuple[Added, ...] = ()


@dataclasses.dataclass(frozen=True)
class Row:
    """A threshold of the configuration, on the value or on the change of a metric, after the edits.

    Attributes:
      number: In the names of its fields.
      metric: Name, with output, sub keys and models where the configuration gives them.
      slices: What it is for.
      change: Bounds the change, else the value.
      bounds: By name; None where there is none.
      direction: Whether `lower` or `higher` is better, for a bound on the change; else empty.
      removed: The edits remove it.
      changed: The edits change it.
    """

    number: int
    metric: str
    slices: str
    change: bool
    bounds: Mapping[str, float | None]
    direction: str
    removed: bool
    changed: bool


@dataclasses.dataclass(frozen=True)
class Choices:
    """What a threshold can be added for, by the names that the form shows."""

    metrics: tuple[str, ...]
    slices: tuple[str, ...]
    slices_cut: bool


@dataclasses.dataclass(frozen=True)
class Edited:
    """A configuration with other thresholds.

    Attributes:
      config: What it says.
      rows: Its thresholds as they were in number, up to MAX_ROWS.
      added: Those that were added.
      rows_in_all: Number of its thresholds before.
      text: The `EvalConfig` in protobuf's text format.
      choices: What a threshold can be added for.
    """

    config: EvalConfig
    rows: tuple[Row, ...]
    added: tuple[Added, ...]
    rows_in_all: int
    text: str
    choices: Choices

    @property
    def changed(self) -> bool:
        """Whether any threshold differs."""
        return bool(self.added) or any(row.changed for row in self.rows)


def parse(pairs: Iterable[tuple[str, str]]) -> Edits:
    """The edits in the query parameters of an address.

    Raises:
      BadQuery: A bound is not a number, or an added threshold lacks something.
    """
    fields: dict[tuple[int, str], str] = {}
    new: dict[int, dict[str, str]] = {}
    edited = False
    for name, text in pairs:
        edited |= name == "edited"
        found = _FIELD.fullmatch(name)
        if found:
            into = new.setdefault(int(found[2]), {}) if found[1] else None
            if into is None:
                fields[int(found[2]), found[3]] = text.strip()
            else:
                into[found[3]] = text.strip()
    added = tuple(_added(number, one) for number, one in sorted(new.items()) if _is_complete(one))
    if len(added) > MAX_ADDED:
        raise BadQuery(f"{len(added)} thresholds are added; at most {MAX_ADDED} can be.")
    return Edits(edited, fields, added)


def _is_complete(fields: Mapping[str, str]) -> bool:
    """Has a bound; the empty row of the form has none."""
    return bool(fields.get("bound")) and not fields.get("remove")


def _added(number: int, fields: Mapping[str, str]) -> Added:
    for name in ("metric", "slice", "kind"):
        if not fields.get(name):
            raise BadQuery(f"The added threshold a{number} has a bound but no {name}; add a{number}.{name}.")
    if fields["kind"] not in KINDS:
        raise BadQuery(f"Unknown kind of threshold {fields['kind']!r}; use one of {', '.join(KINDS)}.")
    bound = _number(f"a{number}.bound", fields["bound"])
    return Added(fields["metric"], fields["slice"], fields["kind"], bound)


def _number(name: str, text: str) -> float:
    try:
        return float(text.replace("\u2212", "-"))
    except ValueError:
        raise BadQuery(f"{name} is {text!r}; it must be a number, such as 0.9 or -0.01.") from None


def edit(run: Any, edits: Edits, payload: EvaluationPayload) -> Edited:
    """Applies edits to the configuration of an evaluation.

    Args:
      run: The `EvalRun` message; it is changed.
      edits: The edits.
      payload: The evaluation, for the slices that it has and metrics that the configuration does not name.

    Raises:
      BadQuery: An edit does not fit the configuration.
    """
    config = run.eval_config
    _name_own_metric(config, payload)
    before = type(config)()
    before.CopyFrom(config)
    rows = []
    count = 0
    for count, (metric, names, threshold, change) in enumerate(list(_rows(config)), 1):
        if count <= MAX_ROWS:
            rows.append(_edit(count - 1, metric, names, threshold, change, edits))
    found = _metrics(before, payload)
    specs, cut = _slices(before, payload)
    for one in edits.added:
        _add(config, one, found, specs)
    _prune(config)
    from google.protobuf import text_format

    text = text_format.MessageToString(config, as_utf8=True)
    choices = Choices(tuple(found), tuple(specs), cut)
    return Edited(eval_config.config_of(run), tuple(rows), edits.added, count, text, choices)


def _rows(config: Any) -> Iterator[tuple[str, str, Any, bool]]:
    """Metric, slices, `MetricThreshold` message, and whether the change is meant, of each threshold."""
    for metric, names, message in _places(config):
        if message.HasField("value_threshold"):
            yield metric, names, message, False
        if message.HasField("change_threshold"):
            yield metric, names, message, True


def _places(config: Any) -> Iterator[tuple[str, str, Any]]:
    for spec in config.metrics_specs:
        for metric in spec.metrics:
            name = _label(eval_config.name_of(metric), spec)
            if metric.HasField("threshold"):
                yield name, EVERY_SLICE, metric.threshold
            yield from _of_slices(name, metric.per_slice_thresholds, metric.cross_slice_thresholds)
        for name in sorted(spec.thresholds):
            yield _label(name, spec), EVERY_SLICE, spec.thresholds[name]
        for name in sorted(spec.per_slice_thresholds):
            yield from _of_slices(_label(name, spec), spec.per_slice_thresholds[name].thresholds, ())
        for name in sorted(spec.cross_slice_thresholds):
            yield from _of_slices(_label(name, spec), (), spec.cross_slice_thresholds[name].thresholds)


def _of_slices(name: str, single: Iterable[Any], cross: Iterable[Any]) -> Iterator[tuple[str, str, Any]]:
    for one in single:
        yield name, _names(one.slicing_specs), one.threshold
    for one in cross:
        yield name, _names(one.cross_slicing_specs), one.threshold


def _names(specs: Sequence[Any]) -> str:
    return "; ".join(slices.spec_of(spec).name for spec in specs)


def _label(name: str, spec: Any) -> str:
    """The metric with the outputs and sub keys that its thresholds are for."""
    inside = [one for one in spec.output_names if one]
    for what, field in (("class", "class_ids"), ("k", "k_list"), ("top", "top_k_list")):
        inside += [f"{what} {value}" for value in getattr(spec.binarize, field).values]
    if spec.HasField("aggregate"):
        which = spec.aggregate.WhichOneof("type")
        inside += [which.replace("_", " ")] if which else []
        inside += [f"top {value}" for value in spec.aggregate.top_k_list.values]
    if spec.HasField("example_weights"):
        weights = spec.example_weights
        inside += [kind for kind in ("weighted", "unweighted") if getattr(weights, kind)]
    return f"{name} ({', '.join(inside)})" if inside else name


def _edit(number: int, metric: str, names: str, message: Any, change: bool, edits: Edits) -> Row:
    """Applies the fields of a threshold to its message."""
    kind, fields = ("change_threshold", CHANGE_BOUNDS) if change else ("value_threshold", VALUE_BOUNDS)
    threshold, before = getattr(message, kind), getattr(message, kind).SerializeToString(deterministic=True)
    stored = {"lower": "lower_bound", "upper": "upper_bound"}
    had = any(threshold.HasField(stored.get(field, field)) for field in fields)
    if edits.edited:
        for field in fields:
            text = edits.fields.get((number, field), "")
            threshold.ClearField(stored.get(field, field))
            if text:
                getattr(threshold, stored.get(field, field)).value = _number(f"{number}.{field}", text)
        if change and (number, "direction") in edits.fields:
            said = edits.fields[number, "direction"]
            if said not in DIRECTIONS:
                raise BadQuery(f"{number}.direction is {said!r}; use lower or higher, whichever is better.")
            threshold.direction = DIRECTIONS[said]
    found = {
        field: getattr(threshold, stored.get(field, field)).value
        if threshold.HasField(stored.get(field, field))
        else None
        for field in fields
    }
    emptied = had and all(value is None for value in found.values())
    removed = edits.edited and (bool(edits.fields.get((number, "remove"))) or emptied)
    direction = {1: "lower", 2: "higher"}.get(threshold.direction, "") if change else ""
    changed = removed or threshold.SerializeToString(deterministic=True) != before
    if removed:
        message.ClearField(kind)
    return Row(number, metric, names, change, found, direction, removed, changed)


def _metrics(config: Any, payload: EvaluationPayload) -> dict[str, tuple[int, int | str]]:
    """Metrics that were measured, as numbers, and that a threshold can be added for: number of the specification, and the metric's number or name."""
    measured = {
        metric.key.name for part in payload.slices for metric in part.metrics if metric.number is not None
    }
    found: dict[str, tuple[int, int | str]] = {}
    named = set()
    for number, spec in enumerate(config.metrics_specs):
        for place, metric in enumerate(spec.metrics):
            name = eval_config.name_of(metric)
            named.add(name)
            if name in measured:
                label = _label(name, spec)
                label = label if label not in found else f"{label}, specification {number + 1}"
                found.setdefault(label, (number, place))
    for key in payload.candidate_keys:
        # Of the model itself: TFMA knows their thresholds by name alone.
        if key.weighted is None and key.name in measured - named and not (key.sub_key or key.aggregation):
            found.setdefault(f"{key.name} ({key.output})" if key.output else key.name, (-1, key.name))
    return found


def _name_own_metric(config: Any, payload: EvaluationPayload) -> None:
    """Writes the name of a metric of the user's own class into its configuration, where only one can be meant.

    Such a class may name itself anything; TFMA does not write down what.
    """
    measured = {key.name for key in payload.keys if not key.is_diff and key.weighted is not None}
    metrics = [metric for spec in config.metrics_specs for metric in spec.metrics]
    strange = measured - {eval_config.name_of(metric) for metric in metrics}
    own = [
        metric
        for metric in metrics
        if metric.module and not metric.config.strip("{} \n") and eval_config.name_of(metric) not in measured
    ]
    if len(strange) == 1 and len(own) == 1:
        own[0].config = json.dumps({"name": strange.pop()}, ensure_ascii=False)


def _slices(config: Any, payload: EvaluationPayload) -> tuple[dict[str, Any], bool]:
    """Specifications that a threshold can be added for: those of the configuration, and single slices."""
    found: dict[str, Any] = {EVERY_SLICE: None}
    made = type(config)()
    overall = made.slicing_specs.add()
    found[slices.OVERALL] = overall
    for spec in [*config.slicing_specs, *config.cross_slicing_specs]:
        found.setdefault(slices.spec_of(spec).name, spec)
    for part in payload.slices:
        spec = _spec(made, part.slice)
        if len(found) >= MAX_SLICES:
            return found, True
        if spec is not None:
            found.setdefault(part.slice.name, spec)
    return found, False


def _spec(made: Any, slice_: Slice) -> Any:
    """A specification of one slice; None where its values cannot be written as text."""
    if slice_.baseline is not None or any(
        "\\x" in str(v) or len(str(v)) > slices.MAX_TEXT for _, v in slice_.pairs
    ):
        return None
    spec = made.slicing_specs.add()
    for feature, value in slice_.pairs:
        spec.feature_values[feature] = str(value)
    return spec


def _add(
    config: Any, one: Added, metrics: Mapping[str, tuple[int, int | str]], specs: Mapping[str, Any]
) -> None:
    if one.metric not in metrics:
        raise BadQuery(
            f"The evaluation has no metric {one.metric!r}; it has {', '.join(list(metrics)[:20])}."
        )
    if one.slice not in specs:
        raise BadQuery(f"The evaluation has no slice {one.slice!r}; choose one from the list.")
    number, place = metrics[one.metric]
    spec = specs[one.slice]
    if isinstance(place, int):
        metric = config.metrics_specs[number].metrics[place]
        if spec is None:
            _bind(metric.threshold, one)
            return
        _bind(_for_slice(metric.per_slice_thresholds, metric.cross_slice_thresholds, spec), one)
        return
    made = config.metrics_specs.add()
    made.model_names.extend(config.metrics_specs[0].model_names if len(config.metrics_specs) > 1 else [])
    if spec is None:
        _bind(made.thresholds[place], one)
        return
    _bind(
        _for_slice(
            made.per_slice_thresholds[place].thresholds, made.cross_slice_thresholds[place].thresholds, spec
        ),
        one,
    )


def _for_slice(single: Any, cross: Any, spec: Any) -> Any:
    """A new `MetricThreshold` message for a specification of slices."""
    if spec.DESCRIPTOR.name == "CrossSlicingSpec":
        entry = cross.add()
        entry.cross_slicing_specs.add().CopyFrom(spec)
    else:
        entry = single.add()
        entry.slicing_specs.add().CopyFrom(spec)
    return entry.threshold


def _bind(message: Any, one: Added) -> None:
    change, bound, direction = KINDS[one.kind]
    if change:
        threshold = message.change_threshold
        if threshold.HasField(bound) or threshold.direction not in (0, direction):
            raise BadQuery(f"{one.metric} has such a threshold for {one.slice} already; edit that one.")
        threshold.direction = direction
        getattr(threshold, bound).value = one.bound
        return
    if message.value_threshold.HasField(f"{bound}_bound"):
        raise BadQuery(f"{one.metric} has such a threshold for {one.slice} already; edit that one.")
    getattr(message.value_threshold, f"{bound}_bound").value = one.bound


def _prune(config: Any) -> None:
    """Removes thresholds that bound nothing any more."""
    for spec in config.metrics_specs:
        for metric in spec.metrics:
            if metric.HasField("threshold") and _is_empty(metric.threshold):
                metric.ClearField("threshold")
            for table in (metric.per_slice_thresholds, metric.cross_slice_thresholds):
                _keep(table)
        for name in [name for name in spec.thresholds if _is_empty(spec.thresholds[name])]:
            del spec.thresholds[name]
        for groups in (spec.per_slice_thresholds, spec.cross_slice_thresholds):
            for name in list(groups):
                _keep(groups[name].thresholds)
                if not groups[name].thresholds:
                    del groups[name]


def _keep(table: Any) -> None:
    for place in reversed(range(len(table))):
        if _is_empty(table[place].threshold):
            del table[place]


def _is_empty(message: Any) -> bool:
    return not (message.HasField("value_threshold") or message.HasField("change_threshold"))


def written(value: float | None) -> str:
    """A bound as a form's field has it; `parse` reads the same number from it."""
    if value is None:
        return ""
    return (
        repr(value)
        if not (math.isfinite(value) and value == int(value) and abs(value) < 1e15)
        else str(int(value))
    )
