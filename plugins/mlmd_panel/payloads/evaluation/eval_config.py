"""Reads the configuration of an evaluation: its models, slices and thresholds."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from mlmd_panel.errors import PayloadError
from mlmd_panel.files import protos
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import slices
from mlmd_panel.payloads.evaluation.metrics import MetricKey

FILE = "eval_config.json"
# Bounds for each of some thousand slices take megabytes.
MAX_BYTES = 8 << 20
# A configuration multiplies classes, models and outputs.
MAX_THRESHOLDS = 20_000
MAX_SPECS = 1000
DIRECTIONS = {1: "lower is better", 2: "higher is better"}
# Names that TFMA's and Keras's classes give themselves, where it is not the class's name in snake case.
_NAMES = {
    "BinaryCrossEntropy": "binary_crossentropy",
    "Bleu": "BLEU",
    "COCOAveragePrecision": "average_precision",
    "COCOAverageRecall": "average_recall",
    "COCOMeanAveragePrecision": "mean_average_precision",
    "COCOMeanAverageRecall": "mean_average_recall",
    "CategoricalCrossEntropy": "categorical_crossentropy",
    "ObjectDetectionConfusionMatrixPlot": "confusion_matrix_plot",
}


@dataclasses.dataclass(frozen=True)
class EvaluatedModel:
    """A model of the configuration.

    Attributes:
      name: Empty when there is one model.
      baseline: The one that the candidate is compared with.
      signature: Signature called.
      label: Feature that holds the label; of a model with several outputs, by output: `click: clicked, sale: bought`.
      prediction: Output that holds the prediction, or empty; of several as `label`.
      weight: Feature that holds the example weight, or empty; of several as `label`.
      location: Where the model was; a path that administrators know.
    """

    name: str
    baseline: bool
    signature: str
    label: str
    prediction: str
    weight: str
    location: str


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A bound that a metric must meet.

    Attributes:
      key: The metric; of a bound on the change the difference to the baseline.
      spec: Slices that it applies to; None is all.
      change: Bounds the change to the baseline, else the value.
      lower: Least value, or None.
      upper: Greatest value, or None.
      absolute: Bound of the change, or None.
      relative: Bound of the change divided by the baseline's value, or None.
      direction: 1 lower is better, 2 higher is better, 0 not said.
    """

    key: MetricKey
    spec: slices.Spec | slices.CrossSpec | None
    change: bool
    lower: float | None = None
    upper: float | None = None
    absolute: float | None = None
    relative: float | None = None
    direction: int = 0

    @cached_property
    def identity(self) -> tuple:
        """Equal of equal bounds, whatever the metric and slices; NaN included."""
        return (
            self.change,
            self.direction,
            *map(repr, (self.lower, self.upper, self.absolute, self.relative)),
        )


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """What eval_config.json says.

    Attributes:
      models: In its order.
      slicing: Specifications of slices.
      thresholds: Bounds of its metrics, up to MAX_THRESHOLDS.
      data_location: Path of the examples, or TFMA's `<user provided PCollection>`.
      file_format: Format of the examples' files, or `<unknown>`.
      version: Version of TFMA.
      intervals: Method of the confidence intervals: POISSON_BOOTSTRAP, JACKKNIFE or empty.
      min_slice_size: Slices with fewer examples are hidden.
      settings: Of each configured metric its key, without model and weighting, and what it is computed with, as text that is
        equal for equal settings.
      cut: There are more thresholds, models or specifications of slices.
    """

    models: tuple[EvaluatedModel, ...] = ()
    slicing: tuple[slices.Spec | slices.CrossSpec, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    data_location: str = ""
    file_format: str = ""
    version: str = ""
    intervals: str = ""
    min_slice_size: int = 0
    settings: tuple[tuple[MetricKey, str], ...] = ()
    cut: bool = False

    @property
    def baseline(self) -> str | None:
        """Name of the model that the candidate is compared with."""
        return next((model.name for model in self.models if model.baseline), None)


def read(files: Files, uri: str) -> EvalConfig:
    """Reads eval_config.json.

    Raises:
      PayloadError: Gone, broken or too large.
    """
    return config_of(message(files, uri))


def message(files: Files, uri: str) -> Any:
    """The `EvalRun` message in eval_config.json.

    Raises:
      PayloadError: Gone, broken or too large.
    """
    from google.protobuf import json_format

    run = protos.message("tensorflow_model_analysis.EvalRun")()
    try:
        json_format.Parse(files.read(uri, FILE, MAX_BYTES).decode(), run, ignore_unknown_fields=True)
    # json_format lets through what its parser and the messages raise.
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError, KeyError) as error:
        raise PayloadError(f"{FILE} is not a valid TFMA configuration.") from error
    return run


