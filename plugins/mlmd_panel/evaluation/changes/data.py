"""Compares the examples that the models were trained on, and those that they were evaluated on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from mlmd_panel.errors import PayloadError
from mlmd_panel.evaluation.changes import wording
from mlmd_panel.evaluation.changes.changed import Changed, Findings, of_artifact
from mlmd_panel.evaluation.changes.sides import Side, number, of_json, property_of
from mlmd_panel.store.records import Artifact

TRAIN, EVAL = "train", "eval"
_TITLES = {TRAIN: "Train data", EVAL: "Eval data"}
StatisticsOf = Mapping[int, Sequence[Artifact]]
# Number of examples by split, of ExampleStatistics.
Counts = Callable[[Artifact], dict[str, int]]


@dataclasses.dataclass(frozen=True)
class ExamplesUsed:
    """Examples that a model was trained or evaluated on.

    Attributes:
      id: Id of the artifact.
      span: Number, or None.
      version: Number, or None.
      examples: Number of them in the splits that were used; None if not recorded.
      fingerprint: Fingerprint of the files they were made from, as ExampleGen wrote it, or empty.
    """

    id: int
    span: int | None
    version: int | None
    examples: int | None
    fingerprint: str


@dataclasses.dataclass(frozen=True)
class DataChange:
    """Other examples.

    Attributes:
      role: `train` or `eval`.
      baseline_splits: Splits of which the examples are counted.
      candidate_splits: The same of the candidate's run.
      baseline: The baseline's Examples, by span.
      candidate: The candidate's.
    """

    role: str
    baseline_splits: tuple[str, ...]
    candidate_splits: tuple[str, ...]
    baseline: tuple[ExamplesUsed, ...]
    candidate: tuple[ExamplesUsed, ...]


@dataclasses.dataclass(frozen=True)
class _Used:
    """Examples of one side and role, and why the number of some is not known."""

    splits: tuple[str, ...]
    examples: tuple[ExamplesUsed, ...]
    uncounted: str

    @property
    def total(self) -> int | None:
        """Number of all examples; None if that of some is not known."""
        counts = [one.examples for one in self.examples]
        return None if None in counts else sum(count for count in counts if count is not None)


def compare(role: str, sides: tuple[Side, Side], statistics: StatisticsOf, counts: Counts) -> Findings:
    """Compares the examples of a role.

    Args:
      role: `train` or `eval`.
      sides: Baseline and candidate.
      statistics: ExampleStatistics by the Examples they were computed of.
      counts: Reads the number of examples by split; may raise PayloadError.
    """
    title = _TITLES[role]
    given = [side.trained_on if role == TRAIN else side.evaluated for side in sides]
    unknown = [
        f"{title} of the {side.name}: {_missing(role, side)}"
        for side, artifacts in zip(sides, given, strict=True)
        if not artifacts
    ]
    if unknown:
        return Findings(unknown=tuple(unknown))
    used = [_used(role, side, some, statistics, counts) for side, some in zip(sides, given, strict=True)]
    notes = tuple(
        f"{title} of the {side.name}: {one.uncounted}"
        for side, one in zip(sides, used, strict=True)
        if one.uncounted
    )
    spans = [_spans(one.examples) for one in used]
    if _alike(used[0], used[1]):
        whole = f" ({', '.join(filter(None, [spans[0], _count(used[0].total)]))})" if spans[0] else ""
        return Findings(same=(f"{title}{whole}",), unknown=notes)
    parts = [f"{spans[0]} → {spans[1]}" if spans[0] != spans[1] else spans[0], _counts(used)]
    if spans[0] == spans[1]:
        parts.append(_difference(used))
    item = Changed(
        "data",
        f"{title}: {', '.join(filter(None, parts))}",
        spans[0] or None,
        spans[1] or None,
        tuple(map(of_artifact, given[0])),
        tuple(map(of_artifact, given[1])),
        DataChange(role, used[0].splits, used[1].splits, used[0].examples, used[1].examples),
    )
    return Findings((item,), (), notes)


def _missing(role: str, side: Side) -> str:
    if side.cut:
        return "there is more lineage in the store than is read here."
    if role == EVAL:
        return "the store has no Evaluator's Examples for this run, or you may not see them."
    return "the store does not tell which Examples its model was trained on, or you may not see them."


def _used(
    role: str, side: Side, artifacts: Sequence[Artifact], statistics: StatisticsOf, counts: Counts
) -> _Used:
    splits = splits_of(role, side)
    made, uncounted = [], []
    for artifact in artifacts:
        count, why = _examples(statistics.get(artifact.id, ()), splits, counts)
        if count is None:
            uncounted.append((artifact, why))
        fingerprint = artifact.property("input_fingerprint")
        made.append(
            ExamplesUsed(
                artifact.id,
                number(artifact, "span"),
                number(artifact, "version"),
                count,
                fingerprint if isinstance(fingerprint, str) else "",
            )
        )
    text = ""
    if uncounted:
        names = wording.some([of_artifact(artifact).label for artifact, _ in uncounted])
        text = f"the number of examples of {names} is not known: {uncounted[0][1]}"
    return _Used(splits, tuple(made), text)


def splits_of(role: str, side: Side) -> tuple[str, ...]:
    """Splits that are used in a role: as the components were told, else TFX's default."""
    if role == EVAL:
        evaluator = side.nodes.get(side.evaluator.node) if side.evaluator else None
        given = of_json(property_of(evaluator, "example_splits"))
        return _texts(given) or ("eval",)
    arguments = of_json(
        property_of(side.nodes.get(side.trainer.node) if side.trainer else None, "train_args")
    )
    return _texts(arguments.get("splits") if isinstance(arguments, dict) else None) or ("train",)


