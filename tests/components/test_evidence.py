"""Thresholds on evaluations by TFMA, judged with their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from tensorflow_model_analysis.proto import config_pb2

from include.components.evidence import Check, Evidence, Rules, judge
from include.tfx_airflow.tfx_side.evaluations import metric_name, slice_name
from tests.components.evaluation import evaluate, with_metrics

pytestmark = pytest.mark.slow

_MODELS = """
model_specs { name: "candidate" label_key: "label" prediction_key: "new" }
model_specs { name: "baseline" label_key: "label" prediction_key: "old" is_baseline: true }
"""
# Of two models that are equally good, TFMA's validator finds one worse by what is allowed at most.
_TOWNS = (
    _MODELS
    + """
slicing_specs {}
slicing_specs { feature_keys: "town" }
cross_slicing_specs { baseline_spec {} slicing_specs { feature_values { key: "town" value: "worse" } } }
metrics_specs {
  model_names: "candidate" model_names: "baseline"
  metrics { class_name: "ExampleCount" }
  metrics { class_name: "MeanPrediction" }
  metrics {
    class_name: "BinaryAccuracy"
    per_slice_thresholds {
      slicing_specs { feature_values { key: "town" value: "same" } }
      threshold { change_threshold { direction: HIGHER_IS_BETTER absolute { value: -0.004 } } }
    }
  }
}
options { compute_confidence_intervals { value: true } confidence_intervals { method: JACKKNIFE } }
"""
)


def _town(name: str, count: int, old_errors: float, new_errors: float, seed: int) -> pd.DataFrame:
    """Labels, and the predictions of two models that are wrong about some of them."""
    draw = np.random.default_rng(seed)
    label = np.arange(count) % 2 == 1
    old, new = (
        np.where(label ^ (draw.random(count) < errors), 0.9, 0.1) for errors in (old_errors, new_errors)
    )
    return pd.DataFrame({"label": label.astype(float), "old": old, "new": new, "town": name})


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town where both models are alike, one where the new one is worse, one with few, one without errors."""
    rows = pd.concat(
        [
            _town("same", 120, 0.2, 0.2, seed=5),
            _town("worse", 120, 0.1, 0.5, seed=4),
            _town("few", 12, 0.1, 0.9, seed=5),
            _town("certain", 40, 0.0, 0.0, seed=6),
        ],
        ignore_index=True,
    )
    return evaluate(rows, _TOWNS, tmp_path_factory.mktemp("towns") / "evaluation")


def _bounded(town: str, threshold: str, metric: str = "BinaryAccuracy") -> str:
    where = f'feature_values {{ key: "town" value: "{town}" }}' if town else ""
    return f"""metrics {{ class_name: "{metric}" per_slice_thresholds {{
        slicing_specs {{ {where} }} threshold {{ {threshold} }} }} }}"""


def _change(bounds: str, direction: str = "HIGHER_IS_BETTER") -> str:
    return f"change_threshold {{ direction: {direction} {bounds} }}"


JudgeOne = Callable[..., Check]


@pytest.fixture
def check(towns: Path, tmp_path: Path) -> JudgeOne:
    """Judges the towns by one bound."""

    def judged(town: str, threshold: str, metric: str = "BinaryAccuracy", **rules: Any) -> Check:
        folder = with_metrics(
            towns, tmp_path / str(len(list(tmp_path.iterdir()))), _bounded(town, threshold, metric)
        )
        [found] = judge(str(folder), Rules(**rules)).checks
        return found

    return judged


def test_change_within_the_noise_is_no_failure_although_tfma_rejects_the_model(towns: Path) -> None:
    evidence = judge(str(towns), Rules())
    [found] = evidence.checks
    assert found.value is not None and found.value < -0.004
    assert (evidence.tfma, evidence.verdict, found.why) == (
        False,
        "inconclusive",
        "the interval spans the bound",
    )
    assert evidence.reason.startswith(
        "1 of 1 check is inconclusive: binary_accuracy [town=same] changed by -0."
    )


