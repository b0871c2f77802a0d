"""Features and domains of a schema."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlmd_panel.payloads.histograms import enum_name, some, text

MAX_FEATURES = 5000
MAX_VALUES = 200
MAX_DEPTH = 20
_COMPARATORS = ("infinity_norm", "jensen_shannon_divergence", "normalized_abs_difference")


@dataclasses.dataclass(frozen=True)
class Domain:
    """What values a feature may have.

    Attributes:
      kind: `string`, `int`, `float`, `bool`, `struct`, `natural_language`, `image`, `mid`, `url`, `time`,
        `time_of_day`, or `named` when `name` refers to one of the schema's domains that it does not have.
      name: Of a domain of the schema; of a bool domain, the feature's.
      values: Allowed texts; of a bool domain the two that mean true and false, where they are given.
      count: Number of allowed texts, also of those left out of `values`.
      min: Smallest number, or None.
      max: Largest number, or None.
      categorical: Numbers or texts that stand for categories; None when the schema does not say.
      details: What else the schema says of it, such as {"string_format": "%Y"}.
    """

    kind: str
    name: str = ""
    values: tuple[str, ...] = ()
    count: int = 0
    min: float | None = None
    max: float | None = None
    categorical: bool | None = None
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Comparator:
    """A limit on a distance: `type` is infinity_norm, jensen_shannon_divergence or normalized_abs_difference."""

    type: str
    threshold: float


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature.

    Attributes:
      name: Of one in a struct, with the struct's name and a dot before it.
      type: BYTES, INT, FLOAT, STRUCT or TYPE_UNKNOWN.
      stage: Life cycle, such as PRODUCTION or DEPRECATED; empty when the schema does not say.
      min_fraction: Smallest fraction of examples that have it, or None.
      min_count: Smallest number of examples that have it, or None.
      in_group: Required wherever its struct is; None when the schema does not say.
      shape: Fixed sizes, () of a scalar; None without.
      value_counts: (min, max) number of values, of nested lists one for each level; None is no limit.
      unique: (min, max) number of different values, or None.
      domain: Or None.
      min_domain_mass: Fraction of values that must lie in the domain, or None.
      in_environments: Expected there beside the default environments.
      not_in_environments: Not expected there.
      skew: Limits on the skew to serving.
      drift: Limits on the drift from span to span.
      tags: Annotations.
      comments: Annotations.
      derived: TFDV derives it from others while validating.
    """

    name: str
    type: str
    stage: str
    min_fraction: float | None
    min_count: int | None
    in_group: bool | None
    shape: tuple[int, ...] | None
    value_counts: tuple[tuple[int | None, int | None], ...]
    unique: tuple[int | None, int | None] | None
    domain: Domain | None
    min_domain_mass: float | None
    in_environments: tuple[str, ...]
    not_in_environments: tuple[str, ...]
    skew: tuple[Comparator, ...]
    drift: tuple[Comparator, ...]
    tags: tuple[str, ...]
    comments: tuple[str, ...]
    derived: bool


def domains_of(proto: Any) -> tuple[tuple[Domain, ...], bool]:
    """The schema's domains, and whether some were left out."""
    kinds = (("string", proto.string_domain), ("int", proto.int_domain), ("float", proto.float_domain))
    made: list[Domain] = []
    cut = False
    for kind, domains in kinds:
        found, more = some(domains, MAX_FEATURES)
        made += (_domain(kind, domain) for domain in found)
        cut |= more
    return tuple(made), cut


def features_of(proto: Any) -> tuple[tuple[Feature, ...], bool]:
    """Features of a schema, those of a struct after it, and whether some were left out."""
    named = {domain.name: domain for domain in domains_of(proto)[0] if domain.name}
    made: list[Feature] = []
    whole = _add(proto, "", named, made, MAX_DEPTH)
    return tuple(made), not whole


def _add(proto: Any, prefix: str, named: dict[str, Domain], made: list[Feature], depth: int) -> bool:
    """Adds the features of a schema or struct domain; whether all."""
    for found in proto.feature:
        if len(made) >= MAX_FEATURES or not depth:
            return False
        made.append(_feature(found, prefix, named))
        if found.WhichOneof("domain_info") == "struct_domain" and not _add(
            found.struct_domain, f"{made[-1].name}.", named, made, depth - 1
        ):
            return False
    return True


