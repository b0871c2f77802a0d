"""Compares the schemas of the two runs."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlmd_panel.errors import PayloadError
from mlmd_panel.evaluation.changes import wording
from mlmd_panel.evaluation.changes.changed import Changed, Findings, of_artifact
from mlmd_panel.evaluation.changes.sides import Side
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import schema
from mlmd_panel.payloads.data.schema import SchemaPayload
from mlmd_panel.payloads.data.schema_features import Domain, Feature

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
MAX_FEATURES = 500
MAX_VALUES = 50
_WORDS = {
    "type": "type",
    "domain": "domain",
    "min_fraction": "presence",
    "min_count": "presence",
    "value_counts": "number of values",
    "drift": "drift comparator",
    "skew": "skew comparator",
}


@dataclasses.dataclass(frozen=True)
class FieldChange:
    """What the two sides say of one thing; None says nothing."""

    name: str
    baseline: Any
    candidate: Any


@dataclasses.dataclass(frozen=True)
class FeatureChange:
    """A feature that was added, removed or changed.

    Attributes:
      feature: Its name; "" for what the schema says of all.
      change: `added`, `removed` or `changed`.
      fields: What is not the same; of a domain the values that came and went. None of an added or removed feature.
    """

    feature: str
    change: str
    fields: tuple[FieldChange, ...] = ()


@dataclasses.dataclass(frozen=True)
class SchemaChange:
    """Features that are not the same, in the candidate's order; `cut` when there are more."""

    features: tuple[FeatureChange, ...]
    cut: bool


def compare(sides: tuple[Side, Side], files: Files) -> Findings:
    """Compares the schemas that the models were trained with, else those of the runs."""
    one, other = (side.schema for side in sides)
    if one is None and other is None:
        return Findings()
    if one is None or other is None:
        where = "baseline" if one is None else "candidate"
        return Findings(unknown=(f"Schema: the store has none for the {where}.",))
    two = (one, other)
    if one.id == other.id:
        return Findings(same=("Schema",))
    read = []
    for side, artifact in zip(sides, two, strict=True):
        try:
            read.append(schema.read(artifact, files))
        except PayloadError as error:
            return Findings(unknown=(f"Schema of the {side.name}, {of_artifact(artifact).label}: {error}",))
    found = features(read[0], read[1])
    notes = tuple(
        f"Schema of the {side.name}: there is more in it than is read here."
        for side, payload in zip(sides, read, strict=True)
        if payload.cut
    )
    if not found:
        return Findings(same=("Schema (of different artifacts)",), unknown=notes)
    item = Changed(
        "schema",
        f"Schema: {_sentence(found)}",
        wording.counted(len(read[0].features), "feature"),
        wording.counted(len(read[1].features), "feature"),
        (of_artifact(two[0]),),
        (of_artifact(two[1]),),
        SchemaChange(found[:MAX_FEATURES], len(found) > MAX_FEATURES),
    )
    return Findings((item,), (), notes)


def features(baseline: SchemaPayload, candidate: SchemaPayload) -> tuple[FeatureChange, ...]:
    """Features that were added, removed or changed."""
    before = {feature.name: feature for feature in baseline.features}
    now = {feature.name: feature for feature in candidate.features}
    found = [FeatureChange(name, ADDED) for name in now if name not in before]
    found += [FeatureChange(name, REMOVED) for name in before if name not in now]
    for name, feature in now.items():
        if name in before and (fields := _fields(before[name], feature)):
            found.append(FeatureChange(name, CHANGED, fields))
    whole = _of_all(baseline, candidate)
    return (*found, *([FeatureChange("", CHANGED, whole)] if whole else []))


def _fields(before: Feature, now: Feature) -> tuple[FieldChange, ...]:
    made: list[FieldChange] = []
    for field in dataclasses.fields(Feature):
        one, two = getattr(before, field.name), getattr(now, field.name)
        if one == two:
            continue
        if isinstance(one, Domain) and isinstance(two, Domain) and one.values != two.values:
            made.append(_values(one, two))
            if dataclasses.replace(one, values=(), count=0) == dataclasses.replace(two, values=(), count=0):
                continue
        made.append(FieldChange(field.name, one, two))
    return tuple(made)


def _values(before: Domain, now: Domain) -> FieldChange:
    """Values of a domain that only one side has."""
    gone = [value for value in before.values if value not in set(now.values)]
    new = [value for value in now.values if value not in set(before.values)]
    return FieldChange("domain values", _cut(gone), _cut(new))


def _cut(values: list[str]) -> tuple[str, ...]:
    more = len(values) - MAX_VALUES
    return (*values[:MAX_VALUES], *([f"… {more:,} more"] if more > 0 else []))


def _of_all(before: SchemaPayload, now: SchemaPayload) -> tuple[FieldChange, ...]:
    names = (
        "environments", "sparse", "weighted", "representations", "constraints", "ragged", "tags", "comments", "details",
    )  # fmt: skip
    return tuple(
        FieldChange(name, getattr(before, name), getattr(now, name))
        for name in names
        if getattr(before, name) != getattr(now, name)
    )


def _sentence(found: tuple[FeatureChange, ...]) -> str:
    parts = []
    for change in (ADDED, REMOVED):
        named = [one.feature for one in found if one.change == change]
        if named:
            parts.append(f"{wording.counted(len(named), 'feature')} {change} ({wording.some(named)})")
    changed = [one for one in found if one.change == CHANGED and one.feature]
    if changed:
        told = [
            f"{one.feature}: {wording.some(list(dict.fromkeys(_WORDS.get(f.name, f.name) for f in one.fields)))}"
            for one in changed
        ]
        parts.append(f"{wording.counted(len(changed), 'feature')} changed ({wording.some(told, 3)})")
    if any(not one.feature for one in found):
        parts.append("what it says of all examples changed")
    return ", ".join(parts)
