"""Whether two evaluations can be compared is said, with both values."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from mlmd_panel.evaluation.comparability import (
    BREAKS,
    CARE,
    COMPARABLE,
    NOT_COMPARABLE,
    NOTE,
    WITH_CARE,
    Comparability,
    Difference,
    comparability,
)
from mlmd_panel.evaluation.compare import compare
from mlmd_panel.evaluation.evaluated import Evaluated
from mlmd_panel.payloads.evaluation.eval_config import EvaluatedModel
from mlmd_panel.payloads.evaluation.metrics import MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.slices import Slice, Spec

from tests.panel.evaluation.evaluations import (
    CANDIDATE,
    FR,
    MODELS,
    OVERALL,
    evaluated,
    metric,
    part,
    payload,
)


def _judged(baseline: Evaluated, candidate: Evaluated) -> Comparability:
    return comparability(baseline, candidate, compare(baseline, candidate))


def _of_kind(found: Comparability, kind: str) -> Difference:
    [one] = [one for one in found.differences if one.kind == kind]
    return one


def _linked(**config: Any) -> tuple[Evaluated, Evaluated]:
    """A baseline, and a candidate whose Evaluator compared with the baseline's model; with another configuration."""
    again = part(auc=0.93, baseline={"auc": 0.95}, changes={"auc": (-0.02, 0.001)})
    return evaluated(1, part(auc=0.9), model=7), evaluated(2, baseline_model=7, read=payload(again, **config))


def test_other_examples_are_only_noted_where_the_data_effect_is_known() -> None:
    found = _judged(*_linked())

    assert found.verdict == COMPARABLE and found.grave == ()
    examples = _of_kind(found, "examples")
    assert (examples.weight, examples.baseline, examples.candidate) == (NOTE, "span 1", "span 2")


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        ({"baseline_model": 8}, "compared it with model 8, while the baseline's judged model 7"),
        ({}, "does not say which model the candidate was compared with"),
    ],
)
def test_where_it_is_not_known_the_missing_model_is_named(candidate: dict[str, int], why: str) -> None:
    again = part(auc=0.93, baseline={"auc": 0.95})

    found = _judged(evaluated(1, part(auc=0.9), model=7), evaluated(2, again, **candidate))

    examples = _of_kind(found, "examples")
    assert (found.verdict, examples.weight) == (WITH_CARE, CARE) and why in examples.text


def test_an_evaluation_without_a_baseline_model_says_so() -> None:
    alone = payload(part(auc=0.9), models=MODELS[:1])

    found = _judged(evaluated(1, part(auc=0.9)), evaluated(2, read=alone))

    assert "without a baseline model" in _of_kind(found, "examples").text


@pytest.mark.parametrize(
    ("kind", "weight", "config", "values"),
    [
        ("label", BREAKS, {"models": (EvaluatedModel(CANDIDATE, False, "", "tips", "", "", ""), MODELS[1])}, ("label", "tips")),
        ("model", CARE, {"models": (EvaluatedModel(CANDIDATE, False, "", "label", "scores", "", ""), MODELS[1])}, ("none", "scores")),
        ("signature", CARE, {"models": (EvaluatedModel(CANDIDATE, False, "raw", "label", "", "", ""), MODELS[1])}, ("none", "raw")),
        ("weights", CARE, {"models": (EvaluatedModel(CANDIDATE, False, "", "label", "", "fare", ""), MODELS[1])}, ("none", "fare")),
        ("slicing", CARE, {"slicing": (Spec(frozenset({"hour"})),)}, ("none", "each hour")),
        ("intervals", CARE, {"intervals": ""}, ("jackknife", "none")),
        ("tfma", CARE, {"version": "0.52.0"}, ("0.47.1", "0.52.0")),
    ],
)  # fmt: skip
def test_other_configurations_are_named_with_both_values(
    kind: str, weight: str, config: dict[str, Any], values: tuple[str, str]
) -> None:
    found = _judged(*_linked(**config))

    one = _of_kind(found, kind)
    assert (one.weight, one.baseline, one.candidate) == (weight, *values)
    assert found.verdict == (NOT_COMPARABLE if weight == BREAKS else WITH_CARE)


def test_a_missing_configuration_is_unknown_not_different() -> None:
    found = _judged(*_linked(models=(), version=""))

    assert [one.kind for one in found.grave] == ["config"]


def test_slices_of_one_side_are_named_and_small_ones_only_noted() -> None:
    base = evaluated(1, part(auc=0.9), part(FR, 200.0, auc=0.9), model=7)
    small = evaluated(1, part(auc=0.9), part(FR, 4.0, auc=0.9), model=7)
    candidate = _linked()[1]

    large, few = (_of_kind(_judged(one, candidate), "slices") for one in (base, small))

    assert (large.weight, large.names, large.names_in_all) == (CARE, ("language: fr",), 1)
    assert few.weight == NOTE and "fewer than 30 examples" in few.text


