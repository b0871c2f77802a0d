"""Other thresholds say of past evaluations what TFMA would have said."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlmd_panel.evaluation import threshold_edits
from mlmd_panel.evaluation.evidence import FAILED, INCONCLUSIVE, PASSED
from mlmd_panel.evaluation.rejudge import UNKNOWN, Rejudged, rejudge
from mlmd_panel.evaluation.threshold_edits import Edited
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import eval_config, evaluation, slices
from mlmd_panel.payloads.evaluation.eval_config import Threshold

from tests.panel import tfx_child
from tests.panel.evaluation.judged import run
from tests.panel.written import written

NAMES = ("compared", "classes", "bootstrap", "models", "rivals", "outputs", "labels", "many", "no_thresholds")
NEW = {"a0.slice": "Overall", "a0.kind": "value at least", "a0.bound": "0.4"}
# Evaluation, and fields of the form.
EDITS: list[tuple[str, dict[str, str]]] = [
    *((name, {}) for name in NAMES),
    ("compared", {"edited": "1", "0.lower": "0.2"}),
    ("compared", {"edited": "1", "0.lower": "0.99", "2.absolute": "-1e-9", "2.direction": "lower"}),
    ("compared", {"a0.metric": "area", "a0.slice": "hour: 3", "a0.kind": "change at least", "a0.bound": "0"}),
    (
        "compared",
        {
            **NEW,
            "a0.metric": "calibration",
            "a0.kind": "relative change at most",
            "a0.slice": "language: 日本",
        },
    ),
    ("compared", {**NEW, "a0.metric": "area", "a0.slice": "each language", "a0.bound": "0.999"}),
    ("classes", {"edited": "1", "0.lower": "0.1", "1.lower": "0.2", "2.lower": "0.99"}),
    ("classes", {"edited": "1", "0.lower": "0.1", "1.remove": "1", "2.lower": "0.0"}),
    ("bootstrap", {"edited": "1", "0.upper": "0.01"}),
    ("bootstrap", {"edited": "1", "0.upper": "0.5", "0.lower": "0.01"}),
    ("models", {"edited": "1", "0.lower": "0.01", "1.upper": "inf"}),
    ("models", {"edited": "1", "0.lower": "0.01", "1.upper": "0.99", **NEW, "a0.metric": "auc"}),
    ("rivals", {"edited": "1", "0.upper": "inf", "1.absolute": "-1", "1.direction": "higher"}),
    ("outputs", {"edited": "1", "0.lower": "0.0"}),
    (
        "outputs",
        {**NEW, "a0.metric": "binary_accuracy (click, weighted, unweighted)", "a0.slice": "language: de"},
    ),
    ("labels", {**NEW, "a0.metric": "example_count", "a0.slice": "every slice", "a0.bound": "10"}),
    ("many", {**NEW, "a0.metric": "sparse_categorical_accuracy"}),
    ("many", {**NEW, "a0.metric": "sparse_categorical_accuracy", "a0.kind": "value at most"}),
    ("no_thresholds", {**NEW, "a0.metric": "mean_prediction", "a0.bound": "0"}),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    return written().folder / "evaluation"


def _edited(folder: Path, fields: dict[str, str]) -> tuple[Edited, str]:
    files, artifact = Files([str(folder)]), run(1, str(folder)).evaluation
    assert artifact is not None
    payload = evaluation.read(artifact, files, parts=())
    edits = threshold_edits.parse(fields.items())
    return threshold_edits.edit(eval_config.message(files, str(folder)), edits, payload), payload.sole


def _again(folder: Path, fields: dict[str, str], of: Path | None = None) -> Rejudged:
    edited, sole = _edited(folder, fields)
    [found] = rejudge(Files([str((of or folder).parent)]), [run(1, str(of or folder))], edited.config, sole)
    return found


def _plain_spec(spec: slices.Spec | slices.CrossSpec | None) -> Any:
    if isinstance(spec, slices.CrossSpec):
        return ["cross", _plain_spec(spec.baseline), [_plain_spec(one) for one in spec.others]]
    return None if spec is None else [sorted(spec.features), sorted(map(list, spec.values), key=str)]


def _plain_message(kind: str, message: dict[str, Any]) -> Any:
    if kind == "CrossSlicingSpec":
        others = [_plain_message("SlicingSpec", one) for one in message.get("slicingSpecs", [])]
        return ["cross", _plain_message("SlicingSpec", message.get("baselineSpec", {})), others]
    values = [[name, slices.typed(value)] for name, value in message.get("featureValues", {}).items()]
    return [sorted(message.get("featureKeys", [])), sorted(values, key=str)]


def _ours(one: Threshold) -> Any:
    key = one.key
    names = [key.name, key.model, key.output, key.sub_key, key.aggregation, key.weighted, key.is_diff]
    bounds = {
        "lowerBound": one.lower,
        "upperBound": one.upper,
        "absolute": one.absolute,
        "relative": one.relative,
        "direction": {0: None, 1: "LOWER_IS_BETTER", 2: "HIGHER_IS_BETTER"}[one.direction],
    }
    return [
        names,
        _plain_spec(one.spec),
        one.change,
        {name: _json(v) for name, v in bounds.items() if v is not None},
    ]


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _theirs(one: Any) -> Any:
    names, spec, kind, bounds = one
    return [names, None if spec is None else _plain_message(*spec), kind == "GenericChangeThreshold", bounds]


def _sorted(rows: list[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def test_edited_configurations_mean_in_tfma_what_they_mean_here(folder: Path) -> None:
    edited = [(folder / name, *_edited(folder / name, fields)) for name, fields in EDITS]
    asked = [{"folder": str(path), "text": one.text} for path, one, _ in edited]

    answers = json.loads(tfx_child.run("official_thresholds", text=json.dumps(asked)))

    for (path, one, sole), (_, fields), answer in zip(edited, EDITS, answers, strict=True):
        theirs, ours = map(
            _sorted, ([_theirs(t) for t in answer["thresholds"]], [_ours(t) for t in one.config.thresholds])
        )
        assert ours == theirs, (path.name, fields)
        [found] = rejudge(Files([str(folder)]), [run(1, str(path))], one.config, sole)
        if one.config.thresholds:
            assert found.by_rule == (PASSED if answer["ok"] else FAILED), (path.name, fields, found.why)
    assert {answer["ok"] for answer in answers} == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_thresholds_as_they_were_give_the_verdict_as_it_was(name: str, folder: Path) -> None:
    edited, sole = _edited(folder / name, {})
    [found] = rejudge(Files([str(folder)]), [run(1, str(folder / name))], edited.config, sole)

    assert not edited.changed
    assert found.same
    assert found.recorded is not None
    assert found.by_rule == (PASSED if found.recorded else FAILED)


def test_a_bound_that_decides_is_named(folder: Path) -> None:
    found = _again(folder / "bootstrap", {"edited": "1", "0.upper": "0.01"})
    assert found.deciding is not None
    assert (found.recorded, found.by_rule, found.by_intervals) == (True, FAILED, INCONCLUSIVE)
    assert found.why.startswith("mean_squared_error is ")
    assert "at most 0.01 was asked. The slice has 20 examples, fewer than 30." in found.why
    assert (found.passes("pass"), found.passes("fail")) == (True, False)
    assert found.deciding.check.limit == 0.01


def test_what_an_evaluation_does_not_have_is_unknown(folder: Path) -> None:
    other = _again(folder / "bootstrap", {}, of=folder / "many")
    assert (other.by_rule, other.by_intervals) == (UNKNOWN, UNKNOWN)
    assert other.why == "That run did not measure mean_squared_error."
    assert not other.same
    assert other.passes("pass") is None
    gone = _again(folder / "bootstrap", {}, of=folder / "nowhere")
    assert gone.by_rule == UNKNOWN
    assert gone.recorded is None


def test_a_slice_that_another_run_was_not_cut_into_is_unknown(folder: Path) -> None:
    fields = {**NEW, "a0.metric": "example_count", "a0.slice": "number: 3"}
    # One is not sliced by number at all.
    found = _again(folder / "labels", fields, of=folder / "labels")
    assert found.by_rule == PASSED
    edited, sole = _edited(folder / "labels", fields)
    unweighted = tuple(
        dataclasses.replace(one, key=dataclasses.replace(one.key, weighted=False))
        for one in edited.config.thresholds
    )
    config = dataclasses.replace(edited.config, thresholds=unweighted)
    [other] = rejudge(Files([str(folder)]), [run(1, str(folder / "many"))], config, sole)
    assert (other.by_rule, other.why) == (UNKNOWN, "That run was not sliced by number: 3.")


def test_a_candidate_of_another_name_is_the_candidate(folder: Path, tmp_path: Path) -> None:
    edited, sole = _edited(folder / "compared", {})
    assert sole == "candidate"
    copy = tmp_path / "renamed"
    shutil.copytree(folder / "compared", copy)
    [found] = rejudge(Files([str(tmp_path)]), [run(1, str(copy))], edited.config, sole)
    assert found.by_rule == FAILED
    assert found.same
    renamed = dataclasses.replace(
        edited.config,
        thresholds=tuple(
            dataclasses.replace(
                one,
                key=dataclasses.replace(
                    one.key, model="new" if one.key.model == "candidate" else one.key.model
                ),
            )
            for one in edited.config.thresholds
        ),
    )
    [other] = rejudge(Files([str(tmp_path)]), [run(1, str(copy))], renamed, "new")
    assert (other.by_rule, other.by_intervals, other.why) == (found.by_rule, found.by_intervals, found.why)


def test_without_a_baseline_there_is_no_change_to_bound(folder: Path) -> None:
    edited, sole = _edited(folder / "compared", {})
    change = tuple(one for one in edited.config.thresholds if one.change)
    assert change
    config = dataclasses.replace(edited.config, thresholds=change)
    [found] = rejudge(Files([str(folder)]), [run(1, str(folder / "many"))], config, sole)
    assert (found.by_rule, found.by_intervals) == (FAILED, UNKNOWN)
    assert found.why == "No threshold applies: without a baseline there is no change to bound."
