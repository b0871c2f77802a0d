"""ExampleStatistics: what TFDV measured of the features of each split."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mlmd_panel import protos, tfrecord
from mlmd_panel.errors import PayloadError
from mlmd_panel.files import Files
from mlmd_panel.models import Artifact
from mlmd_panel.payloads import splits, wire
from mlmd_panel.payloads.feature_statistics import FeatureStatistics, feature, path_of
from mlmd_panel.payloads.histograms import some, text

MAX_DATASETS = 200
MAX_FEATURES = 5000  # of all slices of a split together
MAX_MESSAGES = 1_000_000  # the buckets of a few thousand features are many
_MESSAGE = "tensorflow.metadata.v0.DatasetFeatureStatisticsList"
_BINARY, _RECORD = "FeatureStats.pb", "stats_tfrecord"  # the second of TFX before 0.30


@dataclasses.dataclass(frozen=True)
class CrossStatistics:
    """What two features have to do with each other.

    Attributes:
      x: One feature.
      y: The other.
      count: Number of examples that have both.
      correlation: Of numbers; else None.
      covariance: Of numbers; else None.
    """

    x: str
    y: str
    count: int
    correlation: float | None
    covariance: float | None


@dataclasses.dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of all examples of a split, or of one slice of them.

    Attributes:
      slice: Name of the slice; "All Examples", TFDV's name of all when there are slices, or "" when there are none.
      examples: Their number.
      weighted_examples: Sum of their weights; 0 without weights.
      features: In the order of the file.
      crosses: In the order of the file.
      cut: Features were left out.
    """

    slice: str
    examples: int
    weighted_examples: float
    features: tuple[FeatureStatistics, ...]
    crosses: tuple[CrossStatistics, ...]
    cut: bool

    def feature(self, name: str) -> FeatureStatistics | None:
        """The feature of that name."""
        return next((feature for feature in self.features if feature.name == name), None)


@dataclasses.dataclass(frozen=True)
class SplitStatistics:
    """Statistics of a split.

    Attributes:
      split: Its name; "" when the artifact has no splits.
      datasets: All examples first, then slices.
      cut: Slices were left out.
    """

    split: str
    datasets: tuple[DatasetStatistics, ...]
    cut: bool


@dataclasses.dataclass(frozen=True)
class StatisticsPayload:
    """Statistics of the splits, in the order of the artifact's `split_names`; `cut` when some were left out."""

    splits: tuple[SplitStatistics, ...]
    cut: bool
    kind: ClassVar[str] = "statistics"


def read(artifact: Artifact, files: Files) -> StatisticsPayload:
    """Reads an ExampleStatistics.

    Raises:
      PayloadGone: The files are gone.
      PayloadError: They are broken or too large.
    """
    found, cut = splits.find(artifact, files, (_BINARY, _RECORD))
    return StatisticsPayload(tuple(_split(artifact, files, split, name) for split, name in found), cut)


def _split(artifact: Artifact, files: Files, split: str, name: str) -> SplitStatistics:
    if name.endswith(_RECORD):
        found = list(
            tfrecord.records(files, artifact.uri, name, 1, protos.MAX_MESSAGE, protos.MAX_MESSAGE + 64)
        )
        if not found:
            raise PayloadError(f"{name} is broken: it has no record.")
        data = found[0]
    else:
        data = files.read(artifact.uri, name, protos.MAX_MESSAGE)
    wire.check(data, protos.message(_MESSAGE).DESCRIPTOR, name, MAX_MESSAGES)
    datasets, cut = some(protos.parse(_MESSAGE, data, name).datasets, MAX_DATASETS)
    left = MAX_FEATURES
    made = []
    with protos.sound(name, "DatasetFeatureStatisticsList"):
        for dataset in datasets:
            made.append(_dataset(dataset, left))
            left -= len(made[-1].features)
    return SplitStatistics(split, tuple(made), cut)


def _dataset(proto: Any, limit: int) -> DatasetStatistics:
    features, cut = some(proto.features, limit)
    crosses, more = some(proto.cross_features, MAX_FEATURES)
    return DatasetStatistics(
        slice=text(proto.name),
        examples=proto.num_examples,
        weighted_examples=proto.weighted_num_examples,
        features=tuple(map(feature, features)),
        crosses=tuple(map(_cross, crosses)),
        cut=cut or more,
    )


def _cross(proto: Any) -> CrossStatistics:
    numeric = proto.num_cross_stats if proto.HasField("num_cross_stats") else None
    return CrossStatistics(
        x=path_of(proto.path_x),
        y=path_of(proto.path_y),
        count=proto.count,
        correlation=numeric.correlation if numeric else None,
        covariance=numeric.covariance if numeric else None,
    )
