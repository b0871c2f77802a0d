"""Distances between distributions are those that TFDV measures in the same statistics."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from mlmd_panel.evaluation.changes.changed import Findings
from mlmd_panel.evaluation.changes.distances import (
    aligned,
    divergence_of_numbers,
    divergence_of_values,
    l_infinity,
)
from mlmd_panel.evaluation.changes.drift import JENSEN_SHANNON, L_INFTY, Drift, Limit, compare, of_features
from mlmd_panel.evaluation.changes.sides import Side
from mlmd_panel.files import protos
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import distributions, statistics
from mlmd_panel.payloads.data.distributions import SplitDistributions
from mlmd_panel.payloads.data.histograms import Bucket, Histogram
from mlmd_panel.store.records import Artifact, RunDetail

from tests.panel.data_artifacts import official_data
from tests.panel.evaluation import evaluations

DATASETS = ("before", "now", "before weighted", "now weighted")


def _read(name: str) -> SplitDistributions:
    data = official_data()
    return distributions.read(data.artifact(f"drift/{name}"), data.files).splits[""]


def _drift(baseline: str, candidate: str, histogram: str = "STANDARD") -> dict[str, Drift]:
    read = _read(baseline), _read(candidate)
    names = {d.name for one in read for d in one.features.values()}
    limits = {(name, JENSEN_SHANNON): Limit(0.0, histogram) for name in names}
    return {drift.feature: drift for drift in of_features("", *read, limits)}


@pytest.mark.parametrize("histogram", ["", "STANDARD", "QUANTILES"])
@pytest.mark.parametrize("candidate", DATASETS)
@pytest.mark.parametrize("baseline", DATASETS)
def test_each_distance_is_tfdvs(baseline: str, candidate: str, histogram: str) -> None:
    official = official_data().answers["drift"][histogram][baseline][candidate]
    assert len(official) > 20
    found = _drift(baseline, candidate, histogram or "STANDARD")
    for feature, figures in official.items():
        ours = {one.measure: one.value for one in found[feature].distances}
        # Of numbers TFDV measures L-infinity too, over no values: it is always 0.
        theirs = {k: v for k, v in figures.items() if k == JENSEN_SHANNON or L_INFTY in ours or v}
        assert ours == pytest.approx(theirs, abs=1e-9, rel=0), feature
    one_sided = found.keys() - official.keys()
    assert all(not found[name].distances for name in one_sided)


def test_the_pairs_have_every_kind_of_drift() -> None:
    found = _drift("before", "now")
    values = {name: drift.value for name, drift in found.items()}
    assert values["disjoint"] == values["other constant"] == values["nans"] == 1.0
    assert values["same"] == values["constant"] == 0.0
    assert values["empty"] is values["empty now"] is values["only now"] is None
    assert 0 < (values["word"] or 0) < 1 and 0 < (values["some nan"] or 0) < 1
    assert found["only now"].baseline is None and found["only before"].candidate is None
    assert found["word"].distances[0].value_of in ("Zürich", "🚕 é")
    assert {drift.candidate.type for drift in found.values() if drift.candidate} == {"INT", "FLOAT", "STRING"}
    weighted = _drift("before weighted", "now weighted")
    assert weighted["fare"].value != found["fare"].value


def test_both_histograms_are_those_that_pages_show() -> None:
    data = official_data()
    read = statistics.read(data.artifact("drift/now"), data.files).splits[0].datasets[0]
    found = _drift("before", "now")
    for name in ("fare", "number", "some nan"):
        feature = read.feature(name)
        assert feature and feature.numeric
        standard = next(h for h in feature.numeric.histograms if h.kind == "STANDARD")
        side = found[name].candidate
        assert side and side.histogram == standard and side.nan == feature.numeric.nan
    city, side = read.feature("city"), found["city"].candidate
    assert city and city.strings and side and side.ranks == city.strings.ranks
    many = found["many"].candidate
    assert many and many.ranks and many.ranks.cut and len(many.ranks.buckets) == 50


def test_shares_of_missing_values_are_beside_the_distance() -> None:
    missing = _drift("before", "now")["missing"]
    assert missing.baseline and missing.candidate
    assert (missing.baseline.missing, missing.candidate.missing) == (0.5, 0.2)
    assert missing.has_drifted
    assert not _drift("now", "now")["missing"].has_drifted


def test_l_infinity_names_the_value_whose_share_changed_most() -> None:
    assert l_infinity({"a": 1, "b": 1}, {"a": 3, "c": 1}) == (0.5, "b")
    assert l_infinity({}, {}) == (0.0, "")
    assert divergence_of_values({"a": 1}, {}) is None


def test_buckets_are_cut_at_each_others_bounds() -> None:
    one = _histogram((0, 2, 4), (2, 4, 4))
    two = _histogram((1, 3, 6), (3, 3, 2), nan=1)
    # 0 to 1, to 2, to 3, to 4, then the single value 3; NaN are left out, as by TFDV.
    assert aligned(one, two) == ([2.0, 2.0, 2.0, 2.0, 0.0], [0.0, 3.0, 3.0, 0.0, 2.0])
    assert aligned(one, _histogram((0, 2, 1), (2, 4, 1), nan=1))[1] == [1, 1, 1.0, 0.0]
    endless = _histogram((-math.inf, 0, 3), (0, 2, 4), (2, 4, 4))
    assert aligned(one, endless) == ([4, 4, 0.0], [4, 4, 3])
    assert divergence_of_numbers(one, _histogram()) is None


def _histogram(*buckets: tuple[float, float, float], nan: int = 0) -> Histogram:
    return Histogram("STANDARD", "", nan, 0, tuple(Bucket(*one) for one in buckets), False)


def _numbers(folder: Path, names: Sequence[str], moved: str = "") -> Artifact:
    """Statistics of numbers, in this order, of which those of one feature have moved."""
    made = protos.message("tensorflow.metadata.v0.DatasetFeatureStatisticsList")()
    dataset = made.datasets.add(num_examples=10)
    for name in names:
        feature = dataset.features.add()
        feature.path.step.append(name)
        feature.num_stats.common_stats.num_non_missing = 10
        histogram = feature.num_stats.histograms.add()
        start = 5 if name == moved else 0
        histogram.buckets.add(low_value=start, high_value=start + 1, sample_count=10)
    (folder / "Split-eval").mkdir(parents=True)
    (folder / "Split-eval/FeatureStats.pb").write_bytes(made.SerializeToString())
    return dataclasses.replace(evaluations.artifact(int(folder.name), "ExampleStatistics"), uri=str(folder))


def _compared(folder: Path, baseline: Artifact, candidate: Artifact) -> Findings:
    """What is found of two runs that evaluated data with these statistics."""
    sides, statistics_of = [], {}
    for number, (name, found) in enumerate((("baseline", baseline), ("candidate", candidate)), 1):
        examples, run = evaluations.artifact(number, "Examples"), evaluations.run(number)
        detail = RunDetail(run.run, (), (), {})
        sides.append(Side(name, run, detail, {}, None, (examples,), None, None, None, {}, (), False))
        statistics_of[number] = (found,)
    return compare((sides[0], sides[1]), statistics_of, Files([str(folder)]))


def test_features_that_are_not_read_are_called_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributions, "MAX_FEATURES", 3)
    before = _numbers(tmp_path / "1", ["a", "b", "c", "d"])
    # A feature that came moves another one beyond the limit, which is not gone.
    now = _numbers(tmp_path / "2", ["a", "b", "new", "c", "d"], moved="d")
    same = _compared(tmp_path, before, _numbers(tmp_path / "3", ["a", "b", "c", "d"], moved="d"))
    where = "the evaluated data, split eval"
    assert same.same == (f"Distribution of 3 features in {where}",) and same.items == ()
    assert same.unknown == (
        f"Drift of 1 more feature in {where} is not known: the panel compares the first 3 of each side.",
    )
    found = _compared(tmp_path, before, now)
    [item] = found.items
    assert {one.feature for one in item.details.features if one.has_drifted} == {"new"}
    assert "2 more features" in found.unknown[0]
    monkeypatch.undo()
    whole = _compared(tmp_path, before, now)
    assert {one.feature for one in whole.items[0].details.features if one.has_drifted} == {"new", "d"}
    assert whole.unknown == ()