def config_of(run: Any) -> EvalConfig:
    """What an `EvalRun` message says."""
    config = run.eval_config
    models = tuple(
        EvaluatedModel(
            model.name,
            model.is_baseline,
            model.signature_name,
            model.label_key or _by_output(model.label_keys),
            model.prediction_key or _by_output(model.prediction_keys),
            model.example_weight_key or _by_output(model.example_weight_keys),
            run.model_locations.get(model.name, ""),
        )
        for model in config.model_specs[:MAX_SPECS]
    )
    slicing = [*config.slicing_specs, *config.cross_slicing_specs]
    thresholds, cut = _thresholds(config)
    options, method = config.options, ""
    if options.compute_confidence_intervals.value:
        method = {1: "POISSON_BOOTSTRAP", 2: "JACKKNIFE"}.get(options.confidence_intervals.method, "")
    return EvalConfig(
        models=models,
        slicing=tuple(slices.spec_of(spec) for spec in slicing[:MAX_SPECS]),
        thresholds=thresholds,
        data_location=run.data_location,
        file_format=run.file_format,
        version=run.version,
        intervals=method,
        min_slice_size=options.min_slice_size.value,
        settings=_settings(config),
        cut=cut or max(len(slicing), len(config.model_specs)) > MAX_SPECS,
    )


def _by_output(features: Mapping[str, str]) -> str:
    """In one order: a protobuf map has none."""
    return ", ".join(f"{output}: {feature}" for output, feature in sorted(features.items()))


def bounds(message: Any, key: MetricKey, spec: Any) -> Iterator[Threshold]:
    """Thresholds of a `MetricThreshold` message: on the value, on the change, or both.

    Args:
      message: The message.
      key: The metric itself, not its change.
      spec: Slices.
    """
    if message.HasField("value_threshold"):
        value = message.value_threshold
        yield Threshold(key, spec, False, _number(value, "lower_bound"), _number(value, "upper_bound"))
    if message.HasField("change_threshold"):
        change, diff = message.change_threshold, dataclasses.replace(key, is_diff=True)
        absolute, relative = _number(change, "absolute"), _number(change, "relative")
        yield Threshold(diff, spec, True, None, None, absolute, relative, change.direction)


def _number(message: Any, field: str) -> float | None:
    return getattr(message, field).value if message.HasField(field) else None


def _thresholds(config: Any) -> tuple[tuple[Threshold, ...], bool]:
    """In TFMA's order and without repetitions: those by metric name, then those of the metrics' own.

    And whether there are more.
    """
    found: dict[tuple, Threshold] = {}
    for count, one in enumerate(itertools.chain(_by_name(config), _by_metric(config))):
        if count >= MAX_THRESHOLDS:
            return tuple(found.values()), True
        found.setdefault((one.key, one.spec, one.identity), one)
    return tuple(found.values()), False


def _by_name(config: Any) -> Iterator[Threshold]:
    for spec in config.metrics_specs:
        tables: list[tuple[str, Any, Any]] = [
            (name, None, message) for name, message in spec.thresholds.items()
        ]
        for name, group in spec.per_slice_thresholds.items():
            tables += [(name, s, t.threshold) for t in group.thresholds for s in t.slicing_specs]
        for name, group in spec.cross_slice_thresholds.items():
            tables += [(name, s, t.threshold) for t in group.thresholds for s in t.cross_slicing_specs]
        for name, slicing, message in tables:
            for key in _keys(name, spec, [None]):
                yield from bounds(message, key, None if slicing is None else slices.spec_of(slicing))