def test_names_are_cut_and_their_number_is_not() -> None:
    many = [part(Slice((("hour", number),)), auc=0.9) for number in range(30)]

    found = _of_kind(_judged(evaluated(1, part(auc=0.9), *many), evaluated(2, part(auc=0.9))), "slices")

    assert (len(found.names), found.names_in_all) == (20, 30) and "30 slices" in found.text


def test_metrics_of_one_side_are_named_and_none_in_common_breaks() -> None:
    some = _judged(evaluated(1, part(auc=0.9, loss=0.1)), evaluated(2, part(auc=0.9)))
    none = _judged(evaluated(1, part(loss=0.1)), evaluated(2, part(auc=0.9)))

    assert _of_kind(some, "metrics").names == ("loss",)
    assert none.verdict == NOT_COMPARABLE
    assert "no metric of a slice in common" in none.differences[0].text


def test_metrics_that_are_weighted_on_one_side_only_are_never_compared() -> None:
    def one(number: int, weighted: bool) -> Evaluated:
        found = metric(MetricKey("auc", CANDIDATE, weighted=weighted), 0.9, 0.01)
        return evaluated(number, SliceMetrics(OVERALL, (found,), 400.0, None))

    found = _judged(one(1, True), one(2, False))

    assert _of_kind(found, "weighting").names == ("auc",) and found.verdict == NOT_COMPARABLE


def test_metrics_with_other_settings_are_never_compared() -> None:
    def one(number: int, *settings: str) -> Evaluated:
        by_key = tuple(zip((MetricKey("auc"), MetricKey("precision")), settings, strict=False))
        return evaluated(number, read=payload(part(auc=0.9, precision=0.8), settings=by_key))

    other = _judged(one(1, "{}", '{"thresholds": [0.5]}'), one(2, "{}", '{"thresholds": [0.9]}'))
    found = _of_kind(other, "settings")
    assert (found.weight, found.names) == (CARE, ("precision",))
    assert (found.baseline, found.candidate) == ('{"thresholds": [0.5]}', '{"thresholds": [0.9]}')
    # Of one side it is not known: the model may have it itself.
    assert not [d for d in _judged(one(1, "{}"), one(2, "{}", "x")).differences if d.kind == "settings"]


def test_examples_of_the_same_files_that_were_split_otherwise_are_others() -> None:
    def one(number: int, examples: float) -> Evaluated:
        return evaluated(number, part(examples=examples, auc=0.9), fingerprint="same", model=7 * number)

    base, other = one(1, 160.0), one(2, 95.0)
    spans = [dataclasses.replace(side, examples=base.examples) for side in (base, other)]
    ids = dataclasses.replace(base.examples[0], id=9)
    moved = dataclasses.replace(other, examples=(ids,))
    assert _of_kind(_judged(*spans), "examples").text == "Both were evaluated on the same examples."
    assert compare(base, moved).link.same_examples is False
    assert compare(base, dataclasses.replace(one(2, 160.0), examples=(ids,))).link.same_examples is True


@pytest.mark.parametrize(("examples", "said"), [(12.0, "12"), (None, "not recorded")])
def test_too_few_examples_and_unknown_numbers_are_said(examples: float | None, said: str) -> None:
    base, candidate = _linked()
    small = dataclasses.replace(base.payload, slices=(part(examples=examples, auc=0.9),))

    size = _of_kind(_judged(dataclasses.replace(base, payload=small), candidate), "size")

    assert (size.weight, size.baseline, size.candidate) == (CARE, said, "400")


def test_other_splits_and_pipelines_need_care() -> None:
    base, candidate = _linked()
    other = dataclasses.replace(candidate, splits='["eval"]', run=evaluated(2, pipeline="fares").run)

    found = _judged(base, other)

    assert _of_kind(found, "splits").candidate == '["eval"]'
    assert (_of_kind(found, "pipeline").baseline, _of_kind(found, "pipeline").candidate) == ("taxi", "fares")


def test_examples_without_fingerprints_may_be_the_same() -> None:
    base, candidate = evaluated(1, part(auc=0.9)), evaluated(2, part(auc=0.9))
    nameless = [
        dataclasses.replace(one, examples=(dataclasses.replace(one.examples[0], properties=()),))
        for one in (base, candidate)
    ]

    assert _of_kind(_judged(*nameless), "examples").text.startswith("Whether both were evaluated on the same")
