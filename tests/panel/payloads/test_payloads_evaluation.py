"""Evaluations, plots, attributions and verdicts equal what TFMA reads from the same files."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlmd_panel.errors import PayloadError, PayloadGone
from mlmd_panel.files import protos, tfrecord
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import (
    attributions,
    eval_config,
    evaluation,
    plots,
    shards,
    slice_metrics,
    slice_records,
    slices,
    validation,
)
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.metrics import Metric
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.payloads.model import blessing
from mlmd_panel.payloads.read import read
from mlmd_panel.store.records import Artifact, Property
from mlmd_panel.web import charts

from tests.panel.mutations import MUTATIONS
from tests.panel.raw_bytes import record, varint
from tests.panel.written import written

NAMES = (
    "compared",
    "classes",
    "bootstrap",
    "no_thresholds",
    "models",
    "rivals",
    "outputs",
    "labels",
    "many",
    "regression",
    "zones",
)
_WITH_PLOTS = ("compared", "classes", "models", "outputs", "labels", "many")


@pytest.fixture(scope="session")
def evaluations() -> Path:
    return written().folder / "evaluation"


@pytest.fixture(scope="session")
def answers(evaluations: Path) -> dict[str, Any]:
    return json.loads((evaluations / "answers.json").read_text())


def _artifact(uri: Path, type_: str = "ModelEvaluation", **properties: Any) -> Artifact:
    found = tuple(Property(name, value, "string", True) for name, value in properties.items())
    return Artifact(1, type_, "", str(uri), "LIVE", 0, 0, found)


def _read(folder: Path, **arguments: Any) -> EvaluationPayload:
    return evaluation.read(_artifact(folder), Files([str(folder)]), **arguments)


def _json_slice(slice_: Slice) -> Any:
    own = [list(pair) for pair in slice_.pairs]
    return own if slice_.baseline is None else [[list(pair) for pair in slice_.baseline], own]


def _json_number(value: float) -> Any:
    """As protobuf's JSON writes a double."""
    if math.isnan(value):
        return "NaN"
    return ("Infinity" if value > 0 else "-Infinity") if math.isinf(value) else value


