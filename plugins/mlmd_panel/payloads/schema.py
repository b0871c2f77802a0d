"""A Schema: what features there are and what their values may be."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mlmd_panel import protos
from mlmd_panel.errors import PayloadError, PayloadGone
from mlmd_panel.files import Files
from mlmd_panel.models import Artifact
from mlmd_panel.payloads.feature_statistics import path_of
from mlmd_panel.payloads.histograms import some, text
from mlmd_panel.payloads.schema_features import Domain, Feature, domains_of, features_of

# Parsing text takes about a second for each MiB.
MAX_BYTES = 4 << 20
MAX_OTHERS = 1000
_NAME = "schema.pbtxt"


@dataclasses.dataclass(frozen=True)
class SparseFeature:
    """A sparse feature: `values` are at the places that the features `indices` say."""

    name: str
    indices: tuple[str, ...]
    values: str


@dataclasses.dataclass(frozen=True)
class WeightedFeature:
    """A feature whose values have the weights of another."""

    name: str
    feature: str
    weight: str


@dataclasses.dataclass(frozen=True)
class Representation:
    """How a tensor is made of columns: `kind` is dense_tensor, varlen_sparse_tensor, sparse_tensor or ragged_tensor."""

    group: str
    tensor: str
    kind: str


@dataclasses.dataclass(frozen=True)
class SchemaPayload:
    """A schema.

    Attributes:
      features: In the order of the file, those of a struct after it.
      domains: Domains that have a name of their own, which features refer to.
      environments: `default_environment`: those that features are expected in which do not say else.
      sparse: Sparse features.
      weighted: Weighted features.
      representations: Of tensors.
      constraints: On the dataset: names, such as `min_examples_count`, and numbers; what thresholds on the number
        of examples are named is `num_examples_drift_comparator.min_fraction_threshold` and so on.
      ragged: Features of variable length become ragged tensors.
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
    files: tuple[str, ...]
    cut: bool
    kind: ClassVar[str] = "schema"

    def feature(self, name: str) -> Feature | None:
        """The feature of that name."""
        return next((feature for feature in self.features if feature.name == name), None)


def read(artifact: Artifact, files: Files) -> SchemaPayload:
    """Reads a Schema: `schema.pbtxt`, or the only text-format file that there is.

    Raises:
      PayloadGone: The files are gone.
      PayloadError: They are broken or too large.
    """
    listing = files.list(artifact.uri, depth=3)
    names = [entry.name for entry in listing]
    candidates = [name for name in names if name == _NAME] or [n for n in names if n.endswith(".pbtxt")]
    if names == [""]:
        candidates = [""]
    if not candidates:
        raise PayloadGone(f"The artifact has no file {_NAME}.")
    if len(candidates) > 1:
        raise PayloadError(f"The artifact has no file {_NAME}, and several others that could be its schema.")
    proto = _parse(files.read(artifact.uri, candidates[0], MAX_BYTES), candidates[0] or _NAME)
    with protos.sound(candidates[0] or _NAME, "Schema"):
        return _payload(proto, [name for name in names if name not in candidates], listing.cut)


def _parse(data: bytes, name: str) -> Any:
    from google.protobuf import text_format

    proto = protos.message("tensorflow.metadata.v0.Schema")()
    with protos.sound(name, "Schema in text format"):  # RecursionError is a RuntimeError
        return text_format.Parse(data.decode(), proto, descriptor_pool=protos.pool())


def _payload(proto: Any, others: list[str], cut: bool) -> SchemaPayload:
    features, more = features_of(proto)
    domains, fewer = domains_of(proto)
    sparse, cut_sparse = some(proto.sparse_feature, MAX_OTHERS)
    weighted, cut_weighted = some(proto.weighted_feature, MAX_OTHERS)
    representations = [
        Representation(
            text(group), text(tensor), found.tensor_representation[tensor].WhichOneof("kind") or ""
        )
        for group, found in sorted(proto.tensor_representation_group.items())
        for tensor in sorted(found.tensor_representation)
    ]
    return SchemaPayload(
        features=features,
        domains=domains,
        environments=tuple(map(text, proto.default_environment[:MAX_OTHERS])),
        sparse=tuple(
            SparseFeature(
                text(found.name),
                tuple(text(index.name) for index in found.index_feature[:MAX_OTHERS]),
                text(found.value_feature.name),
            )
            for found in sparse
        ),
        weighted=tuple(
            WeightedFeature(
                text(found.name),
                path_of(found.feature),
                path_of(found.weight_feature),
            )
            for found in weighted
        ),
        representations=tuple(representations[:MAX_OTHERS]),
        constraints=_constraints(proto.dataset_constraints),
        ragged=proto.represent_variable_length_as_ragged,
        files=tuple(others),
        cut=cut or more or fewer or cut_sparse or cut_weighted or len(representations) > MAX_OTHERS,
    )


def _constraints(proto: Any) -> dict[str, float]:
    made: dict[str, float] = {}
    for field, value in proto.ListFields():
        if field.message_type:
            made.update({f"{field.name}.{inner.name}": threshold for inner, threshold in value.ListFields()})
        else:
            made[field.name] = value
    return made
