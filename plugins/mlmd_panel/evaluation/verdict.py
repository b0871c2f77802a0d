"""Says why a model was blessed or not, by TFMA's rule and by one that respects intervals."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from mlmd_panel.evaluation import evidence as judging
from mlmd_panel.evaluation.evidence import FAILED, INCONCLUSIVE, PASSED, Evidence
from mlmd_panel.formats import counted, number, signed
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.slices import CrossSpec, selects
from mlmd_panel.payloads.evaluation.thresholds import NOT_FOUND, Check
from mlmd_panel.payloads.evaluation.validation import ValidationPayload


@dataclasses.dataclass(frozen=True)
class Judged:
    """A bound with what its interval says."""

    check: Check
    evidence: Evidence


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The verdict of an evaluation.

    Attributes:
      sentence: Why the model was blessed or not.
      outcome: By the intervals: passed, failed or inconclusive; None if nothing was checked.
      rows: TFMA's checks with their evidence, in their order.
      missing: Names of slices that have thresholds and no examples; without cross slices that TFMA overlooked.
      overlooked: Names of cross slices that TFMA calls missing, though they are there.
      cold_start: There was no baseline, so thresholds on the change were left out of the configuration.
    """

    sentence: str
    outcome: str | None
    rows: tuple[Judged, ...]
    missing: tuple[str, ...]
    overlooked: tuple[str, ...]
    cold_start: bool


def verdict(payload: EvaluationPayload, blessed: bool | None, cold_start: bool) -> Verdict:
    """Judges an evaluation whose verdict was read.

    Args:
      payload: With its validation, if it has one.
      blessed: Whether the run's model was blessed; None if the run has no blessing.
      cold_start: The Evaluator asks for a baseline and had none.
    """
    found = payload.validation
    parts = {part.slice: part for part in payload.slices}
    checks = found.checks if found else ()
    rows = tuple(
        Judged(one, judging.evidence(one, parts.get(one.slice), payload.config.baseline)) for one in checks
    )
    there = {
        one.spec.name
        for one in payload.config.thresholds
        if isinstance(one.spec, CrossSpec) and any(selects(one.spec, slice_) for slice_ in parts)
    }
    crosses = found.missing_cross_slices if found else ()
    overlooked = tuple(name for name in crosses if name in there)
    missing = (*(found.missing_slices if found else ()), *(name for name in crosses if name not in there))
    outcome = _outcome(found, rows, missing)
    several = len(payload.candidates) > 1
    sentence = _sentence(found, rows, missing, overlooked, blessed, cold_start, several)
    return Verdict(sentence, outcome, rows, missing, overlooked, cold_start)


def _outcome(found: ValidationPayload | None, rows: Sequence[Judged], missing: Sequence[str]) -> str | None:
    if found is None or not (rows or missing):
        return None
    outcome = FAILED if missing else judging.together(row.evidence for row in rows)
    return INCONCLUSIVE if found.cut and outcome == PASSED else outcome


def deciding(rows: Sequence[Judged]) -> Judged | None:
    """The bound to name first.

    Of those that TFMA counts as failed one whose interval says so too, else the one that is missed by most; without
    such the one that is closest to its bound.
    """
    failed = [row for row in rows if row.check.passed is False]
    if failed:
        return min(failed, key=lambda row: (row.evidence.outcome != FAILED, _share(row.check)))
    bounded = [row for row in rows if row.check.margin is not None and not math.isnan(row.check.margin)]
    return min(bounded, key=lambda row: (row.evidence.outcome == PASSED, _share(row.check)), default=None)


def _share(check: Check) -> float:
    """The margin as a share of what is compared; a metric that is missing misses by most."""
    if check.margin is None or math.isnan(check.margin):
        return -math.inf
    scale = max(abs(check.value or 0), abs(check.limit or 0))
    return check.margin / scale if scale and math.isfinite(scale) else check.margin


def _sentence(
    found: ValidationPayload | None,
    rows: Sequence[Judged],
    missing: Sequence[str],
    overlooked: Sequence[str],
    blessed: bool | None,
    cold_start: bool,
    several: bool,
) -> str:
    if found is None or found.ok is None:
        start = {True: "Blessed. ", False: "Not blessed. "}.get(blessed, "") if blessed is not None else ""
        return start + "The Evaluator wrote no verdict that the panel can read."
    good = found.ok if blessed is None else blessed
    head = ("Passed", "Not passed") if blessed is None else ("Blessed", "Not blessed")
    text = f"{head[0] if good else head[1]}: {_reason(found, rows, missing, overlooked, cold_start, several)}"
    if good != found.ok:
        text += f" TFMA's own verdict is {'passed' if found.ok else 'not passed'}; another gate decided."
    return text