def _texts(given: object) -> tuple[str, ...]:
    return tuple(one for one in given if isinstance(one, str)) if isinstance(given, list) else ()


def _examples(found: Sequence[Artifact], splits: Sequence[str], counts: Counts) -> tuple[int | None, str]:
    """Number of examples in some splits, or None and why."""
    why = "no ExampleStatistics of it alone are in the store."
    for artifact in reversed(found):
        rates = artifact.property("sample_rate_by_split")
        rates = of_json(rates)
        if isinstance(rates, dict) and any(rates.get(split, 1) != 1 for split in splits):
            why = f"its {of_artifact(artifact).label} are of a sample."
            continue
        try:
            by_split = counts(artifact)
        except PayloadError as error:
            why = f"{of_artifact(artifact).label} cannot be read: {error}"
            continue
        kept = [by_split[split] for split in splits if split in by_split]
        if len(kept) == len(splits):
            return sum(kept), ""
        absent = wording.some([split for split in splits if split not in by_split])
        why = f"{of_artifact(artifact).label} have no split {absent}."
    return None, why


def _alike(baseline: _Used, candidate: _Used) -> bool:
    """The same artifacts, or made of the same files; and the same splits of them."""
    if set(baseline.splits) != set(candidate.splits):
        return False
    ids = [{one.id for one in side.examples} for side in (baseline, candidate)]
    if ids[0] == ids[1]:
        return True
    marks = [
        sorted((one.span or 0, one.version or 0, one.fingerprint) for one in side.examples)
        for side in (baseline, candidate)
    ]
    known = all(
        one.fingerprint and one.span is not None for side in (baseline, candidate) for one in side.examples
    )
    return known and marks[0] == marks[1] and baseline.total == candidate.total


def _spans(examples: Sequence[ExamplesUsed]) -> str:
    found = sorted({one.span for one in examples if one.span is not None})
    if not found:
        return ""
    if len(found) == 1:
        return f"span {found[0]}"
    return f"spans {found[0]} to {found[-1]} ({len(found)})"


def _count(total: int | None) -> str:
    return "" if total is None else wording.counted(total, "example")


def _counts(used: Sequence[_Used]) -> str:
    totals = [one.total for one in used]
    if totals == [None, None]:
        return "number of examples not known"
    texts = ["unknown" if total is None else f"{total:,}" for total in totals]
    return (
        f"{texts[0]} → {texts[1]} examples" if texts[0] != texts[1] else f"{texts[0]} examples on both sides"
    )


def _difference(used: Sequence[_Used]) -> str:
    """Why examples of the same spans are not the same."""
    if set(used[0].splits) != set(used[1].splits):
        return f"splits {', '.join(used[0].splits)} → {', '.join(used[1].splits)}"
    versions = [sorted({one.version for one in side.examples if one.version is not None}) for side in used]
    if versions[0] != versions[1]:
        return f"version {wording.some(list(map(str, versions[0])))} → {wording.some(list(map(str, versions[1])))}"
    marks = [sorted(one.fingerprint for one in side.examples) for side in used]
    return "made of other files" if marks[0] != marks[1] else "made anew"
