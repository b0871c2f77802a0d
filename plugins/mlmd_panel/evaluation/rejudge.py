"""Says what other thresholds would have said of past runs, from what was recorded; nothing is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from mlmd_panel.evaluation import evidence as judging
from mlmd_panel.evaluation import readings
from mlmd_panel.evaluation.evidence import FAILED, INCONCLUSIVE, PASSED
from mlmd_panel.evaluation.readings import Reading
from mlmd_panel.evaluation.verdict import Judged, deciding, described
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import slices, thresholds
from mlmd_panel.payloads.evaluation.eval_config import EvalConfig, Threshold
from mlmd_panel.store.run_summaries import RunSummary

# Bounds of one run that are worked out.
MAX_CHECKS = 50_000
UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Rejudged:
    """A run under the thresholds.

    Attributes:
      run: The run, or its branch.
      recorded: TFMA's own verdict of then; None where it wrote none.
      same: Its own thresholds were these.
      by_rule: passed or failed by TFMA's rule; unknown where the evaluation does not have what the thresholds are for.
      by_intervals: passed, failed or inconclusive by the rule with intervals; or unknown.
      why: The bound that decided, or why nothing can be told.
      deciding: That bound, or None.
    """

    run: RunSummary
    recorded: bool | None
    same: bool
    by_rule: str
    by_intervals: str
    why: str
    deciding: Judged | None = None

    def passes(self, inconclusive: str) -> bool | None:
        """Whether the rule with intervals passes it, if inconclusive runs `pass` or `fail`; None if not known."""
        if self.by_intervals == INCONCLUSIVE:
            return inconclusive == "pass"
        return None if self.by_intervals == UNKNOWN else self.by_intervals == PASSED


def rejudge(files: Files, runs: Sequence[RunSummary], config: EvalConfig, sole: str) -> list[Rejudged]:
    """Applies thresholds to runs that have an evaluation.

    Args:
      files: Where from.
      runs: Runs or branches; those without an evaluation are left out.
      config: Whose thresholds.
      sole: Name of its only candidate model; of each run the only candidate takes its place. "" if it has several.
    """
    metrics = frozenset(one.key.name for one in config.thresholds)
    return [
        _rejudged(run, readings.read(run.evaluation, files, None, metrics), config, sole)
        for run in runs
        if run.evaluation is not None
    ]


def _rejudged(run: RunSummary, reading: Reading, config: EvalConfig, sole: str) -> Rejudged:
    recorded = reading.recorded.ok if reading.recorded else None
    if not reading.keys:
        why = reading.problem or "The evaluation has no metrics."
        return Rejudged(run, recorded, False, UNKNOWN, UNKNOWN, why)
    wanted = tuple(_of_run(config, sole, reading))
    applied = dataclasses.replace(reading.config, thresholds=wanted)
    same = _asked(wanted) == _asked(
        [one for one in reading.config.thresholds if one.key.model != reading.baseline]
    )
    lacking = None if same else _lacking(wanted, reading)
    if lacking or reading.cut or config.cut:
        why = lacking or "The evaluation is larger than the panel reads."
        return Rejudged(run, recorded, same, UNKNOWN, UNKNOWN, why)
    if not wanted:
        stamped = bool(reading.recorded and reading.recorded.rubber_stamp)
        why = (
            "No threshold applies: without a baseline there is no change to bound."
            if config.thresholds
            else ""
        )
        why = why or "Without thresholds TFMA records the model as not validated."
        return Rejudged(run, recorded, same, PASSED if stamped else FAILED, UNKNOWN, why)
    rows = _rows(applied, reading)
    if rows is None:
        return Rejudged(run, recorded, same, UNKNOWN, UNKNOWN, "There are more bounds than the panel checks.")
    missing = thresholds.missing_slices(applied, reading.parts)
    return _decided(run, recorded, same, rows, missing, reading)


def _decided(
    run: RunSummary,
    recorded: bool | None,
    same: bool,
    rows: Sequence[Judged],
    missing: Sequence[slices.Spec | slices.CrossSpec],
    reading: Reading,
) -> Rejudged:
    failed = [row for row in rows if row.check.passed is False]
    unknown = [row for row in rows if row.check.passed is None]
    by_rule = FAILED if failed or missing else UNKNOWN if unknown else PASSED
    really_missing = [spec for spec in missing if not _is_there(spec, reading)]
    by_intervals = FAILED if really_missing else judging.together(row.evidence for row in rows)
    first = _first(rows, by_intervals)
    several = not reading.sole and len({key.model for key in reading.keys if key.model}) > 1
    why = described(first.check, several) if first else ""
    if missing and not failed:
        why = f"No examples are in the slice {missing[0].name}, which has thresholds."
        if not really_missing:
            why = f"TFMA calls the cross slice {missing[0].name} missing, as it does with each that has thresholds."
        first = None
    elif first and first.evidence.why:
        why = f"{why} {first.evidence.why}"
    return Rejudged(run, recorded, same, by_rule, by_intervals, why, first)


def _first(rows: Sequence[Judged], by_intervals: str) -> Judged | None:
    """What decided: what is missed with evidence, else what TFMA counts as missed, else what is closest."""
    for outcome in (FAILED, INCONCLUSIVE) if by_intervals != PASSED else ():
        found = [row for row in rows if row.evidence.outcome == outcome]
        missed = [row for row in found if row.check.passed is False]
        if found:
            return deciding(missed or found)
    return deciding(rows)


def _of_run(config: EvalConfig, sole: str, reading: Reading) -> Iterator[Threshold]:
    """The thresholds as a run's configuration would have had them.

    TFX leaves those on the change out when there is no baseline.
    """
    own_change = any(one.change for one in reading.config.thresholds)
    for one in config.thresholds:
        if one.key.model == config.baseline:
            continue
        if one.change and reading.baseline is None and not own_change:
            continue
        model = one.key.model
        if model == sole:
            model = reading.sole
        yield dataclasses.replace(one, key=dataclasses.replace(one.key, model=model))


def _asked(found: Sequence[Threshold]) -> frozenset[tuple]:
    return frozenset((one.key, one.spec, one.identity) for one in found)


def _lacking(wanted: Sequence[Threshold], reading: Reading) -> str | None:
    """What the evaluation does not have, so that nothing can be told; None if it has all."""
    keys = set(reading.keys)
    configured = {one.key for one in reading.config.thresholds}
    for one in wanted:
        if one.key not in keys and one.key not in configured:
            return f"That run did not measure {one.key.label}."
        if isinstance(one.spec, slices.Spec) and not _is_sliced(one.spec, reading):
            return f"That run was not sliced by {one.spec.name}."
    return None


def _is_sliced(spec: slices.Spec, reading: Reading) -> bool:
    """Whether the run's slices include what a specification selects, if there were examples of it."""
    if any(slices.selects(spec, part.slice) for part in reading.parts):
        return True
    features = spec.features | {name for name, _ in spec.values}
    if not features:
        return not reading.config.slicing
    for own in reading.config.slicing:
        if isinstance(own, slices.Spec):
            fixed = {name for name, _ in own.values}
            if own.sql or (own.features | fixed == features and own.values <= spec.values):
                return True
    return False


def _is_there(spec: slices.Spec | slices.CrossSpec, reading: Reading) -> bool:
    return isinstance(spec, slices.CrossSpec) and any(
        slices.selects(spec, part.slice) for part in reading.parts
    )


def _rows(config: EvalConfig, reading: Reading) -> list[Judged] | None:
    parts = {part.slice: part for part in reading.parts}
    found: list[Judged] = []
    for (slice_, _, _), group in thresholds.groups(config, reading.parts):
        found += [Judged(check, judging.evidence(check, parts[slice_], reading.baseline)) for check in group]
        if len(found) > MAX_CHECKS:
            return None
    return found
