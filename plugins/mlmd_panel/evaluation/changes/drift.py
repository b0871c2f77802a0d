"""Measures the drift of each feature between the two runs, as TFDV would."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mlmd_panel.errors import PayloadError
from mlmd_panel.evaluation.changes import wording
from mlmd_panel.evaluation.changes.changed import Changed, Findings, of_artifact
from mlmd_panel.evaluation.changes.data import EVAL, StatisticsOf, splits_of
from mlmd_panel.evaluation.changes.distances import divergence_of_numbers, divergence_of_values, l_infinity
from mlmd_panel.evaluation.changes.sides import Side
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import distributions, schema
from mlmd_panel.payloads.data.distributions import Distribution, SplitDistributions
from mlmd_panel.payloads.data.histograms import Bucket, Histogram, RankHistogram
from mlmd_panel.store.records import Artifact

L_INFTY, JENSEN_SHANNON = "L_INFTY", "JENSEN_SHANNON_DIVERGENCE"
MAX_FEATURES = 500  # that are in one list
MAX_BUCKETS = 50
MAX_BARS = 12
STANDARD = "STANDARD"
_DISJOINT = 1 - 1e-9
# Comparators of a schema by TFDV's name of what they measure.
_COMPARATORS = {"infinity_norm": L_INFTY, "jensen_shannon_divergence": JENSEN_SHANNON}
_SHORT = {L_INFTY: "L-infinity", JENSEN_SHANNON: "Jensen-Shannon"}


@dataclasses.dataclass(frozen=True)
class Distance:
    """A distance between two distributions.

    Attributes:
      measure: L_INFTY or JENSEN_SHANNON_DIVERGENCE.
      value: TFDV's figure.
      threshold: Threshold of the schema's drift_comparator, or None.
      value_of: The value whose share changed most, by L-infinity.
    """

    measure: str
    value: float
    threshold: float | None = None
    value_of: str = ""

    @property
    def is_beyond(self) -> bool:
        """It is above its threshold, which TFDV calls an anomaly."""
        return self.threshold is not None and self.value > self.threshold


@dataclasses.dataclass(frozen=True)
class FeatureSide:
    """A feature in one of the two datasets.

    Attributes:
      type: INT, FLOAT, STRING, BYTES or STRUCT.
      missing: Share of examples that have no value, or None without examples.
      nan: Number of values that are not a number.
      histogram: Histogram of numbers, or None.
      ranks: How often the values of a text or category are, or None.
    """

    type: str
    missing: float | None
    nan: int
    histogram: Histogram | None
    ranks: RankHistogram | None


@dataclasses.dataclass(frozen=True)
class Bar:
    """The same values in both datasets, for a small picture.

    Attributes:
      label: The value, or `from – to`.
      baseline: Their share of the baseline's values.
      candidate: Their share of the candidate's.
    """

    label: str
    baseline: float
    candidate: float


@dataclasses.dataclass(frozen=True)
class Drift:
    """How far a feature has drifted.

    Attributes:
      feature: Its name.
      data: Which data, such as "the evaluated data, split eval".
      distances: Of texts and categories L-infinity and Jensen-Shannon, of numbers Jensen-Shannon; none when one side
        has no values, or values of another kind.
      beyond: A distance is above the schema's threshold; None without a threshold.
      baseline: The feature in the baseline's data; None if it is not there.
      candidate: In the candidate's.
      bars: Shares in the same buckets: of numbers MAX_BARS of equal width, else of the values most frequent on either
        side. None of one without values.
    """

    feature: str
    data: str
    distances: tuple[Distance, ...]
    beyond: bool | None
    baseline: FeatureSide | None
    candidate: FeatureSide | None
    bars: tuple[Bar, ...] = ()

    @property
    def value(self) -> float | None:
        """The first distance: that which TFDV recommends for such a feature."""
        return self.distances[0].value if self.distances else None

    @property
    def has_drifted(self) -> bool:
        """Its values are distributed otherwise, or it is missing or NaN more or less often."""
        one, two = self.baseline, self.candidate
        if one is None or two is None or any(found.value > 0 for found in self.distances):
            return True
        return (one.type, one.missing, one.nan) != (two.type, two.missing, two.nan)


@dataclasses.dataclass(frozen=True)
class DriftOfData:
    """Drift of the features of a dataset.

    Attributes:
      data: Which data, such as "the evaluated data, split eval".
      split: Name of the split.
      is_evaluated: The Evaluator read it.
      weighted: The figures count examples by their weights, as TFDV does where all features have them.
      features: Beyond their threshold first, then by distance.
      in_all: Number of features, also of those left out.
      cut: Features were left out.
    """

    data: str
    split: str
    is_evaluated: bool
    weighted: bool
    features: tuple[Drift, ...]
    in_all: int
    cut: bool


class Limit(NamedTuple):
    """A threshold on a distance, and which histogram it is measured on."""

    threshold: float | None
    histogram: str


Limits = Mapping[tuple[str, str], Limit]


class _Pair(NamedTuple):
    """Statistics of the two sides that belong together."""

    what: str
    baseline: Artifact
    candidate: Artifact
    is_evaluated: bool
    splits: Sequence[str]  # that the Evaluator read


def compare(sides: tuple[Side, Side], statistics: StatisticsOf, files: Files) -> Findings:
    """Compares the statistics of the data that the Evaluators read, and those of the same nodes.

    Args:
      sides: Baseline and candidate.
      statistics: ExampleStatistics by the Examples they were computed of.
      files: Where from.
    """
    unknown: list[str] = []
    limits = _limits(sides, files, unknown)
    items: list[Changed] = []
    same: list[str] = []
    for pair in [*(found := _evaluated(sides, statistics, unknown)), *_of_nodes(sides, found)]:
        if pair.baseline.id == pair.candidate.id:
            same.append(f"Statistics of {pair.what}")
            continue
        try:
            two = [distributions.read(artifact, files) for artifact in (pair.baseline, pair.candidate)]
        except PayloadError as error:
            unknown.append(f"Drift of {pair.what} is not known: {error}")
            continue
        unknown += [f"Drift of {pair.what}: {problem}" for one in two for problem in one.problems]
        _of_splits(pair, two[0].splits, two[1].splits, limits, (items, same, unknown))
    return Findings(tuple(items), tuple(same), tuple(unknown))


def _limits(sides: tuple[Side, Side], files: Files, unknown: list[str]) -> Limits:
    """The candidate's thresholds, by feature and measure."""
    artifact = sides[1].schema or sides[0].schema
    if artifact is None:
        return {}
    try:
        features = schema.read(artifact, files).features
    except PayloadError as error:
        unknown.append(
            f"Whether drift is beyond its thresholds is not known: the schema cannot be read. {error}"
        )
        return {}
    return {
        (feature.name, _COMPARATORS[found.type]): Limit(found.threshold, found.histogram or STANDARD)
        for feature in features
        for found in feature.drift
        if found.type in _COMPARATORS
    }


