"""Reads slices of an evaluation, and the specifications that select them."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

OVERALL = "Overall"
# Characters of a name or value.
MAX_TEXT = 1000

Pair = tuple[str, "str | int | float"]


@dataclasses.dataclass(frozen=True)
class Slice:
    """A part of the evaluated examples.

    Attributes:
      pairs: Feature and value, in TFMA's order; empty of all examples.
      baseline: None, or of a cross slice the pairs of what it is compared with.
    """

    pairs: tuple[Pair, ...]
    baseline: tuple[Pair, ...] | None = None

    @property
    def name(self) -> str:
        """For people, such as `Overall` or `trip_start_hour: 3, company: Blue`."""
        own = _pairs_name(self.pairs)
        return own if self.baseline is None else f"{_pairs_name(self.baseline)} against {own}"

    @property
    def is_overall(self) -> bool:
        """It holds all examples."""
        return not self.pairs and self.baseline is None

    @property
    def sort_key(self) -> tuple:
        """Overall first; then by feature, numbers by value; cross slices last."""
        return (self.baseline is not None, len(self.pairs), _order(self.pairs), _order(self.baseline or ()))


@dataclasses.dataclass(frozen=True)
class Spec:
    """What selects slices: every value of some features, and given values of others.

    Attributes:
      features: Each value of these forms a slice.
      values: Feature and value that must hold.
      sql: A query that makes the slices; TFMA takes no account of it when it applies thresholds.
    """

    features: frozenset[str] = frozenset()
    values: frozenset[Pair] = frozenset()
    sql: str = ""

    @property
    def name(self) -> str:
        """For people, such as `Overall`, `each trip_start_hour` or `company: Blue`."""
        parts = [f"each {name}" for name in sorted(self.features)]
        parts += [f"{name}: {value}" for name, value in sorted(self.values, key=str)]
        return ", ".join(parts) or (f"by SQL: {self.sql}" if self.sql else OVERALL)

    def selects(self, pairs: tuple[Pair, ...]) -> bool:
        """Whether a slice of these pairs is one of those, by TFMA's rule: number-like text is a number."""
        features, values = set(self.features), set(self.values)
        for feature, value in pairs:
            pair = (feature, typed(value))
            if pair in values:
                values.remove(pair)
            elif feature in features:
                features.remove(feature)
            else:
                return False
        return not features and not values


@dataclasses.dataclass(frozen=True)
class CrossSpec:
    """What selects cross slices: a baseline, and what is compared with it."""

    baseline: Spec
    others: tuple[Spec, ...]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.baseline.name} against {'; '.join(spec.name for spec in self.others)}"


def selects(spec: Spec | CrossSpec | None, slice_: Slice) -> bool:
    """Whether a threshold for `spec` applies to a slice; None means every slice but no cross slice."""
    if slice_.baseline is None:
        return spec is None or (isinstance(spec, Spec) and spec.selects(slice_.pairs))
    if not isinstance(spec, CrossSpec):
        return False
    return spec.baseline.selects(slice_.baseline) and any(o.selects(slice_.pairs) for o in spec.others)


def typed(value: str | int | float) -> str | int | float:
    """Text that is a number as that number, as TFMA compares values."""
    if not isinstance(value, str):
        return value
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


def slice_of(message: Any) -> Slice:
    """Slice of a message with `slice_key` or `cross_slice_key`."""
    if message.HasField("cross_slice_key"):
        cross = message.cross_slice_key
        return Slice(_pairs(cross.comparison_slice_key), _pairs(cross.baseline_slice_key))
    return Slice(_pairs(message.slice_key))


def spec_of(message: Any) -> Spec | CrossSpec:
    """Specification of a `SlicingSpec` or `CrossSlicingSpec` message."""
    if message.DESCRIPTOR.name == "CrossSlicingSpec":
        return CrossSpec(_spec(message.baseline_spec), tuple(_spec(m) for m in message.slicing_specs))
    return _spec(message)


def text(value: bytes) -> str:
    """Bytes as text; what is not UTF-8 escaped."""
    return value.decode("utf-8", "backslashreplace")


def _spec(message: Any) -> Spec:
    values = frozenset((name, typed(_short(value))) for name, value in message.feature_values.items())
    return Spec(frozenset(message.feature_keys), values, message.slice_keys_sql)


def _pairs(message: Any) -> tuple[Pair, ...]:
    pairs = []
    for single in message.single_slice_keys:
        kind = single.WhichOneof("kind")
        value = getattr(single, kind) if kind else ""
        pairs.append((single.column[:MAX_TEXT], _short(text(value)) if isinstance(value, bytes) else value))
    return tuple(pairs)


def _short(value: str) -> str:
    """A value of a feature; a long one is shortened to its start and a hash, which keep it distinct."""
    if len(value) <= MAX_TEXT:
        return value
    return f"{value[:MAX_TEXT]}… {hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _pairs_name(pairs: tuple[Pair, ...]) -> str:
    return ", ".join(f"{feature}: {value}" for feature, value in pairs) or OVERALL


def _order(pairs: tuple[Pair, ...]) -> tuple:
    ordered: list[Any] = []
    for feature, value in pairs:
        number = typed(value)
        ordered += [feature, (1, 0, number) if isinstance(number, str) else (0, number, "")]
    return tuple(ordered)
