"""Reads the features and domains of a schema."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from mlmd_panel.payloads.data.histograms import enum_name, first_items, text

MAX_FEATURES = 5000
MAX_VALUES = 200
MAX_DOMAIN_VALUES = 10_000
MAX_DEPTH = 20
_COMPARATORS = ("infinity_norm", "jensen_shannon_divergence", "normalized_abs_difference")


@dataclasses.dataclass(frozen=True)
class Domain:
    """What values a feature may have.

    Attributes:
      kind: `string`, `int`, `float`, `bool`, `struct`, `natural_language`, `image`, `mid`, `url`, `time`,
        `time_of_day`, or `named` when `name` refers to one of the schema's domains that it does not have.
      name: The domain's in the schema; the feature's for a bool domain.
      values: Allowed texts, no more than MAX_DOMAIN_VALUES; of a bool domain the two that mean true and false, where
        they are given.
      count: Number of allowed texts, also of those left out of `values`.
      min: Smallest number, or None.
      max: Largest number, or None.
      categorical: Numbers or texts that stand for categories; None when the schema does not say.
      details: What else the schema says of it, such as {"string_format": "%Y"}, {"disallow_nan": True}.
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
    """A limit on a distance.

    Attributes:
      type: infinity_norm, jensen_shannon_divergence or normalized_abs_difference.
      threshold: Largest distance; None when the schema does not say.
      histogram: Which histogram is compared, such as QUANTILES; empty when the schema does not say.
    """

    type: str
    threshold: float | None
    histogram: str = ""


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature.

    Attributes:
      name: Its name; with the struct's name and a dot before it for one in a struct.
      type: BYTES, INT, FLOAT, STRUCT or TYPE_UNKNOWN.
      stage: Life cycle, such as PRODUCTION or DEPRECATED; empty when the schema does not say.
      min_fraction: Smallest fraction of examples that have it, or None.
      min_count: Smallest number of examples that have it, or None.
      in_group: Required wherever its struct is; None when the schema does not say.
      shape: Fixed sizes, () of a scalar; None without.
      value_counts: (min, max) number of values, of nested lists one for each level; None is no limit.
      unique: (min, max) number of different values, or None.
      domain: Which values are allowed, or None.
      min_domain_mass: Fraction of values that must lie in the domain, or None.
      in_environments: Expected there beside the default environments.
      not_in_environments: Not expected there.
      skew: Limits on the skew to serving.
      drift: Limits on the drift from span to span.
      tags: Annotations.
      comments: Annotations.
      derived: TFDV derives it from others while validating.
      details: What else the schema says of it, such as {"sequence_metadata": {"joint_group": "g"}}.
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
    details: dict[str, Any]


# Fields that Feature has attributes for.
_ATTRIBUTES = (
    "name deprecated presence group_presence shape value_count value_counts type domain distribution_constraints"
    " skew_comparator drift_comparator in_environment not_in_environment lifecycle_stage unique_constraints"
).split()


def domains_of(proto: Any) -> tuple[tuple[Domain, ...], bool]:
    """The schema's domains, and whether some were left out."""
    kinds = (("string", proto.string_domain), ("int", proto.int_domain), ("float", proto.float_domain))
    made: list[Domain] = []
    cut = False
    for kind, domains in kinds:
        found, more = first_items(domains, MAX_FEATURES)
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
    info = proto.WhichOneof("domain_info")
    annotation = details_of(proto.annotation, ("tag", "comment"))
    dimensions = {
        f"name of dimension {n}": text(d.name) for n, d in enumerate(proto.shape.dim[:MAX_VALUES]) if d.name
    }
    return Feature(
        name=text(prefix + proto.name),
        type=enum_name(proto, "type"),
        stage=stage_of(proto),
        min_fraction=_given(presence, "min_fraction"),
        min_count=_given(presence, "min_count"),
        in_group=group.required if group else None,
        shape=tuple(dim.size for dim in proto.shape.dim[:MAX_VALUES]) if shape == "shape" else None,
        value_counts=tuple((_given(count, "min"), _given(count, "max")) for count in counts),
        unique=_range(proto, "unique_constraints"),
        domain=_domain_of(proto, named),
        min_domain_mass=distribution.min_domain_mass if distribution else None,
        in_environments=texts(proto.in_environment),
        not_in_environments=texts(proto.not_in_environment),
        skew=_comparators(proto.skew_comparator),
        drift=_comparators(proto.drift_comparator),
        tags=texts(proto.annotation.tag),
        comments=texts(proto.annotation.comment),
        derived=proto.HasField("validation_derived_source"),
        details={**details_of(proto, (*_ATTRIBUTES, "annotation", info or "")), **dimensions, **annotation},
    )