def _json_row(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Protobuf's JSON leaves out what is 0."""
    return {names[name]: _json_number(value) for name, value in row.items() if value != 0}


_COUNTS = {
    "threshold": "threshold",
    "true_positives": "truePositives",
    "false_positives": "falsePositives",
    "true_negatives": "trueNegatives",
    "false_negatives": "falseNegatives",
    "precision": "precision",
    "recall": "recall",
}
# Ratios that TFMA writes beside the counts, and that the panel does not show.
_DERIVED = ("f1", "accuracy", "falsePositiveRate", "falseOmissionRate")


def _json_metric(metric: Metric) -> dict[str, Any]:
    """As view_util shows it: an interval turns a number into a bounded value."""
    assert not metric.cut
    if metric.kind == "number" and metric.interval:
        bounds = {
            "lowerBound": metric.interval.lower,
            "upperBound": metric.interval.upper,
            "value": metric.value,
        }
        return {"boundedValue": {name: _json_number(value) for name, value in bounds.items()}}
    if metric.kind == "number":
        return {"doubleValue": _json_number(metric.value)}
    if metric.kind == "confusion_matrices":
        return {
            "confusionMatrixAtThresholds": {"matrices": [_json_row(row, _COUNTS) for row in metric.value]}
        }
    assert metric.kind == "multi_class_confusion_matrices", metric
    matrices: dict[float, list] = {}
    names = {"actual": "actualClassId", "predicted": "predictedClassId", "examples": "numWeightedExamples"}
    for row in metric.value:
        cells = matrices.setdefault(row["threshold"], [])
        cells.append(_json_row({name: row[name] for name in names}, names))
    found = [{"threshold": threshold, "entries": cells} for threshold, cells in matrices.items()]
    return {"multiClassConfusionMatrixAtThresholds": {"matrices": found}}


def _without_derived(found: Any) -> Any:
    if isinstance(found, dict):
        # Of an average TFMA's view takes the text of a message for its name.
        plain = {name.replace("_average: true\n", ""): value for name, value in found.items()}
        return {name: _without_derived(value) for name, value in plain.items() if name not in _DERIVED}
    return [_without_derived(one) for one in found] if isinstance(found, list) else found


def _sorted(rows: list[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_of_every_slice_equals_tfma(
    name: str, evaluations: Path, answers: dict[str, Any]
) -> None:
    payload = _read(evaluations / name, parts=())

    for model, official in answers[name]["results"].items():
        found = []
        for part in payload.slices:
            tree: dict[str, Any] = {}
            for metric in part.metrics:
                if metric.key.model in (model, ""):
                    subs = tree.setdefault(metric.key.output, {}).setdefault(metric.key.sub_key, {})
                    subs[metric.key.metric] = _json_metric(metric)
            if part.error:
                tree = {"": {"": {"__ERROR__": {"debugMessage": part.error}}}}
            found.append([_json_slice(part.slice), tree])
        expected = [[slice_, _without_derived(tree)] for slice_, tree in official["metrics"]]
        assert _sorted(found) == _sorted(expected)


def test_slices_are_sorted_for_people_and_named(evaluations: Path) -> None:
    names = [part.slice.name for part in _read(evaluations / "compared", parts=()).slices]

    assert names[:2] == ["Overall", "hour: 3"]
    assert names[2:5] == ["language: de", "language: fr", "language: 日本"]
    assert "hour: 2, language: fr" in names
    assert names[-1] == "Overall against language: de"


def test_long_values_that_begin_alike_are_different_slices() -> None:
    values = ["x" * 1500 + end for end in ("a", "b")]
    found = []
    for value in values:
        key = protos.message("tensorflow_model_analysis.MetricsForSlice")()
        key.slice_key.single_slice_keys.add(column="text", bytes_value=value.encode())
        found.append(slices.slice_of(key))
        spec = protos.message("tensorflow_model_analysis.SlicingSpec")(feature_values={"text": value})
        assert [slices.selects(slices.spec_of(spec), one) for one in found] == [False] * (len(found) - 1) + [
            True
        ]
    assert found[0] != found[1] and found[0].name != found[1].name
    assert all(len(one.name) < 1100 for one in found)


@pytest.mark.parametrize("name", ["compared", "bootstrap"])
def test_intervals_hold_standard_error_and_degrees_of_freedom(
    name: str, evaluations: Path, answers: dict[str, Any]
) -> None:
    found = []
    for part in _read(evaluations / name, parts=()).slices:
        for metric in part.metrics:
            if metric.interval and metric.kind == "number":
                interval = metric.interval
                key = metric.key
                found.append(
                    [
                        _json_slice(part.slice),
                        [
                            key.name,
                            key.model,
                            key.output,
                            key.sub_key,
                            key.aggregation,
                            key.weighted,
                            key.is_diff,
                        ],
                        _json_number(interval.standard_error),
                        interval.degrees_of_freedom,
                    ]
                )

    expected = [
        [slice_, key, error["standardError"]["doubleValue"], int(error["degreesOfFreedom"])]
        for slice_, key, error in answers[name]["errors"]
        if "doubleValue" in error["standardError"]
    ]
    assert found
    assert _sorted(found) == _sorted(expected)


def test_overall_numbers_of_the_candidate_by_plain_name(evaluations: Path) -> None:
    payload = _read(evaluations / "compared", parts=())
    [overall] = [part for part in payload.slices if part.slice.is_overall]
    area = next(
        m
        for m in overall.metrics
        if m.key.name == "area" and m.key.model == "candidate" and not m.key.is_diff
    )

    found = {key.label: number for key, number in payload.overall().items()}
    assert found["area"] == area.value
    assert found["example_count"] == overall.examples == 90
    assert "area_diff" not in found
    assert (payload.candidates, payload.baseline) == (("candidate",), "baseline")
    assert (payload.config.intervals, payload.span, payload.config.file_format) == ("JACKKNIFE", 12, "rows")
    assert [spec.name for spec in payload.config.slicing] == [
        "Overall",
        "each language",
        "hour: 3",
        "each hour, language: fr",
        "Overall against language: de",
    ]


def test_weighted_and_unweighted_metrics_are_told_apart(evaluations: Path) -> None:
    payload = _read(evaluations / "classes", parts=())

    overall = {key.label: number for key, number in payload.overall().items()}
    assert "precision (classId:2)" in overall and "precision (classId:2), weighted" in overall
    assert "macro_precision, weighted" in overall
    assert overall["weighted_example_count"] == sum(0.5 + number % 2 for number in range(40))
    [few] = [part for part in payload.slices if part.slice.name == "language: few"]
    assert few.error and not few.metrics and few.examples is None


_SIDES = {"lower": "lowerBound", "upper": "upperBound", "absolute": "absolute", "relative": "relative"}


def _bounds(threshold: dict[str, Any]) -> list[tuple[str, float | None, str]]:
    """Kind, limit and direction of each bound of a threshold; of one without bounds an empty one."""
    direction = threshold.get("direction", "").replace("_", " ").lower()
    found = [(side, threshold[field], direction) for side, field in _SIDES.items() if field in threshold]
    return found or [("", None, "")]


@pytest.mark.parametrize("name", NAMES)
def test_every_verdict_equals_tfma(name: str, evaluations: Path, answers: dict[str, Any]) -> None:
    verdict = _read(evaluations / name, parts=("validation",)).validation
    assert verdict is not None

    groups: dict[str, bool] = {}
    for check in verdict.checks:
        assert check.recorded and check.passed is not None
        key = check.key
        names = [key.name, key.model, key.output, key.sub_key, key.aggregation, key.weighted, key.is_diff]
        limit = None if check.limit is None else _json_number(check.limit)
        place = json.dumps([_json_slice(check.slice), names, check.bound, limit, check.direction])
        groups[place] = check.passed
    expected: dict[str, bool] = {}
    for slice_, names, bounds, _ in answers[name]["checks"]:
        for row in _bounds(bounds):
            expected[json.dumps([slice_, names, *row])] = True
    assert set(groups) == set(expected)
    # A threshold with two bounds fails when one of them does.
    for slice_, names, bounds, ok in answers[name]["checks"]:
        assert all(groups[json.dumps([slice_, names, *row])] for row in _bounds(bounds)) == ok

    official = answers[name]["verdict"]
    assert verdict.disagreements == 0
    assert verdict.ok == official.get("validationOk", False)
    assert verdict.rubber_stamp == official.get("rubberStamp", False) == (name == "bootstrap")
    assert verdict.missing_thresholds == official.get("missingThresholds", False)
    assert len(verdict.missing_slices) == len(official.get("missingSlices", []))
    assert len(verdict.missing_cross_slices) == len(official.get("missingCrossSlices", []))
    counts = [count for _, count in verdict.details]
    details = official.get("validationDetails", {}).get("slicingDetails", [])
    assert counts == [detail["numMatchingSlices"] for detail in details]


def test_margins_and_missing_things_are_told(evaluations: Path) -> None:
    verdict = _read(evaluations / "compared", parts=("validation",)).validation
    assert verdict is not None and verdict.ok is False

    assert verdict.missing_slices == ("language: nobody speaks it",)
    for check in verdict.checks:
        if check.margin is not None and not math.isnan(check.margin):
            assert (check.margin >= 0) == check.passed, check
            assert abs(check.margin) == pytest.approx(abs(check.value - check.limit))
    assert not any(check.key.model == "baseline" for check in verdict.checks)
    undirected = [check for check in verdict.checks if check.bound == "absolute" and not check.direction]
    assert undirected and all(check.passed is False and check.message for check in undirected)
    assert [check.passed for check in verdict.checks] == sorted(check.passed for check in verdict.checks)

    classes = _read(evaluations / "classes", parts=("validation",)).validation
    assert classes is not None and "in_graph" in classes.missing_metrics


def test_what_tfma_wrote_counts_where_the_configuration_says_otherwise(
    evaluations: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(evaluations / "compared", folder)
    config = folder / eval_config.FILE
    config.write_text(config.read_text().replace('"lowerBound": 0.5', '"lowerBound": 0.98'))
    config.write_text(config.read_text().replace('"name\\": \\"area', '"name\\": \\"renamed'))

    verdict = _read(folder, parts=("validation",)).validation

    assert verdict is not None
    assert {check.key.name for check in verdict.failed} >= {"area"}
    assert all(check.passed for check in verdict.checks if check.key.name == "renamed")
    assert verdict.disagreements > 0


def _plot_tree(found: plots.Plot) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    if found.confusion:
        columns = {name: getattr(found.confusion, name) for name in _COUNTS if name != "threshold"}
        columns["threshold"] = found.confusion.thresholds
        count = len(found.confusion.thresholds)
        rows = [{name: column[i] for name, column in columns.items()} for i in range(count)]
        tree["confusionMatrixAtThresholds"] = {"matrices": [_json_row(row, _COUNTS) for row in rows]}
    if found.calibration:
        names = {
            "lower": "lowerThresholdInclusive",
            "upper": "upperThresholdExclusive",
            "examples": "numWeightedExamples",
            "labels": "totalWeightedLabel",
            "predictions": "totalWeightedRefinedPrediction",
        }
        rows = []
        for i in range(len(found.calibration.lower)):
            row = {name: getattr(found.calibration, name)[i] for name in names}
            # Wrapped values are written even when they are 0.
            rows.append(
                {names[n]: _json_number(v) for n, v in row.items() if v != 0 or n not in ("lower", "upper")}
            )
        tree["calibrationHistogramBuckets"] = {"buckets": rows}
    several = [one for one in found.classes if one.several_labels]
    if several:
        names = {
            "actual": "actualClassId",
            "predicted": "predictedClassId",
            "fn": "falseNegatives",
            "tn": "trueNegatives",
            "fp": "falsePositives",
            "tp": "truePositives",
        }
        tree["multiLabelConfusionMatrixAtThresholds"] = {
            "matrices": [
                {
                    "threshold": one.threshold,
                }
                | (
                    {"entries": [_json_row(dict(zip(names, c, strict=True)), names) for c in one.cells]}
                    if one.cells
                    else {}
                )
                for one in several
            ]
        }
    elif found.classes:
        names = {
            "actual": "actualClassId",
            "predicted": "predictedClassId",
            "examples": "numWeightedExamples",
        }
        tree["multiClassConfusionMatrixAtThresholds"] = {
            "matrices": [
                {
                    "threshold": one.threshold,
                    "entries": [_json_row(dict(zip(names, cell, strict=True)), names) for cell in one.cells],
                }
                for one in found.classes
            ]
        }
    return tree


@pytest.mark.parametrize("name", NAMES)
def test_every_plot_equals_tfma(
    name: str, evaluations: Path, answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MAX_PLOTS", 1000)
    payload = plots.read(_artifact(evaluations / name), Files([str(evaluations)]))

    assert not payload.cut
    for model, official in answers[name]["results"].items():
        found: dict[Slice, dict[str, Any]] = {}
        for plot in payload.plots:
            if plot.key.model == model:
                tree = found.setdefault(plot.slice, {})
                tree.setdefault(plot.key.output, {})[plot.key.sub_key] = _plot_tree(plot)
        # TFMA's view puts a cross slice among all examples: it asks for a plain slice key.
        rows = [
            [[] if slice_.baseline is not None else _json_slice(slice_), tree]
            for slice_, tree in found.items()
        ]
        expected = [[slice_, _without_derived(tree)] for slice_, tree in official["plots"] if tree]
        assert _sorted(rows) == _sorted(expected)
        assert bool(found) == (name in _WITH_PLOTS)


def test_a_curve_is_thinned_to_a_bounded_number_of_points() -> None:
    matrices = [
        protos.message("tensorflow_model_analysis.ConfusionMatrixAtThresholds.ConfusionMatrixAtThreshold")(
            threshold=i, false_positives=1, true_negatives=3
        )
        for i in range(10 * plots.MAX_POINTS)
    ]

    curve = plots._confusion(matrices)

    assert curve.cut and len(curve.thresholds) == plots.MAX_POINTS
    assert (curve.thresholds[0], curve.thresholds[-1]) == (0, 10 * plots.MAX_POINTS - 1)
    assert set(curve.false_positive_rate) == {0.25}


def test_buckets_that_are_put_together_lose_no_example() -> None:
    buckets = [
        protos.message("tensorflow_model_analysis.CalibrationHistogramBuckets.Bucket")(
            lower_threshold_inclusive=i,
            upper_threshold_exclusive=i + 1,
            num_weighted_examples={"value": 2},
            total_weighted_label={"value": i},
        )
        for i in range(3 * plots.MAX_POINTS + 1)
    ]

    found = plots._calibration(buckets)

    assert found.cut and len(found.lower) <= plots.MAX_POINTS
    assert (found.lower[0], found.upper[-1], found.upper[:-1]) == (0, len(buckets), found.lower[1:])
    assert sum(found.examples) == 2 * len(buckets)
    assert sum(found.labels) == sum(range(len(buckets)))


def test_shares_of_eighty_classes_are_of_all_that_are_there(
    evaluations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most in (charts.MAX_CLASSES, 30):
        monkeypatch.setattr(charts, "MAX_CLASSES", most)
        [plot] = plots.read(_artifact(evaluations / "many"), Files([str(evaluations)])).plots
        [trace] = charts.classes(plot.classes[0])["data"]
        share = trace["z"][trace["y"].index("25")][trace["x"].index("25")]
        assert share == pytest.approx(0.6)
        assert len(trace["y"]) == min(most, 80)


def test_cells_that_are_left_out_count_in_the_shares(
    evaluations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = plots.read(_artifact(evaluations / "many"), Files([str(evaluations)])).plots[0].classes[0]
    monkeypatch.setattr(plots, "MAX_CELLS", 40)

    cut = plots.read(_artifact(evaluations / "many"), Files([str(evaluations)])).plots[0].classes[0]

    assert (cut.cut, len(cut.cells), cut.cells_in_all) == (True, 40, len(whole.cells))
    assert cut.totals == whole.totals and set(dict(cut.totals).values()) == {10.0}


def test_every_slice_that_has_plots_is_named_and_read_when_asked_for(evaluations: Path) -> None:
    artifact, files = _artifact(evaluations / "labels"), Files([str(evaluations)])

    first = plots.read(artifact, files)

    assert (first.slices_in_all, len(first.slices), first.plots_in_all) == (72, 72, 72)
    assert first.cut and len(first.plots) == plots.MAX_PLOTS
    # Those that come first in order, wherever they stand in the file.
    assert [plot.slice for plot in first.plots] == list(first.slices[: plots.MAX_PLOTS])
    for slice_ in first.slices:
        [plot] = plots.read(artifact, files, only=slice_.name).plots
        assert plot.slice == slice_ and plot.classes[0].several_labels


def test_plots_of_one_slice_are_read_by_its_name(evaluations: Path) -> None:
    artifact, files = _artifact(evaluations / "compared"), Files([str(evaluations)])

    payload = plots.read(artifact, files, only="language: 日本")

    assert {plot.slice.name for plot in payload.plots} == {"language: 日本"}
    assert {plot.key.model for plot in payload.plots} == {"candidate", "baseline"}
    assert len(payload.slices) > 5


def test_attributions_equal_tfma(evaluations: Path, answers: dict[str, Any]) -> None:
    payload = attributions.read(_artifact(evaluations / "bootstrap"), Files([str(evaluations)]))

    found = [
        [
            _json_slice(one.slice),
            {
                one.key.output: {
                    one.key.sub_key: {one.key.metric: {name: _json_metric(m) for name, m in one.features}}
                }
            },
        ]
        for one in payload.attributions
    ]
    assert _sorted(found) == _sorted(answers["bootstrap"]["results"][""]["attributions"])
    assert len(found) == 3


@pytest.mark.parametrize(
    ("type_", "file", "flag", "blessed", "problem"),
    [
        ("ModelBlessing", "BLESSED", 1, True, False),
        ("ModelBlessing", "NOT_BLESSED", 0, False, False),
        ("InfraBlessing", "INFRA_BLESSED", 1, True, False),
        ("InfraBlessing", "INFRA_NOT_BLESSED", 0, False, False),
        ("ModelBlessing", "BLESSED", None, True, False),
        ("ModelBlessing", "BLESSED", 0, True, True),
        ("ModelBlessing", "gone", 1, True, False),
        ("ModelBlessing", "", 0, False, True),
    ],
)
def test_a_blessing_is_read_from_file_and_property(
    type_: str, file: str, flag: int | None, blessed: bool, problem: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "blessing"
    if file:
        folder.mkdir()
        (folder / file).touch()
    properties = {} if flag is None else {"blessed": flag}
    artifact = _artifact(
        folder, type_, **properties, current_model="/m/2", current_model_id=2, baseline_model_id=1
    )

    found = read(artifact, Files([str(tmp_path)]))

    assert isinstance(found, blessing.BlessingPayload)
    assert (found.blessed, bool(found.problem)) == (blessed, problem)
    assert (found.current_model_id, found.baseline_model_id, found.baseline_model) == (2, 1, None)


def test_a_part_that_is_broken_leaves_the_rest(evaluations: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(evaluations / "compared", folder)
    next(folder.glob("plots*")).write_bytes(b"no records")
    (folder / eval_config.FILE).write_text("[")
    next(folder.glob("attributions*")).unlink()

    payload = _read(folder)

    assert payload.slices and payload.plots is None and payload.attributions is None
    assert len(payload.problems) == 2 and all(str(folder) not in one for one in payload.problems)
    assert payload.validation is not None and payload.validation.failed


def test_metrics_that_are_gone_or_parquet_are_an_error(evaluations: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    with pytest.raises(PayloadGone):
        _read(folder)
    folder.mkdir()
    with pytest.raises(PayloadGone, match="metrics"):
        _read(folder)
    (folder / "metrics-00000-of-00001.parquet").touch()
    with pytest.raises(PayloadError, match="Parquet"):
        _read(folder)


def test_of_many_slices_those_searched_for_are_read(
    evaluations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _read(evaluations / "labels", parts=())
    monkeypatch.setattr(slice_metrics, "MAX_SLICES", 3)

    cut = _read(evaluations / "labels", parts=())

    assert (cut.cut, len(cut.slices), cut.slices_in_all) == (True, 3, 72)
    for part in whole.slices:
        found = _read(evaluations / "labels", parts=(), search=part.slice.name.upper())
        assert part in found.slices


def test_what_is_too_large_to_be_read_whole_is_cut(
    evaluations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(path.stat().st_size for path in (evaluations / "labels").glob("metrics*"))
    monkeypatch.setattr(shards, "MAX_TOTAL", size // 2)
    monkeypatch.setattr(tfrecord, "_CHUNK", 100)

    payload = _read(evaluations / "labels", parts=())

    assert payload.cut and 10 < len(payload.slices) < 72
    monkeypatch.setattr(shards, "MAX_TOTAL", 10)
    with pytest.raises(PayloadError, match="larger"):
        _read(evaluations / "labels", parts=())


def test_examples_are_counted_and_weights_are_not_examples(evaluations: Path) -> None:
    def counts(name: str) -> dict[str, tuple[float | None, float | None]]:
        found = _read(evaluations / name, parts=()).slices
        return {part.slice.name: (part.examples, part.weighted_examples) for part in found[:2]}

    assert counts("labels") == {"language: de": (None, 35.0), "language: fr": (None, 3500.0)}
    # Each output has weights of its own.
    assert counts("outputs") == {"Overall": (30.0, None), "language: de": (15.0, None)}
    assert counts("many") == {"Overall": (800.0, None)}
    # A cross slice has the difference of two numbers.
    [cross] = [
        part for part in _read(evaluations / "rivals", parts=()).slices if part.slice.baseline is not None
    ]
    assert (cross.examples, cross.weighted_examples) == (None, None)


@pytest.mark.parametrize(
    ("name", "candidates", "baseline"),
    [
        ("models", ("linear", 'deep, "wide"', "木"), None),
        ("rivals", ("one", "other"), "before"),
        ("compared", ("candidate",), "baseline"),
        ("outputs", ("",), None),
    ],
)
def test_models_are_known_with_and_without_a_configuration(
    name: str, candidates: tuple[str, ...], baseline: str | None, evaluations: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "evaluation"
    shutil.copytree(evaluations / name, folder)
    known = _read(folder, parts=())
    assert (known.candidates, known.baseline) == (candidates, baseline)

    (folder / eval_config.FILE).unlink()
    unknown = _read(folder, parts=())

    assert (sorted(unknown.candidates), unknown.baseline) == (sorted(candidates), baseline)
    assert unknown.problems
    assert unknown.overall() == pytest.approx(known.overall(), nan_ok=True)


def _with_more_thresholds(folder: Path, count: int) -> Path:
    """Adds bounds for slices that are not there to the area's."""
    file = folder / eval_config.FILE
    config = json.loads(file.read_text())
    [area] = [
        metric
        for spec in config["evalConfig"]["metricsSpecs"]
        for metric in spec["metrics"]
        if "area" in metric.get("config", "")
    ]
    area["perSliceThresholds"] += [
        {
            "slicingSpecs": [{"featureValues": {"language": f"nobody speaks {number}"}}],
            "threshold": {"valueThreshold": {"lowerBound": number / count}},
        }
        for number in range(count)
    ]
    file.write_text(json.dumps(config))
    return file


def test_a_large_configuration_is_read(evaluations: Path, tmp_path: Path) -> None:
    shutil.copytree(evaluations / "compared", tmp_path / "large")
    before = _read(tmp_path / "large", parts=("validation",))

    assert _with_more_thresholds(tmp_path / "large", 9000).stat().st_size > 1 << 20
    payload = _read(tmp_path / "large", parts=("validation",))

    assert not payload.problems and not payload.config.cut
    assert payload.overall() == before.overall()
    assert repr(payload.validation) == repr(before.validation)  # NaN is there, which equals nothing


def test_a_configuration_beyond_the_limit_leaves_all_metrics_with_their_models(
    evaluations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(evaluations / "rivals", tmp_path / "rivals")
    before = _read(tmp_path / "rivals", parts=("validation",))
    monkeypatch.setattr(eval_config, "MAX_BYTES", 100)

    payload = _read(tmp_path / "rivals", parts=("validation",))

    assert payload.problems and "larger" in payload.problems[0]
    assert (payload.candidates, payload.baseline) == (("one", "other"), "before")
    assert payload.overall() == pytest.approx(before.overall(), nan_ok=True)
    assert payload.validation and before.validation
    failed = [{(c.slice, c.key) for c in one.failed} for one in (payload.validation, before.validation)]
    assert failed[0] == failed[1]


def test_thresholds_that_are_left_out_are_told(
    evaluations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval_config, "MAX_THRESHOLDS", 3)
    payload = _read(evaluations / "compared", parts=("validation",))
    assert payload.config.cut and payload.validation and payload.validation.cut
    monkeypatch.undo()
    monkeypatch.setattr(validation, "MAX_CHECKS", 5)
    verdict = _read(evaluations / "compared", parts=("validation",)).validation
    assert verdict and verdict.cut
    monkeypatch.undo()
    whole = _read(evaluations / "compared", parts=("validation",)).validation
    assert whole and repr(verdict.failed) == repr(whole.failed)
    assert verdict.checks_in_all == len(whole.checks)


def test_many_small_messages_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    matrices = b"\x0a\x00" * 3_000_000
    nested = matrices
    for tag in (b"\x12", b"\x12", b"\x42"):  # curve, value, plot
        nested = tag + varint(len(nested)) + nested
    (tmp_path / "plots-00000-of-00001.tfrecord").write_bytes(record(nested))

    with pytest.raises(PayloadError, match="200000 parts"):
        plots.read(_artifact(tmp_path), Files([str(tmp_path)]))


def test_a_value_that_is_too_large_leaves_the_others_of_its_slice(tmp_path: Path) -> None:
    slice_ = protos.message("tensorflow_model_analysis.MetricsForSlice")()
    for name, size in (("auc", 0), ("matrix", 210_000), ("loss", 0)):
        pair = slice_.metric_keys_and_values.add(key={"name": name})
        if size:
            matrix = pair.value.multi_class_confusion_matrix_at_thresholds.matrices.add()
            for number in range(size):
                matrix.entries.add(actual_class_id=number)
        else:
            pair.value.double_value.value = 0.5
    slice_.slice_key.single_slice_keys.add(column="language", bytes_value=b"de")
    (tmp_path / "metrics-00000-of-00001.tfrecord").write_bytes(record(slice_.SerializeToString()))

    [part] = _read(tmp_path, parts=()).slices

    assert part.slice.name == "language: de"
    found = {metric.key.name: (metric.kind, metric.value) for metric in part.metrics}
    assert found == {
        "auc": ("number", 0.5),
        "matrix": ("message", slice_records.TOO_LARGE),
        "loss": ("number", 0.5),
    }


def test_a_configuration_that_multiplies_is_bounded(tmp_path: Path) -> None:
    spec = {
        "metrics": [{"className": "AUC", "threshold": {"valueThreshold": {"lowerBound": 0.5}}}],
        "binarize": {"classIds": {"values": list(range(20_000))}},
        "modelNames": [f"m{number}" for number in range(20_000)],
    }
    (tmp_path / eval_config.FILE).write_text(json.dumps({"evalConfig": {"metricsSpecs": [spec]}}))

    found = eval_config.read(Files([str(tmp_path)]), str(tmp_path))

    assert len(found.thresholds) == eval_config.MAX_THRESHOLDS


def _mutated(data: bytes, draw: random.Random) -> bytes:
    """The bytes with some of them changed, cut out or repeated."""
    found = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        place = draw.randrange(len(found) + 1)
        kind = draw.randrange(4)
        if kind == 0 and place < len(found):
            found[place] = draw.randrange(256)
        elif kind == 1 and place < len(found):
            found[place] ^= 1 << draw.randrange(8)
        elif kind == 2:
            del found[place : place + draw.randint(1, 9)]
        else:
            found[place:place] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 5)))
    return bytes(found)


def _records(path: Path) -> list[bytes]:
    folder = Files([str(path.parent)])
    return [
        record
        for _, record in shards.records(folder, str(path.parent), path.name.split("-")[0].split(".")[0])
    ]


@pytest.mark.parametrize("part", ["metrics", "plots", "attributions", "validations", "eval_config"])
def test_mutations_raise_nothing_but_payload_errors(part: str, evaluations: Path, tmp_path: Path) -> None:
    draw = random.Random(part)
    name = "bootstrap" if part == "attributions" else "classes"
    folder = tmp_path / "mutated"
    shutil.copytree(evaluations / name, folder)
    path = next(folder.glob(f"{part}*"))
    other = next(folder.glob("plots*"))
    if part != "plots":
        other.unlink()
    whole = path.read_bytes()
    pieces = [whole] if part == "eval_config" else [r for r in _records(path) if len(r) < 40_000]
    readers: dict[str, Callable[[], Any]] = {
        "plots": lambda: plots.read(_artifact(folder), Files([str(folder)])),
        "attributions": lambda: attributions.read(_artifact(folder), Files([str(folder)])),
    }
    reader = readers.get(part, lambda: _read(folder, parts=("validation",)))
    outcomes = set()
    for turn in range(250 * MUTATIONS):
        changed = _mutated(draw.choice(pieces), draw)
        # Mostly with right checksums, which else would catch it all.
        path.write_bytes(
            changed if part == "eval_config" else record(changed) if turn % 10 else _mutated(whole, draw)
        )
        try:
            found = reader()
            json.dumps(dataclasses.asdict(found), default=list)
            outcomes.add(bool(getattr(found, "problems", ())))
        except PayloadError as error:
            assert str(folder) not in str(error)
            outcomes.add(PayloadError)
    assert len(outcomes) > 1


def _config(folder: Path, **config: Any) -> eval_config.EvalConfig:
    (folder / eval_config.FILE).write_text(json.dumps({"evalConfig": config}))
    return eval_config.read(Files([str(folder)]), str(folder))


def test_features_of_several_outputs_are_told_in_one_order(tmp_path: Path) -> None:
    outputs = {"sale": "bought", "click": "clicked", "view": "seen"}
    for order in itertools.permutations(outputs):
        found = _config(tmp_path, modelSpecs=[{"labelKeys": {name: outputs[name] for name in order}}])
        assert found.models[0].label == "click: clicked, sale: bought, view: seen"


def test_settings_of_metrics_are_equal_only_where_they_measure_the_same(tmp_path: Path) -> None:
    def settings(metric: dict[str, Any], **spec: Any) -> str:
        found = _config(tmp_path, metricsSpecs=[{"metrics": [metric], **spec}]).settings
        [(_, text)] = found
        return text

    at_half = settings({"className": "Precision", "config": '"thresholds": [0.5], "name": "p"'})
    assert at_half == settings({"className": "Precision", "config": '{"name": "q", "thresholds": [0.5]}'})
    others = [
        settings({"className": "Precision"}),
        settings({"className": "Precision", "config": '"thresholds": [0.9]'}),
        settings({"className": "Recall", "config": '"thresholds": [0.5]'}),
        settings({"className": "Precision", "config": '"thresholds": [0.5]'}, queryKey="user"),
        settings({"className": "Precision", "config": '"thresholds": [0.5]'}, outputWeights={"click": 2.0}),
        settings(
            {"className": "Precision", "config": '"thresholds": [0.5]'},
            aggregate={"macroAverage": True, "classWeights": {"1": 0.3}},
        ),
    ]
    assert len({at_half, *others}) == 1 + len(others)
