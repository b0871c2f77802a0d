"""Statistics of a feature over many runs, with its drift."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from mlmd_panel.errors import NotFound, PayloadError
from mlmd_panel.evaluation.changes.distances import divergence_of_numbers, l_infinity
from mlmd_panel.evaluation.kept import Kept
from mlmd_panel.evaluation.table import chosen_names
from mlmd_panel.evaluation.trend_runs import TrendRun
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import distributions, statistics
from mlmd_panel.payloads.data.distributions import Distribution
from mlmd_panel.payloads.data.feature_statistics import FeatureStatistics
from mlmd_panel.payloads.part import Part
from mlmd_panel.store.records import Artifact

MAX_FEATURES = 6
# Buckets and values of the distributions that are kept; some 20 MB.
MAX_KEPT = 100_000
STANDARD = "STANDARD"
L_INFINITY, JENSEN_SHANNON = "L-infinity", "Jensen-Shannon"


@dataclasses.dataclass(frozen=True)
class FeatureOf:
    """A feature in one artifact.

    Attributes:
      examples: Number of examples.
      statistics: What TFDV measured; None where the feature is not there.
      distribution: How its values are distributed, or None.
      problem: Why it cannot be read, or empty.
    """

    examples: int | None
    statistics: FeatureStatistics | None
    distribution: Distribution | None
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class FeaturePoint:
    """A feature in a run.

    Attributes:
      run: The run or branch.
      examples: Number of examples of the split.
      mean: Mean of a numeric feature; None for others.
      missing: Share of examples without it.
      top: Most frequent value of texts and categories.
      top_share: Its share of all values.
      before: Drift against the run before that has the feature.
      rolling: Mean of the drift against each of the last runs that have it.
      rolling_over: Number of those runs.
      measure: L-infinity of texts and categories, Jensen-Shannon of numbers; empty where neither was measured.
      gap: Why there is nothing, else empty.
    """

    run: TrendRun
    examples: int | None = None
    mean: float | None = None
    missing: float | None = None
    top: str | None = None
    top_share: float | None = None
    before: float | None = None
    rolling: float | None = None
    rolling_over: int = 0
    measure: str = ""
    gap: str = ""


@dataclasses.dataclass(frozen=True)
class FeatureLine:
    """A feature over the runs of a pipeline or of one of its branches; points oldest first."""

    pipeline: str
    branch: str
    feature: str
    points: tuple[FeaturePoint, ...]


@dataclasses.dataclass(frozen=True)
class FeatureTrends:
    """Features over runs.

    Attributes:
      lines: By feature, pipeline and branch.
      split: Whose statistics.
      splits: Those of the newest run's statistics.
      available: Features of the newest run's statistics.
      left_out: Requested features beyond MAX_FEATURES.
      window: Number of runs of the rolling baseline.
    """

    lines: tuple[FeatureLine, ...]
    split: str
    splits: tuple[str, ...]
    available: tuple[str, ...]
    left_out: tuple[str, ...]
    window: int


def of_runs(
    files: Files, runs: Sequence[TrendRun], features: Sequence[str], split: str, window: int
) -> FeatureTrends:
    """The requested features; none without a choice.

    Args:
      files: Where from.
      runs: Oldest first.
      features: Names.
      split: Name of a split; "" for `train`, or the first.
      window: Number of runs of the rolling baseline.
    """
    newest = next((run.statistics for run in reversed(runs) if run.statistics), None)
    splits, available = _known(newest, files) if newest else ((), ())
    split = split or ("train" if "train" in splits else next(iter(splits), ""))
    asked = chosen_names(features)
    groups: dict[tuple[str, str], list[TrendRun]] = {}
    for run in runs:
        groups.setdefault(run.line, []).append(run)
    lines = tuple(
        FeatureLine(line[0], line[1], name, _points(files, some, name, split, window, asked[:MAX_FEATURES]))
        for name in asked[:MAX_FEATURES]
        for line, some in groups.items()
    )
    return FeatureTrends(lines, split, splits, available, asked[MAX_FEATURES:], window)


def drift(before: Distribution, after: Distribution) -> tuple[float, str] | None:
    """How far a feature has drifted, by TFDV's measure for such a feature, and its name; None where none fits."""
    if before.categorical and after.categorical:
        if not (before.values or after.values):
            return None
        return l_infinity(before.values, after.values)[0], L_INFINITY
    one, two = before.histograms.get(STANDARD), after.histograms.get(STANDARD)
    found = divergence_of_numbers(one, two) if one and two else None
    return None if found is None else (found, JENSEN_SHANNON)


