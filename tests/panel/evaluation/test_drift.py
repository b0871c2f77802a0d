"""Distances between distributions are those that TFDV measures in the same statistics."""

from __future__ import annotations

import math

import pytest
from mlmd_panel.evaluation.changes.distances import (
    aligned,
    divergence_of_numbers,
    divergence_of_values,
    l_infinity,
)
from mlmd_panel.evaluation.changes.drift import JENSEN_SHANNON, L_INFTY, Drift, Limit, of_features
from mlmd_panel.payloads.data import distributions, statistics
from mlmd_panel.payloads.data.distributions import SplitDistributions
from mlmd_panel.payloads.data.histograms import Bucket, Histogram

from tests.panel.data_artifacts import official_data

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