def _evaluated(sides: tuple[Side, Side], statistics: StatisticsOf, unknown: list[str]) -> list[_Pair]:
    two = [side.evaluated for side in sides]
    if not all(two):
        return []
    if len(two[0]) != len(two[1]):
        unknown.append(
            "Drift of the evaluated data is not known: the Evaluators read"
            f" {len(two[0])} and {len(two[1])} Examples, which do not pair."
        )
        return []
    splits = splits_of(EVAL, sides[1])
    pairs = []
    for baseline, candidate in zip(*two, strict=True):
        found = [
            _own(side, statistics.get(a.id, ())) for side, a in zip(sides, (baseline, candidate), strict=True)
        ]
        if found[0] and found[1]:
            pairs.append(_Pair("the evaluated data", found[0], found[1], True, splits))
        else:
            gone = [a for a, one in zip((baseline, candidate), found, strict=True) if not one]
            names = wording.joined([of_artifact(artifact).label for artifact in gone])
            unknown.append(
                f"Drift of the evaluated data is not known: the store has no ExampleStatistics of {names}."
            )
    return pairs


def _own(side: Side, found: Sequence[Artifact]) -> Artifact | None:
    """Of statistics of the same Examples those of the run itself, else the first."""
    return next(
        (artifact for artifact in found if artifact.id in side.detail.artifacts), next(iter(found), None)
    )


def _of_nodes(sides: tuple[Side, Side], done: Iterable[_Pair]) -> list[_Pair]:
    """Statistics of nodes that both runs have, but for those that are compared already."""
    seen = {(pair.baseline.id, pair.candidate.id) for pair in done}
    two = [side.made("ExampleStatistics") for side in sides]
    pairs = []
    for place in sorted(two[0].keys() & two[1].keys()):
        node, channel, _ = place
        baseline, candidate = two[0][place], two[1][place]
        if (baseline.id, candidate.id) not in seen:
            what = f"{channel} of {node}" if channel != "statistics" else f"the data of {node}"
            pairs.append(_Pair(what, baseline, candidate, False, ()))
    return pairs


