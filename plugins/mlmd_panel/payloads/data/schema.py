"""Reads Schemas: the features and what their values may be."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadError, PayloadGone, PayloadUnknown
from mlmd_panel.files import messages, protos
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data.feature_statistics import path_of
from mlmd_panel.payloads.data.histograms import first_items, text
from mlmd_panel.payloads.data.schema_features import (
    Domain,
    Feature,
    details_of,
    domains_of,
    features_of,
    stage_of,
    texts,
)
from mlmd_panel.store.records import Artifact

MAX_OTHERS = 1000
_NAME = "schema.pbtxt"
_MESSAGE = "tensorflow.metadata.v0.Schema"
_ENDINGS = (".pbtxt", ".textproto", ".txtpb", ".prototxt", ".pb", ".binpb")


@dataclasses.dataclass(frozen=True)
class SparseFeature:
    """A sparse feature: `values` are at the places that the features `indices` say.

    Attributes:
      name: Its name.
      indices: Names of features.
      values: Name of a feature.
      stage: Life cycle; empty when the schema does not say.
      details: What else the schema says of it, such as {"is_sorted": True}.
    """

    name: str
    indices: tuple[str, ...]
    values: str
    stage: str = ""
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class WeightedFeature:
    """A feature whose values have the weights of another; `stage` is its life cycle."""

    name: str
    feature: str
    weight: str
    stage: str = ""


@dataclasses.dataclass(frozen=True)
class Representation:
    """How a tensor is made of columns.

    Attributes:
      group: Name of the group.
      tensor: Name of the tensor.
      kind: dense_tensor, varlen_sparse_tensor, sparse_tensor or ragged_tensor.
      details: What the schema says of it, such as {"column_name": "fare"}.
    """

    group: str
    tensor: str
    kind: str
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class SchemaPayload:
    """A schema.

    Attributes:
      features: In the order of the file, those of a struct after it.
      domains: Domains that have a name of their own, which features refer to.
      environments: `default_environment`: those that features are expected in which do not say else.
      sparse: Sparse features.
      weighted: Weighted features.
      representations: How features become tensors.
      constraints: On the dataset: names, such as `min_examples_count`, and numbers; what thresholds on the number
        of examples are named is `num_examples_drift_comparator.min_fraction_threshold` and so on.
      ragged: Features of variable length become ragged tensors.
      tags: Annotations of the schema.
      comments: Annotations of the schema.
      details: What else it says, such as {"extra_metadata": [...]}.
      file: Name of its file; "" when the URI is the file.
      files: Further files of the artifact.
      cut: Something was left out.
    """

    features: tuple[Feature, ...]
    domains: tuple[Domain, ...]
    environments: tuple[str, ...]
    sparse: tuple[SparseFeature, ...]
    weighted: tuple[WeightedFeature, ...]
    representations: tuple[Representation, ...]
    constraints: dict[str, float]
    ragged: bool
    tags: tuple[str, ...]
    comments: tuple[str, ...]
    details: dict[str, Any]
    file: str
    files: tuple[str, ...]
    cut: bool
    kind: ClassVar[str] = "schema"

    def feature(self, name: str) -> Feature | None:
        """The feature of that name."""
        return next((feature for feature in self.features if feature.name == name), None)


def read(artifact: Artifact, files: Files) -> SchemaPayload:
    """Reads a Schema: `schema.pbtxt`, or the only file that there is of such a kind, in text format or serialized.

    Raises:
      PayloadGone: The files are gone.
      PayloadUnknown: There are files, but not a single one that must be the schema.
      PayloadError: They are broken or too large.
    """
    listing = files.list(artifact.uri, depth=3)
    names = [entry.name for entry in listing]
    candidates = [name for name in names if name == _NAME] or [n for n in names if n.endswith(_ENDINGS)]
    # TFX reads the only file, whatever its name.
    guessed = not candidates and len(names) == 1
    candidates = names if guessed else candidates
    if not names:
        raise PayloadUnknown("The artifact's folder is empty.")
    if not candidates:
        raise PayloadUnknown(f"The artifact has no {_NAME}, and no other file that could be a schema.")
    if len(candidates) > 1:
        raise PayloadUnknown(
            f"The artifact has no {_NAME}, but several files that could be the schema: {', '.join(candidates[:5])}."
        )
    try:
        proto = messages.read(files, artifact.uri, candidates, _MESSAGE)
    except PayloadError as error:
        if not guessed or isinstance(error, PayloadGone):
            raise
        raise PayloadUnknown(str(error)) from error
    with protos.sound(candidates[0] or "The artifact's file", "Schema"):
        return _payload(proto, candidates[0], [name for name in names if name not in candidates], listing.cut)


def _payload(proto: Any, file: str, others: list[str], cut: bool) -> SchemaPayload:
    features, more = features_of(proto)
    domains, fewer = domains_of(proto)
    sparse, cut_sparse = first_items(proto.sparse_feature, MAX_OTHERS)
    weighted, cut_weighted = first_items(proto.weighted_feature, MAX_OTHERS)
    representations = [
        _representation(group, tensor, found.tensor_representation[tensor])
        for group, found in sorted(proto.tensor_representation_group.items())
        for tensor in sorted(found.tensor_representation)
    ]
    return SchemaPayload(
        features=features,
        domains=domains,
        environments=texts(proto.default_environment),
        sparse=tuple(
            SparseFeature(
                text(found.name),
                texts([index.name for index in found.index_feature]),
                text(found.value_feature.name),
                stage_of(found),
                details_of(found, _SPARSE),
            )
            for found in sparse
        ),
        weighted=tuple(
            WeightedFeature(
                text(found.name),
                path_of(found.feature),
                path_of(found.weight_feature),
                stage_of(found),
            )
            for found in weighted
        ),
        representations=tuple(representations[:MAX_OTHERS]),
        constraints=_constraints(proto.dataset_constraints),
        ragged=proto.represent_variable_length_as_ragged,
        tags=texts(proto.annotation.tag),
        comments=texts(proto.annotation.comment),
        details=details_of(proto, _SCHEMA) | details_of(proto.annotation, ("tag", "comment")),
        file=file,
        files=tuple(others),
        cut=cut or more or fewer or cut_sparse or cut_weighted or len(representations) > MAX_OTHERS,
    )


# Fields that the dataclasses have attributes for.
_SPARSE = ("name", "deprecated", "lifecycle_stage", "index_feature", "value_feature")
_SCHEMA = (
    "feature sparse_feature weighted_feature string_domain float_domain int_domain default_environment annotation"
    " represent_variable_length_as_ragged dataset_constraints tensor_representation_group"
).split()


def _representation(group: str, tensor: str, proto: Any) -> Representation:
    kind = proto.WhichOneof("kind") or ""
    return Representation(text(group), text(tensor), kind, details_of(getattr(proto, kind)) if kind else {})


def _constraints(proto: Any) -> dict[str, float]:
    made: dict[str, float] = {}
    for field, value in proto.ListFields():
        if field.message_type:
            made.update({f"{field.name}.{inner.name}": threshold for inner, threshold in value.ListFields()})
        else:
            made[field.name] = value
    return made
