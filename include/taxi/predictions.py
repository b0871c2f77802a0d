"""A component that turns BulkInferrer's logs into a CSV file.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import csv
import datetime
import os
from collections.abc import Iterator

import tensorflow as tf
from absl import logging
from tensorflow_serving.apis import prediction_log_pb2
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component
from tfx.types.artifact import Property, PropertyType

from include.taxi.trips import TIME

FILE = "predictions.csv"


class Predictions(tfx.dsl.Artifact):
    """`predictions.csv`: a line per trip, with its start and the probability of a big tip."""

    TYPE_NAME = "Predictions"
    PROPERTIES = {
        "trips": Property(type=PropertyType.INT),
        "mean_probability": Property(type=PropertyType.FLOAT),
    }


@component
def WritePredictions(
    inference_result: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.InferenceResult],
    predictions: tfx.dsl.components.OutputArtifact[Predictions],
) -> None:
    """Writes predictions in the order of the trips.

    Args:
        inference_result: Output of BulkInferrer for a model of `include.taxi.model`.
        predictions: Receives the file; count and mean are its properties.

    Raises:
        ValueError: There are no predictions.
    """
    rows = sorted(_rows(inference_result.uri))
    if not rows:
        raise ValueError(f"{inference_result.uri!r} holds no predictions.")
    with tfx.dsl.io.fileio.open(os.path.join(predictions.uri, FILE), "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("trip_start", "big_tip_probability"))
        writer.writerows((start, f"{probability:.4f}") for start, probability in rows)
    predictions.trips = len(rows)
    predictions.mean_probability = sum(probability for _, probability in rows) / len(rows)
    logging.info(
        "%d trips from %s to %s: mean probability of a big tip %.4f, from %.4f to %.4f.",
        len(rows),
        rows[0][0],
        rows[-1][0],
        predictions.mean_probability,
        min(probability for _, probability in rows),
        max(probability for _, probability in rows),
    )


def _rows(folder: str) -> Iterator[tuple[str, float]]:
    files = tf.io.gfile.glob(os.path.join(folder, "prediction_logs-*"))
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record).predict_log
        # One request holds a batch of trips.
        trips = tf.make_ndarray(log.request.inputs["examples"]).ravel()
        probabilities = tf.make_ndarray(log.response.outputs["outputs"]).ravel()
        for trip, probability in zip(trips, probabilities, strict=True):
            [seconds] = tf.train.Example.FromString(trip).features.feature[TIME].int64_list.value
            # The city's times are Chicago's wall clock, written as if it were UTC.
            start = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
            yield start.strftime("%Y-%m-%d %H:%M"), float(probability)