def _of_splits(
    pair: _Pair,
    baseline: Mapping[str, SplitDistributions],
    candidate: Mapping[str, SplitDistributions],
    limits: Limits,
    found: tuple[list[Changed], list[str], list[str]],
) -> None:
    items, same, unknown = found
    for split in [*candidate, *(name for name in baseline if name not in candidate)]:
        data = f"{pair.what}, split {split}" if split else pair.what
        if split not in baseline or split not in candidate:
            where = "baseline" if split in candidate else "candidate"
            unknown.append(f"Drift of {data} is not known: the {where} has no statistics of that split.")
            continue
        if not baseline[split].examples or not candidate[split].examples:
            unknown.append(f"Drift of {data} is not known: one side has no examples in it.")
            continue
        weighted = candidate[split].has_weights
        drifts = of_features(data, baseline[split], candidate[split], limits)
        left_out = len(baseline[split].left_out | candidate[split].left_out)
        if left_out:
            unknown.append(
                f"Drift of {wording.counted(left_out, 'more feature')} in {data} is not known: the panel compares the "
                f"first {distributions.MAX_FEATURES:,} of each side."
            )
        if not any(drift.has_drifted for drift in drifts):
            compared = wording.counted(len(drifts), "feature") if left_out else "each feature"
            same.append(f"Distribution of {compared} in {data}")
            continue
        read = pair.is_evaluated and split in pair.splits
        kept = tuple(drifts[:MAX_FEATURES])
        details = DriftOfData(data, split, read, weighted, kept, len(drifts), len(drifts) > len(kept))
        items.append(
            Changed(
                "drift",
                _sentence(data, drifts),
                f"{baseline[split].examples:,} examples",
                f"{candidate[split].examples:,} examples",
                (of_artifact(pair.baseline),),
                (of_artifact(pair.candidate),),
                details,
            )
        )


def _more_missing(drift: Drift) -> str:
    """How much more or less often the feature is missing; "" unless by five percent of the examples."""
    shares = [side.missing if side else None for side in (drift.baseline, drift.candidate)]
    if shares[0] is None or shares[1] is None or abs(shares[1] - shares[0]) < 0.05:
        return ""
    return f"{drift.feature} {wording.share(shares[0])} → {wording.share(shares[1])}"


def of_features(
    data: str, baseline: SplitDistributions, candidate: SplitDistributions, limits: Limits
) -> list[Drift]:
    """Drift of each feature of two datasets, beyond their threshold first, then by distance.

    Without those that are left out on either side: whether they came or went is not known.

    Args:
      data: Which data it is.
      baseline: The earlier dataset.
      candidate: The later one; as in TFDV its weights decide whether both are counted by weight.
      limits: Thresholds by feature and measure.
    """
    weighted = candidate.has_weights
    ours = candidate.weighted if weighted else candidate.features
    theirs = baseline.weighted if weighted else baseline.features
    left_out = baseline.left_out | candidate.left_out
    made = []
    for path in dict.fromkeys([*ours, *theirs]):
        if path in left_out:
            continue
        one, two = theirs.get(path), ours.get(path)
        name = (two or one or Distribution("", "", 0, 0, 0, {}, None, {}, False, False)).name
        distances = _distances(name, one, two, limits) if one and two else ()
        judged = [found.is_beyond for found in distances if found.threshold is not None]
        bars = _bars(one, two) if one and two else ()
        beyond = any(judged) if judged else None
        made.append(Drift(name, data, distances, beyond, _side(one), _side(two), bars))
    return sorted(made, key=lambda one: (not one.beyond, -_rank(one), one.feature))


def _rank(drift: Drift) -> float:
    """Features that came or went first."""
    if drift.baseline is None or drift.candidate is None:
        return 2.0
    return drift.value or 0.0


def _distances(
    name: str, baseline: Distribution, candidate: Distribution, limits: Limits
) -> tuple[Distance, ...]:
    limit = limits.get((name, JENSEN_SHANNON), Limit(None, STANDARD))
    if baseline.categorical or candidate.categorical:
        if not (baseline.values or candidate.values):
            return ()
        value, of = l_infinity(baseline.values, candidate.values)
        bound = limits.get((name, L_INFTY), Limit(None, "")).threshold
        divergence = divergence_of_values(baseline.values, candidate.values)
        first = Distance(L_INFTY, value, bound, of)
        return (first,) if divergence is None else (
            first, Distance(JENSEN_SHANNON, divergence, limit.threshold)
        )  # fmt: skip
    histograms = baseline.histograms.get(limit.histogram), candidate.histograms.get(limit.histogram)
    if histograms[0] is None or histograms[1] is None:
        return ()
    divergence = divergence_of_numbers(histograms[0], histograms[1])
    return () if divergence is None else (Distance(JENSEN_SHANNON, divergence, limit.threshold),)