def stage_of(proto: Any) -> str:
    """Life cycle of a feature of any kind; empty when the schema does not say."""
    stage = enum_name(proto, "lifecycle_stage") if proto.HasField("lifecycle_stage") else ""
    fields = proto.DESCRIPTOR.fields_by_name
    return stage or ("DEPRECATED" if "deprecated" in fields and proto.deprecated else "")


def details_of(proto: Any, known: Collection[str] = (), depth: int = MAX_DEPTH) -> dict[str, Any]:
    """All fields that are set, by name, but those known; messages are such objects, too."""
    found = {}
    for field, value in proto.ListFields():
        if field.name not in known:
            found[field.name] = _plain(field, value, depth)
    return found


def texts(values: Any) -> tuple[str, ...]:
    """Texts of a repeated field; of very many the last is how many are left out."""
    found, cut = first_items(values, MAX_VALUES)
    return (*map(text, found), *([f"… {len(values) - MAX_VALUES} more"] if cut else ()))


def _plain(field: Any, value: Any, depth: int) -> Any:
    if hasattr(value, "items"):
        return {
            text(str(key)): _one(field.message_type.fields_by_name["value"], value[key], depth)
            for key in sorted(value)[:MAX_VALUES]
        }
    if isinstance(value, (bool, int, float, str, bytes)) or hasattr(value, "ListFields"):
        return _one(field, value, depth)
    found, cut = first_items(value, MAX_VALUES)
    made = [_one(field, one, depth) for one in found]
    return [*made, f"… {len(value) - MAX_VALUES} more"] if cut else made


def _one(field: Any, value: Any, depth: int) -> Any:
    if field.enum_type:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else str(value)
    if field.message_type:
        if field.message_type.full_name == "google.protobuf.Any":
            return f"{len(value.value)} bytes of {text(value.type_url).rpartition('/')[2] or 'no type'}"
        if field.message_type.full_name == "tensorflow.metadata.v0.Path":
            return text(".".join(map(text, value.step[:MAX_DEPTH])))
        return details_of(value, (), depth - 1) if depth else "…"
    return text(value) if isinstance(value, (str, bytes)) else value


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
        values = tuple(map(text, proto.value[:MAX_DOMAIN_VALUES]))
        return Domain(kind, name, values, len(proto.value), categorical=categorical)
    if kind == "bool":
        words = [value for value in (proto.true_value, proto.false_value) if value]
        sides = {"true_value": text(proto.true_value), "false_value": text(proto.false_value)}
        return Domain(kind, name, texts(words), len(words), details={k: v for k, v in sides.items() if v})
    if kind in ("int", "float"):
        categorical = proto.is_categorical if proto.HasField("is_categorical") else None
        low, high = _given(proto, "min"), _given(proto, "max")
        details = details_of(proto, ("name", "min", "max", "is_categorical"))
        return Domain(kind, name, min=low, max=high, categorical=categorical, details=details)
    return Domain(kind, name, details=details_of(proto, ("name", "feature")))


def _comparators(proto: Any) -> tuple[Comparator, ...]:
    made = []
    for name in _COMPARATORS:
        if proto.HasField(name):
            found = getattr(proto, name)
            source = name == "jensen_shannon_divergence" and found.HasField("source")
            histogram = enum_name(found.source, "type") if source else ""
            made.append(Comparator(name, _given(found, "threshold"), histogram))
    return tuple(made)


def _range(proto: Any, field: str) -> tuple[int | None, int | None] | None:
    if not proto.HasField(field):
        return None
    return _given(getattr(proto, field), "min"), _given(getattr(proto, field), "max")


def _given(message: Any, field: str) -> Any:
    """Value of a field that is set, else None."""
    return getattr(message, field) if message is not None and message.HasField(field) else None
