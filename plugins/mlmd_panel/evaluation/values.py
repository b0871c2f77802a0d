"""The values that two evaluations are compared by: of their candidates, of their baselines, of the paired changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence

from mlmd_panel.evaluation import proportions
from mlmd_panel.evaluation.evaluated import Evaluated
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.metric_names import metric_names
from mlmd_panel.payloads.evaluation.metrics import Metric, MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics, StoredSlices, examples_of, slices_of
from mlmd_panel.payloads.evaluation.slices import Slice

Metrics = dict[MetricKey, Metric]
# Numbers of examples, which the table has as columns of its own; and what TFMA writes instead of a slice's metrics.
_NOT_COMPARED = ("example_count", "weighted_example_count", "example_weight", "__ERROR__")


@dataclasses.dataclass(frozen=True)
class SliceValues:
    """A slice of one side.

    Attributes:
      part: The slice as it was read.
      judged: Metrics of the models that are compared.
      baseline: Metrics of the evaluation's own baseline model, without a model's name in their keys.
      changes: TFMA's differences between the two, with the keys of `judged`.
    """

    part: SliceMetrics
    judged: Metrics
    baseline: Metrics
    changes: Metrics


@dataclasses.dataclass(frozen=True)
class Names:
    """Which metrics two evaluations have, and what they are called.

    Attributes:
      of_key: A name for each key of either, sorted by name.
      models: What each side's keys without a model's name mean.
      weighting_differs: Names of metrics that are not compared, as their example weighting is not the same.
      settings_differ: Metrics that are not compared, as they are computed differently: name, and each side's settings.
    """

    of_key: dict[MetricKey, str]
    models: tuple[str, str]
    weighting_differs: tuple[str, ...]
    settings_differ: tuple[tuple[str, str, str], ...]


def names(baseline: Evaluated, candidate: Evaluated) -> Names:
    """Names of all metrics of two evaluations, except of numbers of examples.

    A metric is the same in both if its key is equal, including model, output, sub key and weighting. The name of an
    evaluation's only candidate model does not matter, unless the other evaluation has several.
    """
    models = _models(baseline, candidate)
    keys = [
        {_renamed(key, model) for key in _keys(side)}
        for side, model in zip((baseline, candidate), models, strict=True)
    ]
    either = [{_unweighted(key) for key in side} for side in keys]
    alike = {_unweighted(key) for key in keys[0] & keys[1]}
    named = metric_names(sorted(keys[0] | keys[1], key=repr))
    settings = [dict(side.payload.config.settings) for side in (baseline, candidate)]
    unlike = {}
    for key in keys[0] & keys[1]:
        plain = dataclasses.replace(key, model="", weighted=None)
        two = settings[0].get(plain), settings[1].get(plain)
        # A metric that one side's configuration does not name is one that the model has itself.
        if None not in two and two[0] != two[1]:
            unlike[key] = two
    return Names(
        dict(
            sorted(
                ((key, name) for key, name in named.items() if key not in unlike), key=lambda pair: pair[1]
            )
        ),
        models,
        tuple(sorted(metric_names((either[0] & either[1]) - alike).values())),
        tuple(sorted((named[key], str(one), str(other)) for key, (one, other) in unlike.items())),
    )


class SideValues:
    """The slices of one side, each parsed when it is asked for."""

    def __init__(
        self, side: Evaluated, model: str, wanted: Collection[MetricKey], judged_only: bool = False
    ) -> None:
        """Args:
        side: Its evaluation.
        model: What keys without a model's name mean; see `Names`.
        wanted: Keys of `Names.of_key` that are compared.
        judged_only: The evaluation's own baseline and its changes are left out, unless it is what is compared.
        """
        self._split = _Split(side, model, wanted)
        parts = side.payload.slices
        names = {key.name for key in wanted} | proportions.COUNTS
        if isinstance(parts, StoredSlices):
            keys = (key for key in parts.keys if key.name in names)
            parts = parts.only({key for key in keys if not judged_only or self._split.judges(key)})
        self._parts = parts
        self._places = {slice_: place for place, slice_ in enumerate(slices_of(parts))}

    @property
    def slices(self) -> Collection[Slice]:
        """Its slices."""
        return self._places.keys()

    @property
    def examples(self) -> Sequence[float | None]:
        """Number of examples of each slice, as far as known."""
        return examples_of(self._parts)

    def of(self, slice_: Slice) -> SliceValues | None:
        """The values of a slice; None if it has none."""
        place = self._places.get(slice_)
        return self._split.values(self._parts[place]) if place is not None else None


class _Split:
    """Sorts the metrics of a slice by whose they are; what a key means is worked out once."""

    def __init__(self, side: Evaluated, model: str, wanted: Iterable[MetricKey]) -> None:
        self._side, self._model = side, model
        self._known: dict[MetricKey, tuple[str, MetricKey]] = {}
        # Keys that are the same object are found without comparing their fields.
        self._wanted = {key: key for key in wanted}

    def values(self, part: SliceMetrics) -> SliceValues:
        found: dict[str, Metrics] = {"candidate": {}, "baseline": {}, "change": {}}
        for metric in part.metrics:
            whose, key = self._known.get(metric.key) or self._whose(metric.key)
            # A candidate's own goes before one of no model.
            if key not in found[whose] or metric.key.model:
                found[whose][key] = metric
        if self._side.own_baseline:
            return SliceValues(part, self._for_each_candidate(found["baseline"]), {}, {})
        return SliceValues(part, found["candidate"], found["baseline"], found["change"])

    def _for_each_candidate(self, metrics: Metrics) -> Metrics:
        """An evaluation's own baseline is what each of its candidates is compared with."""
        names = _candidates(self._side)
        if names == ("",):
            return metrics
        keys = (
            (dataclasses.replace(key, model=name), metric)
            for key, metric in metrics.items()
            for name in names
        )
        return {self._wanted.get(key, key): metric for key, metric in keys}

    def judges(self, key: MetricKey) -> bool:
        """A metric with this key is of the models that are compared."""
        return self._whose(key)[0] == ("baseline" if self._side.own_baseline else "candidate")

    def _whose(self, key: MetricKey) -> tuple[str, MetricKey]:
        payload = self._side.payload
        name = "" if key.model in (payload.sole, payload.baseline) else key.model
        plain = dataclasses.replace(key, model=name or self._model, is_diff=False)
        if key.is_diff:
            found = "change", plain
        elif key.model and key.model == payload.baseline:
            found = "baseline", dataclasses.replace(plain, model="")
        else:
            found = "candidate", plain
        self._known[key] = found[0], self._wanted.get(found[1], found[1])
        return self._known[key]