def _bars(baseline: Distribution, candidate: Distribution) -> tuple[Bar, ...]:
    two = (baseline, candidate)
    if any(one.values for one in two):
        totals = [sum(one.values.values()) or 1.0 for one in two]
        shares = {
            name: [one.values.get(name, 0.0) / total for one, total in zip(two, totals, strict=True)]
            for name in dict.fromkeys([*baseline.values, *candidate.values])
        }
        most = sorted(shares, key=lambda name: -max(shares[name]))[:MAX_BARS]
        return tuple(Bar(wording.value(name), *shares[name]) for name in most)
    histograms = baseline.histograms.get(STANDARD), candidate.histograms.get(STANDARD)
    return _bars_of_numbers(histograms[0], histograms[1]) if histograms[0] and histograms[1] else ()


def _bars_of_numbers(baseline: Histogram, candidate: Histogram) -> tuple[Bar, ...]:
    finite = [
        [b for b in found.buckets if math.isfinite(b.low) and math.isfinite(b.high) and b.count]
        for found in (baseline, candidate)
    ]
    bounds = [bound for some in finite for b in some for bound in (b.low, b.high)]
    if not bounds or not math.isfinite(max(bounds) - min(bounds)):
        return ()
    low, width = min(bounds), (max(bounds) - min(bounds)) / MAX_BARS
    edges = [low + place * width for place in range(MAX_BARS + 1)] if width else [low, low]
    shares = [_in_bars(some, edges) for some in finite]
    return tuple(
        Bar(f"{wording.value(edges[place])} – {wording.value(edges[place + 1])}", one, two)
        for place, (one, two) in enumerate(zip(*shares, strict=True))
    )


def _in_bars(buckets: Sequence[Bucket], edges: Sequence[float]) -> list[float]:
    """Shares of values between each two edges, if they are spread evenly within their buckets."""
    counts = [0.0] * (len(edges) - 1)
    for bucket in buckets:
        for place in range(len(counts)):
            if bucket.low == bucket.high:
                is_last = place == len(counts) - 1
                inside = edges[place] <= bucket.low and (bucket.low < edges[place + 1] or is_last)
                counts[place] += bucket.count if inside else 0.0
            else:
                overlap = min(bucket.high, edges[place + 1]) - max(bucket.low, edges[place])
                counts[place] += max(overlap, 0.0) / (bucket.high - bucket.low) * bucket.count
    total = sum(counts) or 1.0
    return [count / total for count in counts]


def _side(found: Distribution | None) -> FeatureSide | None:
    if found is None:
        return None
    examples = found.present + found.missing
    standard = found.histograms.get(STANDARD)
    return FeatureSide(
        found.type,
        found.missing / examples if examples else None,
        standard.nan if standard else 0,
        dataclasses.replace(
            standard, buckets=standard.buckets[:MAX_BUCKETS], cut=len(standard.buckets) > MAX_BUCKETS
        )
        if standard
        else None,
        dataclasses.replace(
            found.ranks,
            buckets=found.ranks.buckets[:MAX_BUCKETS],
            cut=found.ranks.cut or len(found.ranks.buckets) > MAX_BUCKETS,
        )
        if found.ranks
        else None,
    )


def _sentence(data: str, drifts: Sequence[Drift]) -> str:
    beyond = [drift for drift in drifts if drift.beyond]
    judged = [drift for drift in drifts if drift.beyond is not None]
    parts: list[str] = []
    if judged:
        parts.append(
            f"{len(beyond):,} of {wording.counted(len(judged), 'feature')} with a threshold beyond it"
        )
    one_sided = [drift for drift in drifts if drift.baseline is None or drift.candidate is None]
    if one_sided:
        parts.append(f"only on one side {wording.some([drift.feature for drift in one_sided], 3)}")
    told = [drift for drift in drifts if drift not in one_sided and drift.value]
    disjoint = [drift.feature for drift in told if not drift.beyond and (drift.value or 0) >= _DISJOINT]
    if disjoint:
        parts.append(f"no value in common {wording.some(disjoint, 3)}")
    parts += [_most(drift) for drift in told if drift.feature not in disjoint][:2]
    missing = list(filter(None, map(_more_missing, drifts)))
    if missing:
        parts.append(f"missing: {wording.some(missing, 2)}")
    if not parts:
        parts.append("features are missing, or NaN, more or less often")
    return f"Drift of {data}: {'; '.join(parts)}"


def _most(drift: Drift) -> str:
    first = drift.distances[0]
    text = f"{drift.feature} {first.value:.3g} ({_SHORT[first.measure]}"
    if first.threshold is not None:
        text += f", threshold {first.threshold:.3g}"
    if first.value_of:
        text += f", most of it “{wording.value(first.value_of)}”"
    return text + ")"
