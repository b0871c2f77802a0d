"""Lines over runs hold what TFMA and TFDV wrote of each, and say why there is nothing."""

from __future__ import annotations

import dataclasses

import pytest
from mlmd_panel.evaluation import feature_trend, readings, trend
from mlmd_panel.evaluation.decay import EFFECTS, VALUES
from mlmd_panel.evaluation.kept import Kept
from mlmd_panel.evaluation.trend_runs import TrendRun, last_runs
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import statistics
from mlmd_panel.payloads.evaluation import evaluation
from mlmd_panel.payloads.evaluation.metrics import MetricKey

from tests.panel.evaluation.judged import run
from tests.panel.written import FIRST, SECOND, Written, written


@pytest.fixture(scope="module")
def made() -> Written:
    return written()


@pytest.fixture
def files(made: Written) -> Files:
    return Files([str(made.folder)])


def _runs(made: Written, *names: str, blessed: bool | None = True) -> list[TrendRun]:
    """Runs with those evaluations, each model compared with that of the run before; "" is a run without."""
    found = []
    for number, name in enumerate(names, 1):
        uri = str(made.folder / "evaluation" / name) if name else ""
        summary = run(number, uri, blessed)
        found.append(TrendRun(summary, 100 + number, 99 + number if number > 1 else None, None))
    return found


def test_a_line_has_values_intervals_and_gaps(made: Written, files: Files) -> None:
    runs = _runs(made, "compared", "", "bootstrap", "nowhere", "compared")
    found = trend.of_runs(files, runs, ["area"], ["Overall", "language: de"])

    assert [(line.metric, line.slice) for line in found.lines] == [
        ("area", "Overall"),
        ("area", "language: de"),
    ]
    artifact = runs[0].summary.evaluation
    assert artifact is not None
    payload = evaluation.read(artifact, files, parts=())
    for line in found.lines:
        [part] = [one for one in payload.slices if one.slice.name == line.slice]
        metric = part.metric(MetricKey("area", "candidate", weighted=False))
        assert metric is not None and metric.interval is not None
        first, none, other, gone, last = line.points
        assert (first.value, first.lower, first.upper) == (
            metric.value,
            metric.interval.lower,
            metric.interval.upper,
        )
        assert (last.value, first.examples, first.gap) == (first.value, part.examples, "")
        assert [point.value for point in (none, other, gone)] == [None, None, None]
        assert none.gap == "The run has no evaluation."
        assert other.gap == ("No such metric." if line.slice == "Overall" else "No such slice.")
        assert gone.gap
        assert line.gaps == 3


def test_without_a_choice_the_metrics_with_thresholds_are_shown(made: Written, files: Files) -> None:
    found = trend.of_runs(files, _runs(made, "compared"), [], [])
    assert found.slices == ("Overall",)
    assert set(found.metrics) <= {"area", "binary_accuracy", "precision", "mean_label"}
    assert "area" in found.metrics
    assert "area_diff" in found.available_metrics
    assert not any("baseline" in name for name in found.available_metrics)
    assert "language: 日本" in found.available_slices


def test_what_no_run_has_is_told(made: Written, files: Files) -> None:
    found = trend.of_runs(files, _runs(made, "compared"), ["area", "nothing"], ["Overall", "nowhere"])
    assert (found.unknown_metrics, found.unknown_slices) == (("nothing",), ("nowhere",))
    several = trend.of_runs(files, _runs(made, "compared"), ["*"], list(found.available_slices))
    assert len(several.lines) == trend.MAX_LINES
    assert several.left_out == len(several.metrics) * len(found.available_slices) - trend.MAX_LINES


def test_decay_adds_the_effects_that_tfma_paired(made: Written, files: Files) -> None:
    runs = _runs(made, "compared", "compared", "compared")
    found = trend.of_runs(files, runs, ["binary_accuracy"], [], allowed=0.5)

    artifact = runs[0].summary.evaluation
    assert artifact is not None
    overall = evaluation.read(artifact, files, parts=()).overall_slice
    assert overall is not None
    effect = overall.metric(MetricKey("binary_accuracy", "candidate", weighted=False, is_diff=True))
    assert effect is not None
    decay = found.decays[0]
    assert (decay.of, decay.baseline, decay.allowed) == (EFFECTS, 1, 0.5)
    assert [total.change for total in decay.totals] == [
        pytest.approx(effect.value),
        pytest.approx(2 * effect.value),
    ]


