"""Compares the transform graphs: their vocabularies, and what their analyzers found."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from mlmd_panel.errors import PayloadError
from mlmd_panel.evaluation.changes import wording
from mlmd_panel.evaluation.changes.changed import Changed, Findings, of_artifact
from mlmd_panel.evaluation.changes.schemas import FieldChange
from mlmd_panel.evaluation.changes.sides import Side
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.model import analyzers, vocabularies
from mlmd_panel.payloads.model.vocabularies import Vocabularies
from mlmd_panel.store.records import Artifact

MAX_ENTRIES = 50
MAX_ANALYZERS = 200
# With `store_frequency` TensorFlow Transform writes each entry after its count.
_COUNTED = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?) (.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class VocabularyChange:
    """A vocabulary that is not the same.

    Attributes:
      vocabulary: Its name.
      baseline_size: Number of entries; None if only the candidate has it.
      candidate_size: Number of entries; None if only the baseline has it.
      added: The first entries that only the candidate has.
      removed: The first entries that only the baseline has.
      added_in_all: Number of all of them.
      removed_in_all: Number of all of them.
      moved: Entries that both have, at another place: the model sees them as another number.
    """

    vocabulary: str
    baseline_size: int | None
    candidate_size: int | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    added_in_all: int
    removed_in_all: int
    moved: int


@dataclasses.dataclass(frozen=True)
class AnalyzerChange:
    """What analyzers found, such as means and bounds of buckets.

    Attributes:
      values: Those that changed, by the name that TensorFlow gives them; of bounds all.
      cut: There are more.
    """

    values: tuple[FieldChange, ...]
    cut: bool


def compare(sides: tuple[Side, Side], files: Files) -> Findings:
    """Compares the transform graphs that the models were trained with: vocabularies and analyzers' values."""
    one, other = (_graph(side) for side in sides)
    if one is None and other is None:
        return Findings()
    if one is None or other is None:
        where = "baseline" if one is None else "candidate"
        return Findings(unknown=(f"Transform graph: the store has none for the {where}.",))
    two = (one, other)
    if one.id == other.id:
        return Findings(same=("Transform graph",))
    read = []
    for side, artifact in zip(sides, two, strict=True):
        try:
            read.append(vocabularies.read(artifact, files))
        except PayloadError as error:
            return Findings(unknown=(f"Transform graph of the {side.name}: {error}",))
    found = (_vocabularies(read[0], read[1], two), _analyzers(two, files))
    return Findings(
        found[0].items + found[1].items, found[0].same + found[1].same, found[0].unknown + found[1].unknown
    )


def _analyzers(graphs: tuple[Artifact, Artifact], files: Files) -> Findings:
    try:
        before, now = (analyzers.read(artifact, files) for artifact in graphs)
    except PayloadError as error:
        return Findings(unknown=(f"Values that the analyzers of the transform graph found: {error}",))
    if not before or not now:
        return Findings(
            unknown=("Values that the analyzers of the transform graph found: none can be read.",)
        )
    changed = [
        FieldChange(name, _plain(before.get(name)), _plain(now.get(name)))
        for name in dict.fromkeys([*now, *before])
        if not _same(before.get(name), now.get(name))
    ]
    if not changed:
        return Findings(same=(f"Values of analyzers ({len(now):,})",))
    single = sorted(
        changed, key=lambda one: isinstance(one.baseline, list) or isinstance(one.candidate, list)
    )
    told = wording.some([f"{c.name} {wording.arrow(c.baseline, c.candidate)}" for c in single], 2)
    item = Changed(
        "transform",
        f"Analyzers: {len(changed):,} of {wording.counted(len({*before, *now}), 'value')} changed ({told})",
        f"{len(before):,} values",
        f"{len(now):,} values",
        (of_artifact(graphs[0]),),
        (of_artifact(graphs[1]),),
        AnalyzerChange(tuple(changed[:MAX_ANALYZERS]), len(changed) > MAX_ANALYZERS),
    )
    return Findings((item,))


def _same(one: Sequence[float] | None, two: Sequence[float] | None) -> bool:
    """Equal; NaN is equal to NaN."""
    return repr(one) == repr(two)


def _plain(values: Sequence[float] | None) -> float | list[float] | None:
    return None if values is None else values[0] if len(values) == 1 else list(values)


def _graph(side: Side) -> Artifact | None:
    given = [a for some in side.inputs.values() for a in some if a.type == "TransformGraph"]
    return next(iter([*given, *side.made("TransformGraph").values()]), None)


def _vocabularies(
    baseline: Vocabularies, candidate: Vocabularies, graphs: tuple[Artifact, Artifact]
) -> Findings:
    problems = {**baseline.problems, **candidate.problems}
    unknown = tuple(f"Vocabularies of the transform graph: {text}" for text in problems.values())
    items, same = [], []
    for name in sorted({*baseline.found, *candidate.found} - problems.keys()):
        one, two = baseline.found.get(name), candidate.found.get(name)
        if one and two and one.entries == two.entries:
            same.append(name)
            continue
        change = _change(name, one.entries if one else None, two.entries if two else None)
        if change is None:
            same.append(name)
            continue
        items.append(
            Changed(
                "transform",
                _sentence(change),
                change.baseline_size,
                change.candidate_size,
                (of_artifact(graphs[0]),),
                (of_artifact(graphs[1]),),
                change,
            )
        )
    told = (f"Vocabular{'ies' if len(same) > 1 else 'y'} {wording.joined(same)}",) if same else ()
    return Findings(tuple(items), told, unknown)


def _change(name: str, before: Sequence[str] | None, now: Sequence[str] | None) -> VocabularyChange | None:
    """What differs; None if only the counts of entries do."""
    sizes = [None if some is None else len(some) for some in (before, now)]
    one, two = _without_counts(before or ()), _without_counts(now or ())
    if before is not None and now is not None and one == two:
        return None
    known, places = set(one), {entry: place for place, entry in enumerate(one)}
    added = [entry for entry in two if entry not in known]
    kept = set(two)
    removed = [entry for entry in one if entry not in kept]
    moved = sum(places.get(entry, place) != place for place, entry in enumerate(two))
    return VocabularyChange(
        name, sizes[0], sizes[1], tuple(added[:MAX_ENTRIES]), tuple(removed[:MAX_ENTRIES]),
        len(added), len(removed), moved,
    )  # fmt: skip


def _without_counts(entries: Sequence[str]) -> list[str]:
    """Entries without their counts: if all have one, in falling order."""
    found = [_COUNTED.fullmatch(entry) for entry in entries]
    matches = [match for match in found if match]
    counts = [float(match[1]) for match in matches]
    if len(matches) < len(entries) or counts != sorted(counts, reverse=True):
        return list(entries)
    return [match[2] for match in matches]


def _sentence(change: VocabularyChange) -> str:
    title = f"Vocabulary {change.vocabulary}"
    if change.baseline_size is None or change.candidate_size is None:
        return f"{title}: only in the {'candidate' if change.baseline_size is None else 'baseline'}"
    parts = [f"{change.baseline_size:,} → {change.candidate_size:,} entries"]
    if change.baseline_size == change.candidate_size:
        parts = [
            wording.counted(change.baseline_size, "entry").replace("entrys", "entries") + " on both sides"
        ]
    if change.added_in_all:
        parts.append(f"{change.added_in_all:,} added ({wording.some(change.added, 3)})")
    if change.removed_in_all:
        parts.append(f"{change.removed_in_all:,} removed ({wording.some(change.removed, 3)})")
    if change.moved:
        parts.append(f"{change.moved:,} at another place")
    return f"{title}: {', '.join(parts)}"