def _feature(proto: Any, prefix: str, named: dict[str, Domain]) -> Feature:
    presence = proto.presence if proto.HasField("presence") else None
    shape = proto.WhichOneof("shape_type")
    counts = [proto.value_count] if shape == "value_count" else []
    if shape == "value_counts":
        counts = list(proto.value_counts.value_count[:MAX_DEPTH])
    group = proto.group_presence if proto.HasField("group_presence") else None
    distribution = proto.distribution_constraints if proto.HasField("distribution_constraints") else None
    stage = enum_name(proto, "lifecycle_stage") if proto.HasField("lifecycle_stage") else ""
    return Feature(
        name=text(prefix + proto.name),
        type=enum_name(proto, "type"),
        stage=stage or ("DEPRECATED" if proto.deprecated else ""),
        min_fraction=_given(presence, "min_fraction"),
        min_count=_given(presence, "min_count"),
        in_group=group.required if group else None,
        shape=tuple(dim.size for dim in proto.shape.dim[:MAX_VALUES]) if shape == "shape" else None,
        value_counts=tuple((_given(count, "min"), _given(count, "max")) for count in counts),
        unique=_range(proto, "unique_constraints"),
        domain=_domain_of(proto, named),
        min_domain_mass=distribution.min_domain_mass if distribution else None,
        in_environments=_texts(proto.in_environment),
        not_in_environments=_texts(proto.not_in_environment),
        skew=_comparators(proto.skew_comparator),
        drift=_comparators(proto.drift_comparator),
        tags=_texts(proto.annotation.tag),
        comments=_texts(proto.annotation.comment),
        derived=proto.HasField("validation_derived_source"),
    )


def _domain_of(proto: Any, named: dict[str, Domain]) -> Domain | None:
    field = proto.WhichOneof("domain_info")
    if field is None:
        return None
    if field == "domain":
        return named.get(text(proto.domain), Domain("named", text(proto.domain)))
    return _domain(field.removesuffix("_domain"), getattr(proto, field))


def _domain(kind: str, proto: Any) -> Domain:
    name = text(proto.name) if "name" in proto.DESCRIPTOR.fields_by_name else ""
    if kind == "string":
        categorical = {0: None, 1: True, 2: False}.get(proto.is_categorical)
        return Domain(kind, name, _texts(proto.value), len(proto.value), categorical=categorical)
    if kind == "bool":
        values = [value for value in (proto.true_value, proto.false_value) if value]
        return Domain(kind, name, _texts(values), len(values))
    if kind in ("int", "float"):
        categorical = proto.is_categorical if proto.HasField("is_categorical") else None
        low, high = _given(proto, "min"), _given(proto, "max")
        return Domain(kind, name, min=low, max=high, categorical=categorical, details=_details(proto))
    return Domain(kind, name, details={} if kind == "struct" else _details(proto))


def _details(proto: Any) -> dict[str, Any]:
    """Scalar fields that are set and that Domain has no attribute for."""
    made = {}
    for field, value in proto.ListFields():
        if field.name in ("name", "min", "max", "is_categorical") or field.message_type or not _scalar(value):
            continue
        made[field.name] = enum_name(proto, field.name) if field.enum_type else value
        if isinstance(value, str):
            made[field.name] = text(value)
    return made


def _scalar(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))


def _comparators(proto: Any) -> tuple[Comparator, ...]:
    return tuple(
        Comparator(name, getattr(proto, name).threshold) for name in _COMPARATORS if proto.HasField(name)
    )


def _range(proto: Any, field: str) -> tuple[int | None, int | None] | None:
    if not proto.HasField(field):
        return None
    return _given(getattr(proto, field), "min"), _given(getattr(proto, field), "max")


def _given(message: Any, field: str) -> Any:
    """Value of a field that is set, else None."""
    return getattr(message, field) if message is not None and message.HasField(field) else None


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(text, values[:MAX_VALUES]))
