"""Reads the attributions of an evaluation: how much each feature contributed to predictions, by slice."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import shards
from mlmd_panel.payloads.evaluation.metrics import Metric, MetricKey, key_of, metric_of
from mlmd_panel.payloads.evaluation.slices import Slice, slice_of
from mlmd_panel.store.records import Artifact

MAX_VALUES = 50_000


@dataclasses.dataclass(frozen=True)
class Attribution:
    """Values of one metric of attributions in one slice.

    Attributes:
      slice: The slice.
      key: The metric, such as `mean_attributions`.
      features: Feature and value, by feature.
    """

    slice: Slice
    key: MetricKey
    features: tuple[tuple[str, Metric], ...]


@dataclasses.dataclass(frozen=True)
class AttributionsPayload:
    """Attributions.

    Attributes:
      attributions: Overall first, then by slice.
      cut: There are more.
    """

    kind: ClassVar[str] = "attributions"
    attributions: tuple[Attribution, ...]
    cut: bool = False


def read(artifact: Artifact, files: Files) -> AttributionsPayload:
    """Reads attributions-*.tfrecord; empty in evaluations without attributions.

    Raises:
      PayloadGone: TFMA wrote none.
      PayloadError: Broken or too large.
    """
    found: list[Attribution] = []
    count, cut = 0, False
    for message in shards.messages(files, artifact.uri, "attributions", "AttributionsForSlice"):
        slice_ = slice_of(message)
        for pair in message.attributions_keys_and_values:
            key = key_of(pair.key)
            features = sorted(pair.values)[: max(0, MAX_VALUES - count)]
            cut |= len(features) < len(pair.values)
            count += len(features)
            if features or not pair.values:
                values = tuple((feature, metric_of(key, pair.values[feature])) for feature in features)
                found.append(Attribution(slice_, key, values))
        if cut:
            break
    found.sort(key=lambda one: one.slice.sort_key)
    return AttributionsPayload(tuple(found), cut)
