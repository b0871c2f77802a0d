"""What a node of the taxi pipeline made, as numbers that do not depend on the order of rows or files.

Usage: python -m tests.pipelines.made NAME URI..., in the TFX interpreter; prints a JSON list, NAME is a function here.
"""

from __future__ import annotations

import base64
import collections
import glob
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_serving.apis import prediction_log_pb2


def statistics(uri: str) -> dict[str, Any]:
    """Of each split and feature: how many rows and values, and which; without histograms, which are estimates."""
    found: dict[str, Any] = {}
    for split in sorted(os.listdir(uri)):
        [dataset] = tfdv.load_stats_binary(os.path.join(uri, split, "FeatureStats.pb")).datasets
        found[split] = {"rows": dataset.num_examples}
        for feature in dataset.features:
            kind = feature.WhichOneof("stats")
            stats = getattr(feature, kind)
            common = getattr(stats, "common_stats", None) or stats
            values = {
                name: getattr(common, name)
                for name in ("num_missing", "num_non_missing", "min_num_values", "max_num_values")
            }
            if kind == "num_stats":
                names = ("mean", "std_dev", "num_zeros", "min", "max")
                values |= {name: getattr(stats, name) for name in names}
            else:
                values |= {"unique": stats.unique, "avg_length": stats.avg_length}
                values |= {f"count of {v.value}": v.frequency for v in stats.top_values}
            found[split][feature.path.step[0]] = values
    return found


def transform_graph(uri: str) -> dict[str, Any]:
    """Vocabularies, each with its order."""
    found = {}
    for path in sorted(glob.glob(os.path.join(uri, "transform_fn", "assets", "*"))):
        with open(path) as file:
            found[os.path.basename(path)] = file.read().split("\n")
    assert found, uri
    return found


def transformed(uri: str) -> dict[str, Any]:
    """Of each split: the rows, and of each feature how many values, the sums of those above and below 0, and of squares.

    One sum of a scaled feature is close to 0, so that its rounding error is a large part of it.
    """
    found: dict[str, Any] = {}
    for split in sorted(os.listdir(uri)):
        sums: dict[str, Any] = collections.defaultdict(lambda: [0, 0.0, 0.0, 0.0])
        rows = 0
        for record in _records(os.path.join(uri, split)):
            rows += 1
            for name, feature in tf.train.Example.FromString(record).features.feature.items():
                for value in getattr(feature, feature.WhichOneof("kind")).value:
                    sums[name][0] += 1
                    sums[name][1 if value > 0 else 2] += value
                    sums[name][3] += value * value
        found[split] = {"rows": rows, **sums}
    return found


def evaluation(uri: str) -> dict[str, Any]:
    """Of each slice: its metrics without their intervals; why it has none, as TFMA says."""
    found = {}
    for slice_key, metrics in tfma.load_eval_result(uri).slicing_metrics:
        for by_sub_key in metrics.values():
            for by_metric in by_sub_key.values():
                found[repr(slice_key)] = {name: _metric(value) for name, value in by_metric.items()}
    return found


def _metric(value: dict[str, Any]) -> float | str:
    if "bytesValue" in value:  # of the metric `__ERROR__`
        return base64.b64decode(value["bytesValue"]).decode()
    return float(value["doubleValue"] if "doubleValue" in value else value["boundedValue"]["value"])


def inferences(uri: str) -> dict[str, Any]:
    """Rows, and how often each prediction was made, to five digits."""
    predictions: collections.Counter[str] = collections.Counter()
    for record in _records(uri):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        response = json_format.MessageToDict(log)
        predictions[json.dumps(_rounded(response.popitem()[1]["response"]), sort_keys=True)] += 1
    return {"rows": predictions.total(), **predictions}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _records(folder: str) -> Iterator[bytes]:
    paths = sorted(glob.glob(os.path.join(folder, "**", "*.gz"), recursive=True))
    assert paths, folder
    for record in tf.data.TFRecordDataset(paths, compression_type="GZIP"):
        yield record.numpy()


if __name__ == "__main__":
    print(json.dumps([globals()[sys.argv[1]](uri) for uri in sys.argv[2:]]))