def test_numbers_and_interval_are_those_of_the_evaluation(check: JudgeOne) -> None:
    found = check("worse", _change("absolute { value: -0.1 }"))
    assert (found.metric, found.slice, found.bound, found.limit, found.examples) == (
        *("binary_accuracy", "town=worse", "absolute", -0.1, 120),
    )
    assert found.lower < found.value < found.upper < -0.1


@pytest.mark.parametrize(
    ("town", "bounds", "outcome", "why"),
    [
        ("worse", "absolute { value: -0.1 }", "failed", "the whole interval is beyond the bound"),
        ("worse", "relative { value: -0.1 }", "failed", "the whole interval is beyond the bound"),
        ("worse", "absolute { value: -0.35 }", "inconclusive", "the interval spans the bound"),
        ("worse", "absolute { value: -0.7 }", "passed", ""),
        ("same", "absolute { value: -0.2 }", "passed", ""),
        ("same", "relative { value: -0.3 }", "passed", ""),
        ("same", "relative { value: -0.05 }", "inconclusive", "the interval spans the bound"),
        ("few", "absolute { value: -0.1 }", "inconclusive", "12 examples, fewer than 30"),
        ("few", "absolute { value: -0.99 }", "inconclusive", "12 examples, fewer than 30"),
        ("certain", "absolute { value: -0.1 }", "inconclusive", "the standard error is 0, so it is unknown"),
        ("worse", "absolute { value: nan }", "failed", "the bound is not a number"),
        ("nobody", "absolute { value: -0.1 }", "failed", "the evaluation has no such slice"),
    ],
)
def test_change_is_judged_by_its_interval(
    check: JudgeOne, town: str, bounds: str, outcome: str, why: str
) -> None:
    found = check(town, _change(bounds))
    assert (found.outcome, found.why) == (outcome, why)
    assert bool(found.why) == (found.outcome != "passed")


def test_lower_can_be_better(check: JudgeOne) -> None:
    outcomes = [
        check("same", _change(f"absolute {{ value: {limit} }}", "LOWER_IS_BETTER"), "MeanPrediction").outcome
        for limit in (0.3, 0.001, -0.3)
    ]
    assert outcomes == ["passed", "inconclusive", "failed"]


def test_change_without_a_direction_fails_and_says_so(check: JudgeOne) -> None:
    found = check("same", "change_threshold { absolute { value: -0.1 } }")
    assert (found.outcome, found.why) == ("failed", "the change threshold has no direction")


def test_rule_of_too_few_examples_can_be_turned_off(check: JudgeOne) -> None:
    threshold = _change("absolute { value: -0.01 }")
    assert check("few", threshold, min_examples=0).outcome == "failed"
    assert check("same", threshold, min_examples=121).why == "120 examples, fewer than 121"


def test_relative_change_is_the_change_over_the_baselines_value(check: JudgeOne) -> None:
    absolute = check("worse", _change("absolute { value: -0.1 }"))
    relative = check("worse", _change("relative { value: -0.1 }"))
    base = absolute.value / relative.value
    assert 0.8 < base < 1
    assert (relative.lower, relative.upper) == pytest.approx((absolute.lower / base, absolute.upper / base))
    assert " of the baseline's; allowed: relative -0.1" in relative.as_text()


@pytest.mark.parametrize(
    ("bound", "by_point", "by_interval"),
    [
        ("lower_bound { value: 0.3 }", "passed", "passed"),
        ("lower_bound { value: 0.9 }", "failed", "failed"),
        ("upper_bound { value: 0.9 }", "passed", "passed"),
        ("upper_bound { value: 0.3 }", "failed", "failed"),
    ],
)
def test_values_are_compared_as_by_tfma_or_by_their_intervals(
    check: JudgeOne, bound: str, by_point: str, by_interval: str
) -> None:
    threshold = f"value_threshold {{ {bound} }}"
    assert check("worse", threshold).outcome == by_point
    assert check("worse", threshold, value_thresholds="interval").outcome == by_interval