def _by_metric(config: Any) -> Iterator[Threshold]:
    for spec in config.metrics_specs:
        for metric in spec.metrics:
            tables: list[tuple[Any, Any]] = []
            if metric.HasField("threshold"):
                tables.append((None, metric.threshold))
            tables += [(s, t.threshold) for t in metric.per_slice_thresholds for s in t.slicing_specs]
            tables += [(s, t.threshold) for t in metric.cross_slice_thresholds for s in t.cross_slicing_specs]
            if not tables:
                continue
            for key in _keys(name_of(metric), spec, _weightings(config, spec)):
                for slicing, message in tables:
                    yield from bounds(message, key, None if slicing is None else slices.spec_of(slicing))


def _settings(config: Any) -> tuple[tuple[MetricKey, str], ...]:
    """Not only what is written at a metric: weights of classes and outputs, and how rows are grouped, too."""
    found: dict[MetricKey, set[str]] = {}
    for key, text in itertools.islice(_settings_by_key(config), MAX_THRESHOLDS):
        found.setdefault(dataclasses.replace(key, model=""), set()).add(text)
    return tuple((key, "; ".join(sorted(texts))) for key, texts in found.items())


def _settings_by_key(config: Any) -> Iterator[tuple[MetricKey, str]]:
    for spec in config.metrics_specs:
        shared = {
            "class weights": dict(sorted(spec.aggregate.class_weights.items())),
            "output weights": dict(sorted(spec.output_weights.items())),
            "query key": spec.query_key,
        }
        for metric in spec.metrics:
            own = _configured(metric)
            if isinstance(own, dict):
                own = {name: value for name, value in own.items() if name != "name"}
            said = {"class": f"{metric.module}.{metric.class_name}".lstrip("."), "config": own, **shared}
            text = json.dumps({name: value for name, value in said.items() if value}, sort_keys=True)
            for key in _keys(name_of(metric), spec, [None]):
                yield key, text


def _configured(metric: Any) -> Any:
    """The settings of a `MetricConfig` message; its text where that is no JSON, with which TFMA fails."""
    config = metric.config.strip()
    try:
        return json.loads(config if config.startswith("{") else "{" + config + "}")
    except (ValueError, RecursionError):
        return config


def name_of(metric: Any) -> str:
    """Name of a `MetricConfig` message: configured, or what its class is called in snake case."""
    settings = _configured(metric)
    if isinstance(settings, dict) and isinstance(settings.get("name"), str) and settings["name"]:
        return settings["name"]
    if metric.class_name in _NAMES:
        return _NAMES[metric.class_name]
    words = re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", metric.class_name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()


def _keys(name: str, spec: Any, weightings: list[bool | None]) -> Iterator[MetricKey]:
    subs: list[dict[str, Any]] = []
    for field, values in (("class_id", "class_ids"), ("k", "k_list"), ("top_k", "top_k_list")):
        subs += [{field: value} for value in getattr(spec.binarize, values).values]
    if spec.HasField("aggregate"):
        which = spec.aggregate.WhichOneof("type")
        kind = which.removesuffix("_average") if which and getattr(spec.aggregate, which) else ""
        tops = [{"top_k": value} for value in spec.aggregate.top_k_list.values] or [{}]
        if kind == "":  # takes the place of the binarized ones
            subs = []
        subs += [{"aggregation": kind, **top} for top in tops]
    for sub in subs or [{}]:
        for model in spec.model_names or [""]:
            for output in spec.output_names or [""]:
                for weighted in weightings:
                    yield MetricKey(name, model, output, weighted=weighted, **sub)


def _weightings(config: Any, spec: Any) -> list[bool | None]:
    """Weighted, unweighted or both; by default weighted if one of the models has weights."""
    if spec.HasField("example_weights"):
        weights = spec.example_weights
        return [flag for flag, on in ((True, weights.weighted), (False, weights.unweighted)) if on]
    models = list(config.model_specs)
    if spec.model_names and not (len(models) == 1 and "" in spec.model_names):
        models = [model for model in models if model.name in spec.model_names]
    return [
        any(
            model.example_weight_key
            or any(output in model.example_weight_keys for output in spec.output_names)
            for model in models
        )
    ]
