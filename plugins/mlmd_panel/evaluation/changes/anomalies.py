"""Compares the anomalies that the same nodes of the two runs found."""

from __future__ import annotations

import dataclasses
from collections import Counter

from mlmd_panel.errors import PayloadError
from mlmd_panel.evaluation.changes import wording
from mlmd_panel.evaluation.changes.changed import Changed, Findings, of_artifact
from mlmd_panel.evaluation.changes.sides import Side
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import anomalies
from mlmd_panel.payloads.data.anomalies import AnomaliesPayload
from mlmd_panel.store.records import Artifact

NEW, GONE, STILL = "new", "gone", "still"
MAX_ANOMALIES = 500


@dataclasses.dataclass(frozen=True)
class AnomalyOf:
    """An anomaly in at least one of the two runs.

    Attributes:
      split: Name of the split.
      feature: Name of the feature; "" of the dataset.
      type: Such as ENUM_TYPE_UNEXPECTED_STRING_VALUES.
      change: `new`, `gone` or `still`.
      severity: ERROR, WARNING or UNKNOWN; of one that is still there the candidate's.
      baseline: What the baseline's says; "" if it has none.
      candidate: What the candidate's says.
    """

    split: str
    feature: str
    type: str
    change: str
    severity: str
    baseline: str
    candidate: str

    @property
    def label(self) -> str:
        """Where it is: `fare in split train`."""
        what = self.feature or "the dataset"
        return f"{what} in split {self.split}" if self.split else what


@dataclasses.dataclass(frozen=True)
class AnomalyChange:
    """Anomalies that a node found: those that are new, gone, and still there; `cut` when there are more."""

    node: str
    anomalies: tuple[AnomalyOf, ...]
    cut: bool


def compare(sides: tuple[Side, Side], files: Files) -> Findings:
    """Compares the anomalies."""
    items: list[Changed] = []
    same: list[str] = []
    unknown: list[str] = []
    two = [side.made("ExampleAnomalies") for side in sides]
    for place in sorted({*two[0], *two[1]}):
        one, other = two[0].get(place), two[1].get(place)
        if one is None or other is None:
            where = "baseline" if one is None else "candidate"
            unknown.append(f"Anomalies of {place[0]}: the {where}'s run has none to compare.")
            continue
        if one.id == other.id:
            same.append(f"Anomalies of {place[0]}")
            continue
        try:
            payloads = anomalies.read(one, files), anomalies.read(other, files)
        except PayloadError as error:
            unknown.append(f"Anomalies of {place[0]} cannot be compared: {error}")
            continue
        unknown += [
            f"Anomalies of {place[0]}: {problem}" for payload in payloads for problem in payload.problems
        ]
        cut = any(payload.cut or any(s.cut for s in payload.splits) for payload in payloads)
        _of_node(place[0], (one, other), changes(*payloads), cut, (items, same))
    return Findings(tuple(items), tuple(same), tuple(unknown))


def _of_node(
    node: str,
    artifacts: tuple[Artifact, Artifact],
    found: tuple[AnomalyOf, ...],
    cut: bool,
    into: tuple[list[Changed], list[str]],
) -> None:
    counts = Counter(one.change for one in found)
    if not counts[NEW] and not counts[GONE]:
        still = f" ({wording.counted(counts[STILL], 'anomaly').replace('anomalys', 'anomalies')} still there)"
        into[1].append(f"Anomalies of {node}{still if found else ' (none)'}")
        return
    parts = []
    for change, word in ((NEW, "new"), (GONE, "gone"), (STILL, "still there")):
        if counts[change]:
            named = wording.some([one.label for one in found if one.change == change], 3)
            parts.append(f"{counts[change]:,} {word} ({named})")
    held = [len({(one.split, one.feature) for one in found if one.change != gone}) for gone in (NEW, GONE)]
    into[0].append(
        Changed(
            "anomalies",
            f"Anomalies of {node}: {', '.join(parts)}",
            held[0],
            held[1],
            (of_artifact(artifacts[0]),),
            (of_artifact(artifacts[1]),),
            AnomalyChange(node, found[:MAX_ANOMALIES], cut or len(found) > MAX_ANOMALIES),
        )
    )


def changes(baseline: AnomaliesPayload, candidate: AnomaliesPayload) -> tuple[AnomalyOf, ...]:
    """Anomalies that are new, gone, and still there; the same is one of the same type in the same split and feature."""
    before, now = _each(baseline), _each(candidate)
    made = [
        AnomalyOf(
            *key,
            NEW if key not in before else GONE if key not in now else STILL,
            (now.get(key) or before[key])[0],
            before.get(key, ("", ""))[1],
            now.get(key, ("", ""))[1],
        )
        for key in dict.fromkeys([*now, *before])
    ]
    order = (NEW, GONE, STILL)
    return tuple(sorted(made, key=lambda one: (order.index(one.change), one.severity != "ERROR")))


def _each(payload: AnomaliesPayload) -> dict[tuple[str, str, str], tuple[str, str]]:
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for split in payload.splits:
        if split.data_missing:
            found[split.split, "", "DATA_MISSING"] = "ERROR", "There are no examples."
        for anomaly in split.anomalies:
            for reason in anomaly.reasons:
                told = anomaly.severity, reason.description or reason.short
                found[split.split, anomaly.feature, reason.type] = told
            if not anomaly.reasons:
                found[split.split, anomaly.feature, ""] = (
                    anomaly.severity,
                    anomaly.description or anomaly.short,
                )
    return found