def _keys(side: Evaluated) -> Iterable[MetricKey]:
    if side.own_baseline:
        own = (key for key in side.payload.keys if key.model and key.model == side.payload.baseline)
        keys: Iterable[MetricKey] = (
            dataclasses.replace(key, model=name)
            for key in own
            if not key.is_diff
            for name in _candidates(side)
        )
    else:
        keys = side.payload.candidate_keys
    return (key for key in keys if key.name.rpartition("/")[2] not in _NOT_COMPARED)


def _candidates(side: Evaluated) -> tuple[str, ...]:
    """Names of the models that an evaluation's own baseline is compared with, as keys have them: none of a sole one."""
    return side.payload.candidates if len(side.payload.candidates) > 1 else ("",)


def _models(baseline: Evaluated, candidate: Evaluated) -> tuple[str, str]:
    """What each side's keys without a model's name mean: "", or the model of that name among several of the other."""
    sides = []
    for one, two in ((baseline, candidate), (candidate, baseline)):
        if one.own_baseline or two.own_baseline:
            sides.append("")
            continue
        sides.append(_model(one.payload, two.payload))
    return sides[0], sides[1]


def _model(one: EvaluationPayload, two: EvaluationPayload) -> str:
    name = one.sole or next((model.name for model in one.config.models if not model.baseline), "")
    alone, several = len(one.candidates) == 1, len(two.candidates) > 1
    return name if alone and several and name in two.candidates else ""


def _renamed(key: MetricKey, model: str) -> MetricKey:
    return dataclasses.replace(key, model=model) if model and not key.model else key


def _unweighted(key: MetricKey) -> MetricKey:
    return dataclasses.replace(key, weighted=None)
