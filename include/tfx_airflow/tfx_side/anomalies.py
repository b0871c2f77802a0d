"""Reads anomalies as ExampleValidator and DistributionValidator write them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.io import fileio


class Anomaly(NamedTuple):
    """What is wrong with a feature, or with the dataset.

    Attributes:
      split: Its name; of a pair, which DistributionValidator compares, `<test>_<baseline>`.
      feature: Its name; "" of the dataset.
      short: A few words.
      description: A sentence.
    """

    split: str
    feature: str
    short: str
    description: str


def read(uri: str) -> Iterator[tuple[str, anomalies_pb2.Anomalies]]:
    """Reads an ExampleAnomalies artifact.

    Args:
      uri: URI of the artifact, a folder with `Split-<name>/SchemaDiff.pb`, of a pair `SplitPair-<test>_<baseline>/`.

    Yields:
      Name of a split, and its anomalies.
    """
    for folder in sorted(fileio.listdir(uri)):
        path = os.path.join(uri, folder, "SchemaDiff.pb")
        if fileio.exists(path):
            with fileio.open(path, "rb") as file:
                name = folder.removeprefix("SplitPair-").removeprefix("Split-")
                yield name, anomalies_pb2.Anomalies.FromString(file.read())


def found_in(uri: str) -> Iterator[Anomaly]:
    """Reads the anomalies of an ExampleAnomalies artifact: one for each feature, and for the dataset."""
    for split, found in read(uri):
        for feature, info in sorted(found.anomaly_info.items()):
            yield Anomaly(split, feature, *_texts(info))
        if found.HasField("dataset_anomaly_info"):
            yield Anomaly(split, "", *_texts(found.dataset_anomaly_info))
        # A drift is among the anomalies already, unless its comparator is one that DistributionValidator leaves out.
        told = {tuple(info.path.step) or (feature,) for feature, info in found.anomaly_info.items()}
        for skew in found.drift_skew_info:
            measured = [*skew.drift_measurements, *skew.skew_measurements]
            high = [f"distance {m.value:.3f} > {m.threshold:.3f}" for m in measured if m.value > m.threshold]
            if high and tuple(skew.path.step) not in told:
                yield Anomaly(split, "/".join(skew.path.step), "High distance", ", ".join(high))


def _texts(info: Any) -> tuple[str, str]:
    """Those of an anomaly; DistributionValidator leaves only the texts of its reasons."""
    return (
        info.short_description or "; ".join(reason.short_description for reason in info.reason),
        info.description or " ".join(reason.description for reason in info.reason),
    )