def test_value_close_to_its_bound_is_inconclusive_by_its_interval(check: JudgeOne) -> None:
    value = check("same", "value_threshold { lower_bound { value: 0 } }").value
    assert value is not None
    for bound, by_point in ((value - 0.001, "passed"), (value + 0.001, "failed")):
        threshold = f"value_threshold {{ lower_bound {{ value: {bound} }} }}"
        assert check("same", threshold).outcome == by_point
        assert check("same", threshold, value_thresholds="interval").outcome == "inconclusive"


def test_slices_that_are_compared_have_as_many_examples_as_the_smaller(towns: Path, tmp_path: Path) -> None:
    metrics = """metrics { class_name: "BinaryAccuracy" cross_slice_thresholds {
        cross_slicing_specs { baseline_spec {} slicing_specs { feature_values { key: "town" value: "worse" } } }
        threshold {
          value_threshold { upper_bound { value: 0.1 } }
          change_threshold { direction: LOWER_IS_BETTER absolute { value: 0.01 } relative { value: 0.1 } }
        } } }"""
    evidence = judge(str(with_metrics(towns, tmp_path / "cross", metrics)), Rules())
    assert [check.bound for check in evidence.checks] == ["upper", "absolute", "relative"]
    for found in evidence.checks:
        assert (found.slice, found.examples) == ("town=worse against all examples", 120)
        assert found.lower < found.value < found.upper


def test_threshold_without_a_slice_is_for_every_slice_and_each_bound_is_checked_once(
    towns: Path, tmp_path: Path
) -> None:
    metrics = """metrics { class_name: "BinaryAccuracy"
        threshold { value_threshold { lower_bound { value: 0.7 } } }
        per_slice_thresholds {
          slicing_specs { feature_keys: "town" } slicing_specs {}
          threshold { value_threshold { lower_bound { value: 0.7 } } }
        } }"""
    evidence = judge(str(with_metrics(towns, tmp_path / "all", metrics)), Rules())
    outcomes = {check.slice: check.outcome for check in evidence.checks}
    assert len(evidence.checks) == len(outcomes) == 5
    assert outcomes["town=same"] == "passed" and outcomes["town=worse"] == "failed"
    assert evidence.reason.startswith(f"{evidence.count('failed')} of 5 checks failed, the first: ")


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        (
            'metrics { class_name: "BinaryAccuracy" }',
            "The evaluation has no thresholds, so nothing was checked.",
        ),
        (_bounded("same", _change("absolute { value: -0.3 }")), "The 1 check passed."),
    ],
)
def test_reason_is_a_sentence(towns: Path, tmp_path: Path, metrics: str, reason: str) -> None:
    evidence = judge(str(with_metrics(towns, tmp_path / "again", metrics)), Rules())
    assert evidence.reason == reason
    assert evidence.verdict == ("passed" if evidence.checks else "failed")


def test_bad_rules_and_a_folder_without_an_evaluation_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="value_thresholds = 'points' is not one of"):
        Rules("points")
    with pytest.raises(ValueError, match="min_examples = -1 is negative; 0 turns the rule off"):
        Rules(min_examples=-1)
    with pytest.raises(ValueError, match="has no eval_config.json that TFMA can read.*output `evaluation`"):
        judge(str(tmp_path), Rules())


