"""Examples, statistics, a schema and anomalies, written by TFX's libraries, and what those libraries read in them.

`python -m tests.panel.official_data FOLDER`, run in the TFX interpreter, writes artifacts below FOLDER and
FOLDER/answers.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_data_validation.utils import anomalies_util, display_util, slicing_util, stats_util
from tensorflow_metadata.proto.v0 import schema_pb2

from tests.panel import official_statistics

try:
    from tensorflow_data_validation.anomalies.proto import custom_validation_config_pb2
except ImportError:  # 1.21 has no conditions in SQL any more
    custom_validation_config_pb2 = None

SCHEMA = """
feature { name: "city" type: BYTES domain: "cities" presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } }
  drift_comparator { infinity_norm { threshold: 0.01 } } skew_comparator { infinity_norm { threshold: 0.4 } }
  annotation { tag: "place" comment: "where" } unique_constraints { min: 1 max: 5 } }
feature { name: "fare" type: FLOAT value_count { min: 0 max: 1 } not_in_environment: "SERVING" float_domain { min: 0 max: 20 disallow_nan: true }
  drift_comparator { jensen_shannon_divergence { threshold: 0.0001 } } lifecycle_stage: PRODUCTION }
feature { name: "hours" type: INT value_count { min: 1 } int_domain { min: 0 max: 23 is_categorical: true }
  distribution_constraints { min_domain_mass: 0.9 } }
feature { name: "cash" type: INT bool_domain { true_value: "1" false_value: "0" } in_environment: "TRAINING" }
feature { name: "picture" type: BYTES image_domain { max_image_byte_size: 100000 } }
feature { name: "weight" type: FLOAT presence { min_count: 1 } deprecated: true }
feature { name: "trip" type: STRUCT struct_domain { feature { name: "stop" type: BYTES value_counts { value_count { min: 1 max: 2 }
  value_count { max: 3 } } group_presence { required: true } string_domain { value: "x" is_categorical: CATEGORICAL_YES } }
  feature { name: "when" type: BYTES time_domain { string_format: "%Y-%m" } } } lifecycle_stage: DEBUG_ONLY }
string_domain { name: "cities" value: "Bern" value: "Zürich" value: "Genève" }
sparse_feature { name: "sparse" index_feature { name: "i" } index_feature { name: "j" } value_feature { name: "v" } }
weighted_feature { name: "heavy" feature { step: "hours" } weight_feature { step: "weight" } }
default_environment: "TRAINING" default_environment: "SERVING"
dataset_constraints { num_examples_drift_comparator { min_fraction_threshold: 0.5 } min_examples_count: 1000 }
tensor_representation_group { key: "" value { tensor_representation { key: "t" value { dense_tensor { column_name: "fare" } } } } }
"""
_CITIES = ("Bern", "Zürich", "Genève", "Chur")
_CONDITION = """
feature_validations { feature_path { step: "weight" } validations { sql_expression: "feature.num_stats.max < 5"
  severity: WARNING description: "Heavy" } }
