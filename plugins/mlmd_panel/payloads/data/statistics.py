"""Reads ExampleStatistics: TFDV's statistics of the features of each split."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mlmd_panel.files import messages, protos
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import splits
from mlmd_panel.payloads.data.cross_statistics import CrossStatistics, cross_statistics
from mlmd_panel.payloads.data.feature_statistics import FeatureStatistics, feature, name_of
from mlmd_panel.payloads.data.histograms import first_items, text
from mlmd_panel.payloads.part import WHOLE, Part
from mlmd_panel.store.records import Artifact

MAX_SLICES = 2000  # that are listed
MAX_FEATURES = 5000  # of all slices of a split together
MAX_MESSAGES = 1_000_000  # the buckets of a few thousand features are many
MESSAGE = "tensorflow.metadata.v0.DatasetFeatureStatisticsList"
KNOWN = ("FeatureStats.pb", "stats_tfrecord")  # the second of TFX before 0.30
ALL = "All Examples"  # TFDV's name for no slice, when there are slices


@dataclasses.dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of all examples of a split, or of one slice of them.

    Attributes:
      slice: Name of the slice; "All Examples", TFDV's name of all when there are slices, or "" when there are none.
      examples: Their number.
      weighted_examples: Sum of their weights; None without weights.
      features: In the order of the file.
      crosses: In the order of the file.
      feature_count: Number of features, also of those left out.
      cut: Features or crosses were left out.
    """

    slice: str
    examples: int
    weighted_examples: float | None
    features: tuple[FeatureStatistics, ...]
    crosses: tuple[CrossStatistics, ...]
    feature_count: int
    cut: bool

    def feature(self, name: str) -> FeatureStatistics | None:
        """The feature of that name."""
        return next((feature for feature in self.features if feature.name == name), None)


@dataclasses.dataclass(frozen=True)
class Slice:
    """A slice, as lists of them show it: its name, its examples and the number of its features."""

    slice: str
    examples: int
    features: int


@dataclasses.dataclass(frozen=True)
class SplitStatistics:
    """Statistics of a split.

    Attributes:
      split: Its name; "" when the artifact has no splits.
      datasets: All examples first, then slices; of a chosen slice only that.
      slices: All of them, also those that are not in `datasets`; no more than MAX_SLICES.
      slice_count: Their number.
      cut: Slices that the address asks for were left out; each can be asked for by its name.
    """

    split: str
    datasets: tuple[DatasetStatistics, ...]
    slices: tuple[Slice, ...]
    slice_count: int
    cut: bool


@dataclasses.dataclass(frozen=True)
class StatisticsPayload:
    """Statistics.

    Attributes:
      splits: In the order of the artifact's `split_names`.
      split_count: Number of all splits.
      part: What the address chose of it.
      problems: Sentences about what could not be read.
      cut: Splits were left out.
    """

    splits: tuple[SplitStatistics, ...]
    split_count: int
    part: Part
    problems: tuple[str, ...]
    cut: bool
    kind: ClassVar[str] = "statistics"


def read(artifact: Artifact, files: Files, part: Part = WHOLE) -> StatisticsPayload:
    """Reads an ExampleStatistics, or a part of it.

    Raises:
      PayloadGone: The files are gone.
      PayloadUnknown: There are files, and none with statistics.
      PayloadError: They are broken or too large.
    """
    found = splits.find(artifact, files, KNOWN, "statistics", part.split)
    problems = list(found.problems)
    made = splits.each(found.splits, lambda one: _split(artifact, files, one, part, problems), problems)
    left_out = not part.split and found.count > len(found.splits)
    return StatisticsPayload(made, found.count, part, tuple(problems), left_out)


def _split(
    artifact: Artifact, files: Files, found: splits.SplitFiles, part: Part, problems: list[str]
) -> SplitStatistics:
    message = messages.read(files, artifact.uri, found.names, MESSAGE, MAX_MESSAGES)
    shown = found.names[0] or "The artifact's file"
    with protos.sound(shown, "DatasetFeatureStatisticsList"):
        datasets = merged(message.datasets, shown, problems)
        datasets.sort(key=lambda one: one.name not in ("", ALL))
        listed = [Slice(text(one.name), one.num_examples, len(one.features)) for one in datasets[:MAX_SLICES]]
        chosen = [one for one in datasets if part.slice in ("", one.name, text(one.name))]
        made: list[DatasetStatistics] = []
        left = MAX_FEATURES
        for dataset in chosen:
            if made and len(dataset.features) > left and not part.feature:
                break
            made.append(_dataset(dataset, left, part.feature.casefold()))
            left -= len(made[-1].features)
            if left <= 0:
                break
        if part.slice and not chosen:
            problems.append(f"{shown} has no slice {part.slice!r}.")
    left_out = len(chosen) > len(made)
    return SplitStatistics(found.split, tuple(made), tuple(listed), len(datasets), left_out)


def merged(datasets: Any, shown: str, problems: list[str]) -> list[Any]:
    """Datasets by name, those of several shards joined as TFDV joins them: by the features' paths.

    Args:
      datasets: Those of a DatasetFeatureStatisticsList.
      shown: Name of the file, for the sentences.
      problems: Sentences about parts that disagree are added to it.
    """
    found: dict[str, Any] = {}
    for dataset in datasets:
        first = found.setdefault(dataset.name, dataset)
        if first is dataset:
            continue
        if first.num_examples and dataset.num_examples and first.num_examples != dataset.num_examples:
            problems.append(
                f"The parts of {shown} disagree on the number of examples"
                f" of {text(dataset.name) or 'the split'}: {first.num_examples} and {dataset.num_examples}."
            )
        _join(first, dataset)
    return list(found.values())


def _join(first: Any, dataset: Any) -> None:
    known = {path_of(one): one for one in first.features}
    for one in dataset.features:
        held = known.get(path_of(one))
        if held is None:
            known[path_of(one)] = first.features.add()
            known[path_of(one)].CopyFrom(one)
        elif held != one:  # the same twice is once
            held.MergeFrom(one)
    crosses = {one.SerializeToString() for one in first.cross_features}
    first.cross_features.extend(
        one for one in dataset.cross_features if one.SerializeToString() not in crosses
    )
    first.num_examples = first.num_examples or dataset.num_examples
    first.weighted_num_examples = first.weighted_num_examples or dataset.weighted_num_examples


def path_of(proto: Any) -> tuple[str, ...]:
    """Steps of the path of a tensorflow.metadata.v0.FeatureNameStatistics, also of one with only a name."""
    return tuple(proto.path.step) if proto.WhichOneof("field_id") == "path" else (proto.name,)


def _dataset(proto: Any, limit: int, wanted: str) -> DatasetStatistics:
    matching = (
        [one for one in proto.features if wanted in name_of(one).casefold()] if wanted else proto.features
    )
    features, cut = first_items(matching, limit)
    crosses, more = first_items(proto.cross_features, MAX_FEATURES)
    made = tuple(map(feature, features))
    weighted = proto.weighted_num_examples or any(one.weighted for one in made)
    return DatasetStatistics(
        slice=text(proto.name),
        examples=proto.num_examples,
        weighted_examples=proto.weighted_num_examples if weighted else None,
        features=made,
        crosses=tuple(map(cross_statistics, crosses)),
        feature_count=len(proto.features),
        cut=cut or more,
    )