def _reason(
    found: ValidationPayload,
    rows: Sequence[Judged],
    missing: Sequence[str],
    overlooked: Sequence[str],
    cold_start: bool,
    several: bool,
) -> str:
    if found.missing_thresholds:
        return (
            "no thresholds were given, so nothing was checked, and TFMA records the model as not validated."
        )
    failed = [row for row in rows if row.check.passed is False]
    if failed:
        return _failure(failed, several)
    if missing:
        return _without_examples(missing)
    if overlooked and not found.ok:
        return (
            f"TFMA calls the cross slice {overlooked[0]} missing, as it does with each that has thresholds."
        )
    return _success(found, rows, cold_start, several)


def _without_examples(missing: Sequence[str]) -> str:
    if len(missing) == 1:
        return f"no examples are in the slice {missing[0]}, which has thresholds."
    others = counted(len(missing) - 1, "more slice")
    return f"no examples are in the slice {missing[0]} and in {others}, which have thresholds."


def _failure(failed: Sequence[Judged], several: bool) -> str:
    first = deciding(failed)
    assert first is not None  # of one or more
    text = f"{described(first.check, several)} {_chance(first, 'rejection')}"
    by_chance = sum(row.evidence.outcome != FAILED for row in failed)
    if len(failed) > 1:
        text += _more(len(failed) - 1, "bound", "is missed too", "are missed too")
        if by_chance == len(failed):
            text += " None of them is missed with evidence."
    return text.strip()


def _success(found: ValidationPayload, rows: Sequence[Judged], cold_start: bool, several: bool) -> str:
    if found.rubber_stamp:
        start = "a rubber stamp: there was no baseline, so bounds on the change were not checked"
    elif cold_start:
        start = "a cold start: there was no earlier blessed model, so bounds on the change were not checked"
    else:
        start = ""
    bounded = [row for row in rows if row.check.bound]
    if not bounded:
        return f"{start or 'no bound applied to any slice'}."
    few = {1: "the only bound is", 2: "both bounds are"}
    count = few.get(len(bounded), f"all {len(bounded):,} bounds are")
    met = f"{count} met"
    text = f"{start}. {met[0].upper()}{met[1:]}" if start else met
    open_ = [row for row in bounded if row.evidence.outcome == INCONCLUSIVE]
    if not open_:
        return f"{text}, with evidence." if found.ok else f"{text}."
    first = deciding(open_) or open_[0]
    which = "It" if len(bounded) == 1 else f"{len(open_):,} of them"
    return f"{text}. {which} may be met by chance: {described(first.check, several)} {_chance(first)}".strip()


def described(check: Check, several: bool = False) -> str:
    """What was asked and what was found, such as `auc changed by -0.0053 where at least -0.001 was asked.`"""
    key = dataclasses.replace(check.key, is_diff=False)
    name = key.label_of(key.model if several else "")
    if not check.slice.is_overall:
        name += f" in {check.slice.name}"
    if check.message == NOT_FOUND:
        return f"{name} was not measured."
    least = "at least" if judging.is_least(check) else "at most"
    if check.bound in ("absolute", "relative"):
        of = " times the baseline's value" if check.bound == "relative" else ""
        limit = f"{'+' if (check.limit or 0) > 0 else ''}{number(check.limit)}"
        return f"{name} changed by {_change(check.value)}{of} where {least} {limit} was asked."
    if check.bound == "":
        return f"{name} is {number(check.value)}."
    return f"{name} is {number(check.value)} where {least} {number(check.limit)} was asked."


def _chance(row: Judged, what: str = "") -> str:
    """Whether that may be chance."""
    found, written = row.evidence, _change if row.check.key.is_diff else number
    ends = ""
    if found.lower is not None and found.upper is not None:
        ends = f"{written(found.lower)} to {written(found.upper)}"
    if found.outcome == FAILED:
        return f"The interval ({ends}) lies beyond the bound: this is more than chance." if ends else ""
    if found.why == judging.SPANS:
        end = f": this {what} may be chance." if what else "."
        return f"The interval ({ends}) spans the bound{end}"
    return f"{found.why} Whether this is chance is unknown." if what else found.why


def _more(count: int, noun: str, one: str, many: str) -> str:
    return f" {counted(count, f'more {noun}')} {one if count == 1 else many}."


def _change(value: float | None) -> str:
    return "unknown" if value is None else signed(value)