def test_decay_starts_at_the_pinned_run_and_knows_no_rejected_one(made: Written, files: Files) -> None:
    runs = _runs(made, *["compared"] * 4)
    pinned = trend.of_runs(files, runs, ["binary_accuracy"], [], pinned=2, allowed=0.5)
    assert (pinned.decays[0].baseline, len(pinned.decays[0].totals)) == (2, 2)
    rejected = dataclasses.replace(runs[1], summary=dataclasses.replace(runs[1].summary, blessed=False))
    found = trend.of_runs(files, [runs[0], rejected, *runs[2:]], ["binary_accuracy"], [], allowed=0.5)
    assert [total.run for total in found.decays[0].totals] == [3, 4]
    # Run 3 was compared with the rejected one, so that its effect does not lead to run 1.
    assert found.decays[0].of == VALUES


def test_the_allowed_change_is_that_of_the_threshold(made: Written, files: Files) -> None:
    found = trend.of_runs(files, _runs(made, "compared", "compared"), ["area"], ["Overall", "language: de"])
    overall, of_slice = found.lines
    assert (overall.allowed, of_slice.allowed) == (None, 0.01)
    # Its thresholds disagree on what is better, but not that on the change in the slice.
    assert (overall.better, of_slice.better) == (None, "higher")
    assert set(found.decays) == {1}


def test_runs_of_a_store_know_their_models_and_statistics(made: Written) -> None:
    runs = last_runs(made.panel.store.for_request(), None, ["taxi"], 25)
    assert [row.summary.run.run_id for row in runs] == [FIRST, SECOND]
    # The second read its model in another channel.
    assert [row.model for row in runs] == [made.ids["model"], None]
    first, second = runs
    assert first.statistics is not None and first.statistics.id == made.ids["statistics"]
    assert second.statistics is None
    branches = last_runs(made.panel.store.for_request(), None, ["regions"], 25)
    assert {row.summary.name for row in branches} == {"north", "south", "each [0]", "each [1]"}
    assert len({row.line for row in branches}) == 4


def test_a_feature_over_runs(made: Written, files: Files) -> None:
    [one] = [row for row in last_runs(made.panel.store.for_request(), None, ["taxi"], 25) if row.statistics]
    runs = [one, dataclasses.replace(one, statistics=None), one]
    known = feature_trend.of_runs(files, runs, [], "", 5)
    assert known.split == "train"
    assert known.lines == ()
    assert one.statistics is not None
    payload = statistics.read(one.statistics, files)
    [dataset, *_] = next(split for split in payload.splits if split.split == "train").datasets
    numeric = next(f for f in dataset.features if f.numeric and f.numeric.mean is not None and f.present)
    strings = next(f for f in dataset.features if f.strings and f.strings.top and f.strings.ranks)

    found = feature_trend.of_runs(files, runs, [numeric.name, strings.name], "", 5)

    assert numeric.numeric and strings.strings
    line, other = found.lines
    assert [point.gap for point in line.points] == ["", "The run has no statistics.", ""]
    first, _, last = line.points
    assert (first.mean, first.examples) == (numeric.numeric.mean, dataset.examples)
    assert (first.before, first.rolling, first.rolling_over) == (None, None, 0)
    assert (last.before, last.rolling, last.rolling_over, last.measure) == (0.0, 0.0, 1, "Jensen-Shannon")
    assert other.points[0].top == strings.strings.top[0].value
    assert other.points[2].before == 0.0
    assert other.points[2].measure == "L-infinity"
    gone = feature_trend.of_runs(files, runs, ["no such"], "", 5).lines[0]
    assert {point.gap for point in gone.points} == {"No such feature.", "The run has no statistics."}


def test_drift_is_that_of_both_splits(made: Written, files: Files) -> None:
    [one] = [row for row in last_runs(made.panel.store.for_request(), None, ["taxi"], 25) if row.statistics]
    assert one.statistics is not None
    names = feature_trend.of_runs(files, [one], [], "", 5).available
    drifts = []
    for name in names:
        sides = [feature_trend.feature_of(one.statistics, files, split, name) for split in ("train", "eval")]
        if sides[0].distribution and sides[1].distribution:
            found = feature_trend.drift(sides[0].distribution, sides[1].distribution)
            drifts += [found[0]] if found else []
    assert drifts and all(0 <= value <= 1 for value in drifts)
    assert any(value > 0 for value in drifts)


def test_readings_are_kept_within_bounds(
    made: Written, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "_kept", Kept(100_000, readings._cost))
    artifact = run(1, str(made.folder / "evaluation" / "compared")).evaluation
    assert artifact is not None
    first = readings.read(artifact, files, frozenset({"Overall"}))
    assert readings.read(artifact, files, frozenset({"Overall"})) is first
    assert [part.slice.name for part in first.parts] == ["Overall"]
    assert len(first.slices) > 3
    monkeypatch.setattr(readings, "_kept", Kept(3, readings._cost))
    assert readings.read(artifact, files, None) is not readings.read(artifact, files, None)