# Without confidence intervals, with numbers that are not finite, and with a slice that TFMA hides.
_PLAIN = (
    _MODELS
    + """
slicing_specs {}
slicing_specs { feature_keys: "town" }
metrics_specs {
  model_names: "candidate" model_names: "baseline"
  metrics { class_name: "ExampleCount" }
  metrics { class_name: "BinaryAccuracy" per_slice_thresholds {
    slicing_specs { feature_keys: "town" }
    threshold {
      value_threshold { lower_bound { value: 0.1 } }
      change_threshold { direction: HIGHER_IS_BETTER absolute { value: -0.9 } }
    } } }
  metrics { class_name: "MeanPrediction" per_slice_thresholds {
    slicing_specs {}
    threshold {
      value_threshold { lower_bound { value: 0 } }
      change_threshold { direction: HIGHER_IS_BETTER absolute { value: 0 } relative { value: 0 } }
    } } }
  metrics { class_name: "Precision" config: '"thresholds": 2.0' per_slice_thresholds {
    slicing_specs {}
    threshold {
      value_threshold { lower_bound { value: 0 } }
      change_threshold { direction: HIGHER_IS_BETTER relative { value: -0.5 } }
    } } }
}
options { min_slice_size { value: 20 } }
"""
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Checks of an evaluation in which little is known."""
    rows = pd.concat([_town("large", 40, 0.1, 0.1, seed=1), _town("small", 12, 0.1, 0.1, seed=2)])
    rows.loc[rows["town"] == "large", "new"] = math.inf
    return judge(str(evaluate(rows, _PLAIN, tmp_path_factory.mktemp("plain") / "evaluation")), Rules())


def _of(evidence: Evidence, metric: str, slice_: str) -> dict[str, tuple[str, str]]:
    return {c.bound: (c.outcome, c.why) for c in evidence.checks if (c.metric, c.slice) == (metric, slice_)}


def test_change_without_an_interval_is_unknown(plain: Evidence) -> None:
    found = _of(plain, "binary_accuracy", "town=large")
    assert found["lower"] == ("passed", "")
    outcome, why = found["absolute"]
    assert outcome == "inconclusive" and why.startswith("no confidence interval; set compute_confidence")


def test_slice_that_tfma_hides_for_its_size_is_unknown_and_no_concern_of_other_thresholds(
    plain: Evidence,
) -> None:
    [(outcome, why)] = _of(plain, "binary_accuracy", "town=small").values()
    assert outcome == "inconclusive" and "Example count" in why
    assert not _of(plain, "mean_prediction", "town=small")


def test_numbers_that_are_not_finite_never_pass(plain: Evidence) -> None:
    infinite = _of(plain, "mean_prediction", "")
    assert infinite == dict.fromkeys(
        ("lower", "absolute", "relative"), ("failed", "the value is not a finite number")
    )
    # The baseline predicts nothing above 2, so its precision is not a number.
    assert _of(plain, "precision", "")["relative"] == ("failed", "the value is not a finite number")


def test_without_a_baseline_changes_are_left_out_as_by_the_evaluator_or_missing(tmp_path: Path) -> None:
    rows = _town("large", 40, 0.1, 0.1, seed=1)
    threshold = "value_threshold { lower_bound { value: 0.1 } } " + _change("absolute { value: -0.1 }")
    config = f"""
        model_specs {{ label_key: "label" prediction_key: "new" }} slicing_specs {{}}
        metrics_specs {{ {_bounded("", threshold)} }}"""
    first = tfma.utils.update_eval_config_with_defaults(
        text_format.Parse(config, config_pb2.EvalConfig()), has_baseline=False, rubber_stamp=True
    )
    evaluator = judge(
        str(evaluate(rows, text_format.MessageToString(first), tmp_path / "evaluator")), Rules()
    )
    assert (evaluator.verdict, evaluator.tfma, evaluator.compared) == ("passed", True, False)
    assert evaluator.reason == "The 1 check passed; without a baseline model, no change was judged."
    asked = judge(str(evaluate(rows, config, tmp_path / "asked")), Rules())
    assert (asked.verdict, asked.tfma) == ("failed", False)
    assert asked.checks[1].as_text() == "binary_accuracy: the evaluation has no such metric"


def test_weights_are_no_number_of_examples(tmp_path: Path) -> None:
    rows = _town("large", 40, 0.1, 0.5, seed=1).assign(weight=100.0)
    config = _MODELS.replace("prediction_key", 'example_weight_key: "weight" prediction_key')
    config += f"""
        slicing_specs {{}}
        metrics_specs {{
          model_names: "candidate" model_names: "baseline"
          metrics {{ class_name: "ExampleCount" }}
          {_bounded("", _change("absolute { value: -0.01 }"))}
        }}
        options {{
          compute_confidence_intervals {{ value: true }} confidence_intervals {{ method: JACKKNIFE }}
        }}"""
    folder = str(evaluate(rows, config, tmp_path / "weighted"))
    [found] = judge(folder, Rules()).checks
    assert (found.metric, found.examples, found.outcome) == (
        "binary_accuracy (weighted)",
        None,
        "inconclusive",
    )
    assert found.why.startswith("the number of examples is unknown; add ExampleCount, unweighted")
    assert judge(folder, Rules(min_examples=0)).verdict == "failed"


# Outputs, classes, weighted and unweighted, and the name of a model in every key.
_OUTPUTS = """
model_specs { name: "one"
  label_keys { key: "colour" value: "colour" } label_keys { key: "click" value: "click" }
  prediction_keys { key: "colour" value: "scores" } prediction_keys { key: "click" value: "clicked" }
  example_weight_keys { key: "colour" value: "weight" } example_weight_keys { key: "click" value: "weight" }
}
model_specs { name: "before" is_baseline: true
  label_keys { key: "colour" value: "colour" } label_keys { key: "click" value: "click" }
  prediction_keys { key: "colour" value: "old_scores" } prediction_keys { key: "click" value: "clicked" }
  example_weight_keys { key: "colour" value: "weight" } example_weight_keys { key: "click" value: "weight" }
}
slicing_specs {}
slicing_specs { feature_keys: "hour" }
metrics_specs {
  model_names: "one" model_names: "before" output_names: "colour"
  example_weights { weighted: true unweighted: true }
  binarize { class_ids { values: 0 values: 2 } top_k_list { values: 2 } }
  metrics { class_name: "Precision" threshold { value_threshold { lower_bound { value: 0.4 } } } }
}
metrics_specs {
  model_names: "one" model_names: "before" output_names: "colour"
  binarize { class_ids { values: 0 values: 1 } } aggregate { micro_average: true }
  metrics { class_name: "F1Score" threshold {
    value_threshold { lower_bound { value: 0.2 } upper_bound { value: 0.45 } } } }
}
metrics_specs {
  model_names: "one" model_names: "before" output_names: "click"
  metrics { class_name: "BinaryAccuracy" per_slice_thresholds {
    slicing_specs { feature_values { key: "hour" value: "1" } }
    threshold { value_threshold { lower_bound { value: 0.5 } } } } }
}
"""


def test_outputs_classes_and_weights_are_each_judged_as_by_tfma(tmp_path: Path) -> None:
    draw = np.random.default_rng(11)
    rows = pd.DataFrame(
        {
            "colour": number % 3,
            "click": number % 2,
            "scores": draw.dirichlet([1.0, 1.0, 1.0]).tolist(),
            "old_scores": draw.dirichlet([1.0, 1.0, 1.0]).tolist(),
            "clicked": [draw.random()],
            "weight": 0.5 + number % 2,
            "hour": number // 2 % 2,
        }
        for number in range(40)
    )
    folder = evaluate(rows, _OUTPUTS, tmp_path / "outputs")
    evidence = judge(str(folder), Rules())
    assert {check.metric for check in evidence.checks} >= {
        *(
            f"precision (one, colour, {key}{weight})"
            for key in ("classId:0", "topK:2")
            for weight in ("", ", weighted")
        ),
        "f1_score (one, colour, micro, weighted)",
        "binary_accuracy (one, click, weighted)",
    }
    # TFMA gives one failure per threshold, even if two of its bounds could be meant.
    failed = {(check.metric, check.slice) for check in evidence.checks if check.outcome == "failed"}
    assert failed and evidence.count("passed")
    assert failed == _tfmas_failures(folder)


def _tfmas_failures(folder: Path) -> set[tuple[str, str]]:
    return {
        (metric_name(failure.metric_key), slice_name(validation.slice_key))
        for validation in tfma.load_validation_result(str(folder)).metric_validations_per_slice
        for failure in validation.failures
    }