def _points(
    files: Files, runs: Sequence[TrendRun], name: str, split: str, window: int, beside: Sequence[str]
) -> tuple[FeaturePoint, ...]:
    found: list[FeaturePoint] = []
    earlier: list[Distribution] = []
    for run in runs:
        if run.statistics is None:
            found.append(FeaturePoint(run, gap="The run has no statistics."))
            continue
        one = feature_of(run.statistics, files, split, name, beside)
        if one.statistics is None:
            found.append(FeaturePoint(run, one.examples, gap=one.problem or "No such feature."))
            continue
        found.append(_point(run, one, earlier[-window:]))
        if one.distribution is not None:
            earlier.append(one.distribution)
    return tuple(found)


def _point(run: TrendRun, one: FeatureOf, earlier: Sequence[Distribution]) -> FeaturePoint:
    assert one.statistics is not None
    measured = one.statistics
    counted = (measured.present or 0) + (measured.missing or 0)
    top = next(iter(measured.strings.top), None) if measured.strings else None
    total = measured.total_values
    drifts = [drift(before, one.distribution) for before in earlier] if one.distribution else []
    known = [pair[0] for pair in drifts if pair is not None]
    last = drifts[-1] if drifts else None
    return FeaturePoint(
        run=run,
        examples=one.examples,
        mean=measured.numeric.mean if measured.numeric else None,
        missing=measured.missing / counted if measured.missing is not None and counted else None,
        top=top.value if top else None,
        top_share=top.count / total if top and total else None,
        before=last[0] if last else None,
        rolling=math.fsum(known) / len(known) if known else None,
        rolling_over=len(known),
        measure=next((pair[1] for pair in reversed(drifts) if pair), ""),
    )


def feature_of(
    artifact: Artifact, files: Files, split: str, name: str, beside: Sequence[str] = ()
) -> FeatureOf:
    """A feature in an ExampleStatistics; without anything where its files are gone or cannot be read.

    Args:
      artifact: The ExampleStatistics.
      files: Where from.
      split: Name of the split.
      name: Name of the feature.
      beside: Other features that will be asked for, as one reading of the file has them all.
    """
    found = _features.get(_key(artifact, files, split, name))
    if found is None:
        names = tuple(dict.fromkeys([name, *beside]))
        try:
            read = _features_of(artifact, files, split, names)
        except (PayloadError, NotFound) as error:
            return FeatureOf(None, None, None, str(error))
        for one, known in read.items():
            _features.put(_key(artifact, files, split, one), known)
        found = read[name]
    return found


def _key(artifact: Artifact, files: Files, split: str, name: str) -> tuple:
    return files, artifact.id, artifact.updated, artifact.uri, split, name


def _features_of(artifact: Artifact, files: Files, split: str, names: Sequence[str]) -> dict[str, FeatureOf]:
    part = Part(split=split, feature=names[0] if len(names) == 1 else "")
    payload = statistics.read(artifact, files, part)
    of_split = next((one for one in payload.splits if one.split == split), None)
    datasets = of_split.datasets if of_split else ()
    whole = next((one for one in datasets if one.slice in ("", statistics.ALL)), None)
    if whole is None:
        problem = next(iter(payload.problems), f"The statistics have no split {split!r}.")
        return dict.fromkeys(names, FeatureOf(None, None, None, problem))
    if whole.cut and len(names) > 1:  # what was left out is found by its name
        return {name: _features_of(artifact, files, split, [name])[name] for name in names}
    spread = distributions.read(artifact, files).splits.get(split)
    known = {one.name: one for one in spread.features.values()} if spread else {}
    return {name: FeatureOf(whole.examples, whole.feature(name), known.get(name)) for name in names}


def _cost(found: FeatureOf) -> int:
    one, known = found.distribution, found.statistics
    buckets = sum(len(histogram.buckets) for histogram in one.histograms.values()) if one else 0
    shown = (
        sum(len(histogram.buckets) for histogram in known.numeric.histograms)
        if known and known.numeric
        else 0
    )
    return 20 + buckets + shown + (2 * len(one.values) if one else 0)


def _known(artifact: Artifact, files: Files) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the splits, and of the features of all of them."""
    key = (files, artifact.id, artifact.updated, artifact.uri)
    found = _names.get(key)
    if found is None:
        try:
            payload = statistics.read(artifact, files)
        except (PayloadError, NotFound):
            return (), ()
        names = dict.fromkeys(
            feature.name for one in payload.splits for part in one.datasets for feature in part.features
        )
        found = tuple(one.split for one in payload.splits), tuple(names)
        _names.put(key, found)
    return found


_features: Kept[FeatureOf] = Kept(MAX_KEPT, _cost)
_names: Kept[tuple[tuple[str, ...], tuple[str, ...]]] = Kept(20_000, lambda found: 1 + sum(map(len, found)))
