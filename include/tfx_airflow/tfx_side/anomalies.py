"""Reads anomalies as ExampleValidator and DistributionValidator write them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.io import fileio


def read(uri: str) -> Iterator[tuple[str, anomalies_pb2.Anomalies]]:
    """Reads an ExampleAnomalies artifact.

    Args:
      uri: URI of the artifact, a folder with `Split-<name>/SchemaDiff.pb`.

    Yields:
      Name of a split, and its anomalies.
    """
    for folder in sorted(fileio.listdir(uri)):
        path = os.path.join(uri, folder, "SchemaDiff.pb")
        if fileio.exists(path):
            with fileio.open(path, "rb") as file:
                yield folder.removeprefix("Split-"), anomalies_pb2.Anomalies.FromString(file.read())
