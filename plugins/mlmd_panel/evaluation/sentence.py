"""Says in one or two sentences what a comparison found."""

from __future__ import annotations

from mlmd_panel.evaluation import verdicts
from mlmd_panel.evaluation.compare import Comparison
from mlmd_panel.evaluation.direction import HIGHER
from mlmd_panel.evaluation.effects import SAME_EXAMPLES
from mlmd_panel.evaluation.row import Change, Row
from mlmd_panel.formats import number, signed


def sentence(comparison: Comparison, primary: Row | None, data: str, unlinked: str) -> str:
    """What a comparison found, in words.

    Args:
      comparison: The comparison.
      primary: The metric on all examples that it begins with; None if there is none in common.
      data: What the candidate was evaluated on, such as `span 201412`; empty if not known.
      unlinked: Why the change cannot be split into model and data; a sentence that begins in lower case.
    """
    parts = [_change(primary, data, unlinked)] if primary is not None else []
    return " ".join([*parts, tally(comparison)])


def tally(comparison: Comparison) -> str:
    """The number of comparisons by verdict."""
    counts = comparison.counts
    if not comparison.compared:
        return "There is nothing to compare."
    said = [f"{counts[verdicts.WORSE]:,} of {comparison.compared:,} comparisons worse"]
    said += [
        f"{counts[verdict]:,} {verdict}"
        for verdict in (
            verdicts.SUSPECT,
            verdicts.BETTER,
            verdicts.DIFFERENT,
            verdicts.UNCHANGED,
            verdicts.INCONCLUSIVE,
        )
        if counts[verdict] or verdict == verdicts.BETTER
    ]
    return ", ".join(said) + "."


def _change(row: Row, data: str, unlinked: str) -> str:
    total = row.total
    if total is None or row.baseline is None or row.candidate is None:
        return f"{row.metric} is not a single number."
    ends = f"{number(row.baseline.number)} to {number(row.candidate.number)}"
    if row.why == verdicts.SAME_VALUES:
        return f"Both runs have the same evaluation: {row.metric} is {number(row.candidate.number)}."
    if total.value != total.value:
        return f"{row.metric} went from {ends}, so that its change is not known."
    moved = "rose" if total.value > 0 else "fell" if total.value < 0 else "stayed the same"
    by = f" by {signed(abs(total.value)).lstrip('+')}" if total.value else ""
    start = f"{row.metric} {moved}{by} ({ends})"
    if row.model_effect is None or row.data_effect is None:
        return f"{start}: {_whole(row)}. How much of it is the model and how much the data is not known: {unlinked}"
    if row.data_effect.method == SAME_EXAMPLES:
        return f"{start}, both on the same examples: {_model(row)}."
    return f"{start}: {_data(row.data_effect, row.better, data)}; {_model(row)}."


def _whole(row: Row) -> str:
    change = row.total
    if change is None or change.interval is None:
        return f"whether that is chance is not known ({row.why})"
    if row.verdict == verdicts.INCONCLUSIVE:
        return f"within chance ({_interval(change)})"
    return f"{_VERDICTS[row.verdict]} ({_interval(change)})"


_VERDICTS = {
    verdicts.WORSE: "worse beyond chance",
    verdicts.SUSPECT: "worse, but not after the correction for many comparisons",
    verdicts.BETTER: "better beyond chance",
    verdicts.UNCHANGED: "no more than the allowed change",
    verdicts.DIFFERENT: "different beyond chance",
}


def _data(change: Change, better: str | None, data: str) -> str:
    of = f"the data of {data}" if data else "the candidate's data"
    if change.interval is None:
        return f"{of} account for {signed(change.value)} (interval not known: {change.why or 'none'})"
    if change.interval.lower <= 0 <= change.interval.upper:
        return f"{of} account for {signed(change.value)} ({_interval(change)}, within chance)"
    good = (change.value > 0) == (better == HIGHER)
    kind = "are different" if better is None else "are easier" if good else "are harder"
    return f"{of} {kind} ({signed(change.value)}, {_interval(change)})"


def _model(row: Row) -> str:
    change = row.model_effect
    if change is None or change.method == "same model":
        return "the model is the same"
    if change.interval is None:
        return (
            f"the model's part is {signed(change.value)}, and whether that is chance is not known ({row.why})"
        )
    detail = f"({signed(change.value)}, {_interval(change)})"
    return {
        verdicts.WORSE: f"the model got worse {detail}",
        verdicts.SUSPECT: f"the model may have got worse {detail}; after the correction for many comparisons it is "
        "within chance",
        verdicts.BETTER: f"the model got better {detail}",
        verdicts.UNCHANGED: f"the model changed by no more than allowed {detail}",
        verdicts.DIFFERENT: f"the model is different {detail}",
    }.get(row.verdict, f"the model shows no change beyond chance {detail}")


def _interval(change: Change) -> str:
    bounds = change.corrected or change.interval
    return f"{signed(bounds.lower)} to {signed(bounds.upper)}" if bounds else "no interval"