"""


def _example(number: int):
    features: dict[str, Any] = {
        "city": tf.train.BytesList(value=[_CITIES[number % len(_CITIES)].encode()]),
        "hours": tf.train.Int64List(value=range(number % 30)),
        "cash": tf.train.Int64List(value=[number % 2]),
        "picture": tf.train.BytesList(value=[b"\x89PNG\xff" + bytes(number)]),
        "weight": tf.train.FloatList(value=[0.5 + number]),
    }
    if number % 3:
        features["fare"] = tf.train.FloatList(value=[float("nan") if number == 4 else number * 1.25])
    if number % 5 == 0:
        features["none"] = None
    made = tf.train.Example()
    for name, values in features.items():
        feature = made.features.feature[name]
        if isinstance(values, tf.train.BytesList):
            feature.bytes_list.CopyFrom(values)
        elif isinstance(values, tf.train.Int64List):
            feature.int64_list.CopyFrom(values)
        elif values is not None:
            feature.float_list.CopyFrom(values)
    return made


def _sequence(number: int):
    made = tf.train.SequenceExample()
    made.context.feature["id"].int64_list.value.append(number)
    for step in range(number):
        made.feature_lists.feature_list["words"].feature.add().bytes_list.value.append(b"w%d" % step)
    return made


def _write(path: Path, records: list[bytes], compression: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)


def _read(path: Path) -> list[bytes]:
    """Records as TensorFlow reads them; the compression follows from the name."""
    return list(
        tf.data.TFRecordDataset(str(path), "GZIP" if path.suffix == ".gz" else "").as_numpy_iterator()
    )


def _row(record: bytes) -> dict[str, Any]:
    features = tf.train.Example.FromString(record).features.feature
    lists = {
        name: getattr(found, found.WhichOneof("kind")).value
        for name, found in features.items()
        if found.WhichOneof("kind")
    }
    return {
        name: [value.hex() if isinstance(value, bytes) else value for value in lists[name]]
        if name in lists
        else None
        for name in features
    }


def _examples(folder: Path) -> dict[str, Any]:
    records = [_example(number).SerializeToString() for number in range(60)]
    _write(folder / "examples/Split-train/data_tfrecord-00000-of-00002.gz", records[:30], "GZIP")
    _write(folder / "examples/Split-train/data_tfrecord-00001-of-00002.gz", records[30:40], "GZIP")
    _write(folder / "examples/Split-eval/data_tfrecord-00000-of-00001", records[40:], "")
    _write(folder / "examples/Split-empty/data_tfrecord-00000-of-00001.gz", [], "GZIP")
    _write(
        folder / "sequences/Split-train/data_tfrecord-00000-of-00001.gz",
        [_sequence(n).SerializeToString() for n in range(25)],
        "GZIP",
    )
    answers = {}
    for split in ("train", "eval", "empty"):
        found = [_read(path) for path in sorted((folder / f"examples/Split-{split}").iterdir())]
        rows = [_row(record) for records in found for record in records]
        answers[split] = {"records": len(rows), "rows": rows}
    return answers


def _measure(paths: str, folder: Path, name: str, **options: Any):
    return tfdv.generate_statistics_from_tfrecord(paths, str(folder / name), tfdv.StatsOptions(**options))


def _statistics(folder: Path) -> dict[str, Any]:
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    del schema.feature[-1]  # trips are in no example
    train = folder / "statistics/Split-train/FeatureStats.pb"
    train.parent.mkdir(parents=True)
    statistics = _measure(
        str(folder / "examples/Split-train/*"),
        folder,
        "train.tfrecord",
        schema=schema,
        weight_feature="weight",
        slice_functions=[slicing_util.get_feature_value_slicer({"city": None})],
        enable_semantic_domain_stats=True,
    )
    train.write_bytes(statistics.SerializeToString())
    old = folder / "statistics/Split-eval/stats_tfrecord"
    old.parent.mkdir(parents=True)
    _measure(str(folder / "examples/Split-eval/*"), folder, "statistics/Split-eval/stats_tfrecord")
    return {
        "train": official_statistics.datasets(stats_util.load_stats_binary(str(train))),
        "eval": official_statistics.datasets(tfdv.load_statistics(str(old))),
    }


def _schema(folder: Path) -> dict[str, Any]:
    (folder / "schema").mkdir()
    path = folder / "schema/schema.pbtxt"
    tfdv.write_schema_text(text_format.Parse(SCHEMA, schema_pb2.Schema()), str(path))
    features, domains = display_util.get_schema_dataframe(tfdv.load_schema_text(str(path)))
    return {
        "features": {name.strip("'"): row for name, row in features.T.to_dict().items()},
        "domains": {name.strip("'"): row["Values"] for name, row in domains.T.to_dict().items()},
    }


def _anomalies(folder: Path) -> dict[str, Any]:
    schema = tfdv.load_schema_text(str(folder / "schema/schema.pbtxt"))
    train = stats_util.load_stats_binary(str(folder / "statistics/Split-train/FeatureStats.pb"))
    other = tfdv.load_statistics(str(folder / "statistics/Split-eval/stats_tfrecord"))
    whole = type(train)(datasets=[found for found in train.datasets if found.name == "All Examples"])
    # TFDV's own library aborts on what TFDV says of sparse and weighted features.
    kept = [feature for feature in whole.datasets[0].features if feature.WhichOneof("stats")]
    del whole.datasets[0].features[:]
    whole.datasets[0].features.extend(kept)
    schema.ClearField("sparse_feature")
    schema.ClearField("weighted_feature")
    conditions = {}
    if custom_validation_config_pb2:
        parsed = text_format.Parse(_CONDITION, custom_validation_config_pb2.CustomValidationConfig())
        conditions["custom_validation_config"] = parsed
    found = tfdv.validate_statistics(
        whole, schema, previous_statistics=other, serving_statistics=other, **conditions
    )
    for split, anomalies in (("train", found), ("eval", type(found)())):
        path = folder / f"anomalies/Split-{split}/SchemaDiff.pb"
        path.parent.mkdir(parents=True)
        path.write_bytes(anomalies.SerializeToString())
    anomalies_util.write_anomalies_text(found, str(folder / "anomalies.pbtxt"))
    loaded = anomalies_util.load_anomalies_binary(str(folder / "anomalies/Split-train/SchemaDiff.pb"))
    info = type(loaded.dataset_anomaly_info)
    measured = type(loaded.drift_skew_info.add().drift_measurements.add())
    del loaded.drift_skew_info[-1]
    table = display_util.get_anomalies_dataframe(loaded)

    def of(anomaly) -> dict[str, Any]:
        return {
            "severity": info.Severity.Name(anomaly.severity),
            "short": anomaly.short_description,
            "description": anomaly.description,
            "reasons": [
                {"type": info.Type.Name(r.type), "short": r.short_description, "description": r.description}
                for r in anomaly.reason
            ],
        }

    return {
        # TFDV 1.21 has another column, with the types.
        "table": {name.strip("'"): list(row.values())[:2] for name, row in table.T.to_dict().items()},
        "features": {
            ".".join(found.path.step) or name: of(found) for name, found in loaded.anomaly_info.items()
        },
        "dataset": of(loaded.dataset_anomaly_info),
        "measurements": [
            [".".join(feature.path.step), comparison, measured.Type.Name(m.type), m.value, m.threshold]
            for feature in loaded.drift_skew_info
            for comparison, found in (
                ("drift", feature.drift_measurements),
                ("skew", feature.skew_measurements),
            )
            for m in found
        ],
    }


def main(folder: Path) -> None:
    """Writes all below a folder."""
    answers = {
        "examples": _examples(folder),
        "statistics": _statistics(folder),
        "schema": _schema(folder),
        "anomalies": _anomalies(folder),
        "kinds": official_statistics.kinds(folder),
        "forms": official_statistics.forms(folder),
        "drift": official_statistics.drift(folder),
    }
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
