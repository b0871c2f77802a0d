"""Why a model was blessed or not, in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from mlmd_panel.evaluation.evidence import FAILED, INCONCLUSIVE, PASSED
from mlmd_panel.evaluation.verdict import Verdict, verdict
from mlmd_panel.payloads.evaluation.eval_config import Threshold
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.slices import CrossSpec, Spec

from tests.panel.evaluation.judged import AUC_DIFF, CASH, at_least, evaluation, may_fall, part

OF_ALL = Spec()
NOISE: dict[str, Any] = {"change": -0.0053, "change_ends": (-0.0224, 0.0118)}


def _judge(
    *parts: SliceMetrics,
    thresholds: tuple[Threshold, ...],
    blessed: bool | None = None,
    cold_start: bool = False,
    **said: Any,
) -> Verdict:
    return verdict(evaluation(*parts, thresholds=thresholds, **said), blessed, cold_start)


def test_a_rejection_within_chance() -> None:
    found = _judge(part(**NOISE), thresholds=(may_fall(-0.001, OF_ALL),), blessed=False)
    assert found.sentence == (
        "Not blessed: auc changed by −0.0053 where at least −0.001 was asked. "
        "The interval (−0.0224 to +0.0118) spans the bound: this rejection may be chance."
    )
    assert found.outcome == INCONCLUSIVE


def test_a_rejection_with_evidence_goes_before_one_within_chance() -> None:
    thresholds = (may_fall(-0.001, OF_ALL), at_least(0.95, OF_ALL))
    found = _judge(part(**NOISE), thresholds=thresholds, blessed=False)
    assert found.sentence == (
        "Not blessed: auc is 0.92 where at least 0.95 was asked. "
        "The interval (0.9 to 0.94) lies beyond the bound: this is more than chance. 1 more bound is missed too."
    )
    assert found.outcome == FAILED


def test_several_rejections_within_chance() -> None:
    thresholds = (may_fall(-0.001), at_least(0.93, OF_ALL))
    found = _judge(part(**NOISE), part(CASH, **NOISE), thresholds=thresholds)
    assert found.sentence.startswith("Not passed: auc changed by −0.0053")
    assert found.sentence.endswith(
        "may be chance. 2 more bounds are missed too. None of them is missed with evidence."
    )


def test_bounds_that_are_met() -> None:
    met = _judge(part(), thresholds=(at_least(0.9, OF_ALL), may_fall(-0.01, OF_ALL)), blessed=True)
    assert (met.sentence, met.outcome) == ("Blessed: both bounds are met, with evidence.", PASSED)
    closer = _judge(part(), thresholds=(at_least(0.91, OF_ALL), may_fall(-0.01, OF_ALL)), blessed=True)
    assert closer.sentence == (
        "Blessed: both bounds are met. 1 of them may be met by chance: auc is 0.92 where at least 0.91 was asked. "
        "The interval (0.9 to 0.94) spans the bound."
    )
    assert closer.outcome == INCONCLUSIVE


def test_what_was_not_checked_is_named() -> None:
    nothing = _judge(part(), thresholds=(), blessed=False)
    assert nothing.sentence == (
        "Not blessed: no thresholds were given, so nothing was checked, "
        "and TFMA records the model as not validated."
    )
    assert nothing.outcome is None
    stamped = _judge(part(), thresholds=(), ok=True, missing_thresholds=False, rubber_stamp=True)
    assert stamped.sentence == (
        "Passed: a rubber stamp: there was no baseline, so bounds on the change were not checked."
    )
    cold = _judge(part(change=None), thresholds=(at_least(0.9, OF_ALL),), blessed=True, cold_start=True)
    assert cold.sentence == (
        "Blessed: a cold start: there was no earlier blessed model, so bounds on the change were not checked. "
        "The only bound is met, with evidence."
    )
    unused = _judge(part(), thresholds=(), ok=True, missing_thresholds=False)
    assert unused.sentence == "Passed: no bound applied to any slice."


def test_missing_slices_and_metrics() -> None:
    nobody = Spec(values=frozenset({("payment", "Barter")}))
    found = _judge(part(), thresholds=(at_least(0.9, OF_ALL), at_least(0.9, nobody)), blessed=False)
    assert (
        found.sentence == "Not blessed: no examples are in the slice payment: Barter, which has thresholds."
    )
    assert (found.outcome, found.missing) == (FAILED, ("payment: Barter",))
    shells, salt = (Spec(values=frozenset({("payment", name)})) for name in ("Shells", "Salt"))
    for more, said in (((shells,), "1 more slice"), ((shells, salt), "2 more slices")):
        several = tuple(at_least(0.9, one) for one in (OF_ALL, nobody, *more))
        assert _judge(part(), thresholds=several, blessed=False).sentence == (
            f"Not blessed: no examples are in the slice payment: Barter and in {said}, which have thresholds."
        )
    empty = SliceMetrics(CASH, (), 2.0, None, "Too few examples.")
    lacking = _judge(part(), empty, thresholds=(at_least(0.9),), blessed=False)
    assert lacking.sentence == "Not blessed: auc in payment: Cash was not measured."
    assert lacking.outcome == FAILED


def test_a_cross_slice_that_tfma_overlooks_does_not_fail_by_intervals() -> None:
    spec = CrossSpec(OF_ALL, (Spec(values=frozenset({("payment", "Cash")})),))
    cross = part(slice_=type(CASH)(CASH.pairs, ()), change=None, examples=None)
    found = _judge(
        part(), cross, thresholds=(at_least(0.9, spec),), missing_slices=(), missing_cross_slices=(spec.name,)
    )
    assert found.sentence == (
        "Not passed: TFMA calls the cross slice Overall against payment: Cash missing, "
        "as it does with each that has thresholds."
    )
    assert (found.outcome, found.overlooked, found.missing) == (PASSED, (spec.name,), ())


def test_another_gate_may_decide_otherwise() -> None:
    found = _judge(part(**NOISE), thresholds=(may_fall(-0.001, OF_ALL),), blessed=True)
    assert found.sentence.startswith("Blessed: ")
    assert found.sentence.endswith("TFMA's own verdict is not passed; another gate decided.")


@pytest.mark.parametrize(
    ("measured", "ending"),
    [
        ({"change_ends": None}, "No interval was recorded. Whether this is chance is unknown."),
        ({"examples": 9.0}, "The slice has 9 examples, fewer than 30. Whether this is chance is unknown."),
        (
            {"change_ends": (-0.0053, -0.0053)},
            "The standard error is 0, which says nothing. Whether this is chance is unknown.",
        ),
    ],
)
def test_a_rejection_without_evidence_says_what_lacks(measured: dict[str, Any], ending: str) -> None:
    found = _judge(part(**{**NOISE, **measured}), thresholds=(may_fall(-0.001, OF_ALL),))
    assert found.sentence.endswith(ending)
    assert found.outcome == INCONCLUSIVE


def test_a_relative_change() -> None:
    threshold = Threshold(AUC_DIFF, OF_ALL, True, relative=-0.001, direction=2)
    found = _judge(part(**NOISE), thresholds=(threshold,))
    assert (
        "auc changed by −0.0057 times the baseline's value where at least −0.001 was asked." in found.sentence
    )


def test_an_evaluation_of_which_a_part_was_read_passes_nothing() -> None:
    found = _judge(part(), thresholds=(at_least(0.8, OF_ALL),), cut=True)
    assert found.outcome == INCONCLUSIVE
