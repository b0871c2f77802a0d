"""Statistics of every kind, in every form that TFDV's library writes, and what its readers read in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_data_validation.statistics.generators import cross_feature_stats_generator
from tensorflow_data_validation.utils import slicing_util, stats_util
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

_FEATURE = (
    "present missing min_values max_values average_values total_values values_histogram list_lengths weighted"
    " numeric strings bytes"
).split()
_MEASURED = ("mean std_dev min median max weighted_mean weighted_std_dev weighted_median").split()
_SCHEMA = """
feature { name: "text" type: BYTES natural_language_domain { vocabulary: "words" coverage { min_coverage: 0.9 min_avg_token_length: 5 }
  token_constraints { string_value: "the" min_per_sequence: 1 } } }
feature { name: "code" type: INT int_domain { is_categorical: true } }
feature { name: "picture" type: BYTES image_domain { } }
feature { name: "when" type: BYTES time_domain { string_format: "%Y-%m-%d" } }
feature { name: "absent" type: FLOAT }
"""
_LIFT = """
feature { name: "code" type: INT int_domain { is_categorical: true } }
feature { name: "city" type: BYTES }
"""
_NAN, _INF = float("nan"), float("inf")


def _rows(names: Sequence[str] = ()) -> pa.RecordBatch:
    numbers = range(60)
    columns = {
        "weight": [[10.0 if n >= 50 else 1.0] for n in numbers],
        "fare": [[n * 1.25] if n % 3 else None for n in numbers],
        "tip": [[float(n % 7)] for n in numbers],
        "nan": [[_NAN] for n in numbers],
        "nans": [[_NAN, _NAN] if n % 2 else None for n in numbers],
        "some_nan": [[_NAN if n % 2 else float(n)] for n in numbers],
        "inf": [[_INF] for n in numbers],
        "infs": [[(-_INF, _INF, 1.0)[n % 3]] for n in numbers],
        "empty": [[] for _ in numbers],
        "code": [[n % 4] for n in numbers],
        "city": [["Bern" if n < 50 else "Chur"] for n in numbers],
        "text": [["the quick fox", "the lazy dog", "unknown"][n % 3].split() for n in numbers],
        # TFDV takes values for pictures and times when there are a hundred.
        "picture": [[tf.io.encode_png(tf.zeros((n % 3 + 1, 2, 1), tf.uint8)).numpy()] * 2 for n in numbers],
        "when": [[f"2024-01-{n % 28 + 1:02}"] * 2 for n in numbers],
        "nested": [[[n, 1], [2]] if n % 2 else [[3]] for n in numbers],
        "trip": [[{"stop": ["a", "b"][: n % 3]}] for n in numbers],
    }
    types = {
        "empty": pa.list_(pa.float32()),
        "city": pa.list_(pa.binary()),
        "text": pa.list_(pa.binary()),
        "when": pa.list_(pa.binary()),
        "trip": pa.list_(pa.struct([("stop", pa.list_(pa.binary()))])),
    }
    kept = names or list(columns)
    return pa.RecordBatch.from_arrays([pa.array(columns[n], type=types.get(n)) for n in kept], list(kept))


def _histogram(proto) -> dict[str, Any]:
    return {
        "kind": type(proto).HistogramType.Name(proto.type),
        "name": proto.name,
        "nan": proto.num_nan,
        "undefined": proto.num_undefined,
        "buckets": [
            {"low": b.low_value, "high": b.high_value, "count": b.sample_count} for b in proto.buckets
        ],
        "cut": False,
    }


def _ranks(proto) -> dict[str, Any]:
    buckets = [
        {"low": b.low_rank, "high": b.high_rank, "label": b.label, "count": b.sample_count}
        for b in proto.buckets
    ]
    return {"name": proto.name, "buckets": buckets, "cut": False}


def _feature(view) -> dict[str, Any]:
    proto, common = view.proto(), view.common_statistics()
    if common is None:
        return {
            **dict.fromkeys(_FEATURE),
            "name": ".".join(proto.path.step),
            "type": "",
            "levels": [],
            "custom": [_custom(custom) for custom in proto.custom_stats],
            "derived": False,
            "cut": False,
        }
    numeric, strings, octets = view.numeric_statistics(), view.string_statistics(), view.bytes_statistics()
    weighted = common.weighted_common_stats
    return {
        "name": ".".join(proto.path.step),
        "type": type(proto).Type.Name(proto.type),
        "present": common.num_non_missing,
        "missing": common.num_missing,
        "min_values": common.min_num_values,
        "max_values": common.max_num_values,
        "average_values": common.avg_num_values,
        "total_values": common.tot_num_values,
        "values_histogram": _histogram(common.num_values_histogram)
        if common.HasField("num_values_histogram")
        else None,
        "list_lengths": None,
        "weighted": _counts(weighted) if common.HasField("weighted_common_stats") else None,
        "levels": [
            {
                "present": level.num_non_missing,
                "missing": level.num_missing,
                "min_values": level.min_num_values,
                "max_values": level.max_num_values,
                "total_values": level.tot_num_values,
                "weighted": _counts(common.weighted_presence_and_valency_stats[place])
                if common.weighted_presence_and_valency_stats
                else None,
            }
            for place, level in enumerate(common.presence_and_valency_stats)
        ],
        "numeric": _numeric(numeric) if numeric else None,
        "strings": _strings(strings) if strings else None,
        "bytes": {
            "unique": octets.unique or None,
            "average_bytes": octets.avg_num_bytes,
            "min_bytes": octets.min_num_bytes,
            "max_bytes": octets.max_num_bytes_int or octets.max_num_bytes,
        }
        if octets
        else None,
        "custom": [_custom(custom) for custom in proto.custom_stats],
        "derived": False,
        "cut": False,
    }


def _counts(proto) -> dict[str, Any]:
    return {
        "present": proto.num_non_missing,
        "missing": proto.num_missing,
        "average_values": proto.avg_num_values,
        "total_values": proto.tot_num_values,
    }


def _numeric(proto) -> dict[str, Any]:
    weighted = proto.weighted_numeric_stats if proto.HasField("weighted_numeric_stats") else None
    nan = max([found.num_nan for found in proto.histograms], default=0)
    if nan >= proto.common_stats.tot_num_values:  # TFDV sets no other number, and they read 0
        assert not (proto.mean or proto.std_dev or proto.min or proto.median or proto.max or weighted)
        return {
            **dict.fromkeys(_MEASURED),
            "zeros": 0,
            "nan": nan,
            "histograms": [_histogram(h) for h in proto.histograms],
            "weighted_histograms": [],
        }
    return {
        "mean": proto.mean,
        "std_dev": proto.std_dev if math.isfinite(proto.mean) else None,
        "zeros": proto.num_zeros,
        "min": proto.min,
        "median": proto.median,
        "max": proto.max,
        "nan": nan,
        "histograms": [_histogram(h) for h in proto.histograms],
        "weighted_mean": weighted.mean if weighted else None,
        "weighted_std_dev": weighted.std_dev if weighted and math.isfinite(weighted.mean) else None,
        "weighted_median": weighted.median if weighted else None,
        "weighted_histograms": [_histogram(h) for h in weighted.histograms] if weighted else [],
    }


def _strings(proto) -> dict[str, Any]:
    weighted = proto.weighted_string_stats
    return {
        "unique": proto.unique,
        "top": [{"value": v.value, "count": v.frequency} for v in proto.top_values],
        "average_length": proto.avg_length,
        "ranks": _ranks(proto.rank_histogram) if proto.HasField("rank_histogram") else None,
        "invalid_utf8": proto.invalid_utf8_count,
        "vocabulary_file": proto.vocabulary_file,
        "weighted_top": [{"value": v.value, "count": v.frequency} for v in weighted.top_values],
        "weighted_ranks": _ranks(weighted.rank_histogram) if weighted.HasField("rank_histogram") else None,
        "cut": False,
    }


def _custom(proto) -> dict[str, Any]:
    kind = proto.WhichOneof("val")
    language = statistics_pb2.NaturalLanguageStatistics()
    return {
        "name": proto.name,
        "value": getattr(proto, kind) if kind in ("num", "str") else None,
        "histogram": _histogram(proto.histogram) if kind == "histogram" else None,
        "ranks": _ranks(proto.rank_histogram) if kind == "rank_histogram" else None,
        "language": _language(language) if kind == "any" and proto.any.Unpack(language) else None,
    }


def _language(proto) -> dict[str, Any]:
    return {
        "coverage": proto.feature_coverage,
        "average_token_length": proto.avg_token_length,
        "token_lengths": _histogram(proto.token_length_histogram),
        "min_sequence_length": proto.min_sequence_length,
        "max_sequence_length": proto.max_sequence_length,
        "sequence_lengths": _histogram(proto.sequence_length_histogram),
        "location_misses": proto.location_misses,
        "reported_sequences": list(proto.reported_sequences),
        "tokens": [
            {
                "token": getattr(token, token.WhichOneof("token")),
                "frequency": token.frequency,
                "fraction_of_sequences": token.fraction_of_sequences,
                "min_per_sequence": token.per_sequence_min_frequency,
                "average_per_sequence": token.per_sequence_avg_frequency,
                "max_per_sequence": token.per_sequence_max_frequency,
                "positions": _histogram(token.positions),
            }
            for token in proto.token_statistics
        ],
        "ranks": _ranks(proto.rank_histogram),
        "weighted": None,
        "cut": False,
    }


def _cross(proto) -> dict[str, Any]:
    numeric = proto.num_cross_stats if proto.HasField("num_cross_stats") else None
    lift = proto.categorical_cross_stats.lift
    return {
        "x": ".".join(proto.path_x.step),
        "y": ".".join(proto.path_y.step),
        "count": proto.count if numeric else None,
        "correlation": numeric.correlation if numeric else None,
        "covariance": numeric.covariance if numeric else None,
        "lift": [_series(one) for one in [*lift.lift_series, *lift.weighted_lift_series]],
        "cut": False,
    }


def _series(proto) -> dict[str, Any]:
    weighted = proto.HasField("weighted_y_count")
    prefix = "weighted_" if weighted else ""
    return {
        "y": getattr(proto, proto.WhichOneof("y_value")),
        "y_count": getattr(proto, f"{prefix}y_count"),
        "lifts": [
            {
                "x": getattr(one, one.WhichOneof("x_value")),
                "lift": one.lift,
                "x_count": getattr(one, f"{prefix}x_count"),
                "both": getattr(one, f"{prefix}x_and_y_count"),
            }
            for one in proto.lift_values
        ],
        "weighted": weighted,
        "cut": False,
    }


def datasets(proto) -> list[dict[str, Any]]:
    """What TFDV's views say of a DatasetFeatureStatisticsList."""
    listed = stats_util.DatasetListView(proto)
    found = []
    for name in listed.list_slices():
        view = listed.get_slice(name)
        dataset = view.proto()
        found.append(
            {
                "slice": dataset.name,
                "examples": dataset.num_examples,
                "weighted_examples": dataset.weighted_num_examples or None,
                "features": [_feature(view.get_feature(path)) for path in view.list_features()],
                "crosses": [
                    _cross(view.get_cross_feature(*pair).proto()) for pair in view.list_cross_features()
                ],
                "feature_count": len(dataset.features),
                "cut": False,
            }
        )
    return found


def kinds(folder: Path) -> dict[str, Any]:
    """Writes kinds/Split-train/FeatureStats.pb, weighted and sliced, and other splits."""
    words = folder / "words.txt"
    words.write_text("the\nquick\nfox\nlazy\ndog\n")
    schema = text_format.Parse(_SCHEMA, schema_pb2.Schema())
    common: dict[str, Any] = {
        "schema": schema,
        "enable_semantic_domain_stats": True,
        "vocab_paths": {"words": str(words)},
    }
    weighted = tfdv.StatsOptions(
        **common,
        weight_feature="weight",
        generators=[cross_feature_stats_generator.CrossFeatureStatsGenerator(sample_rate=1.0)],
        slice_functions=[slicing_util.get_feature_value_slicer({"city": None})],
    )
    answers = {}
    lift = tfdv.StatsOptions(
        schema=text_format.Parse(_LIFT, schema_pb2.Schema()), weight_feature="weight", label_feature="city"
    )
    flat = [name for name in _rows().schema.names if name not in ("nested", "trip", "empty")]
    for split, options, names in (
        ("train", weighted, flat),  # TFDV's library crashes on slices and lifts of some of the others
        ("plain", tfdv.StatsOptions(**common), ()),
        ("nested", tfdv.StatsOptions(weight_feature="weight"), ("weight", "nested", "trip")),
        ("lift", lift, ("weight", "code", "city")),
    ):
        path = folder / f"kinds/Split-{split}/FeatureStats.pb"
        path.parent.mkdir(parents=True)
        with beam.Pipeline() as pipeline:
            _ = (
                pipeline
                | beam.Create([_rows(names)])
                | tfdv.GenerateStatistics(options)
                | tfdv.WriteStatisticsToBinaryFile(str(path))
            )
        answers[split] = datasets(stats_util.load_stats_binary(str(path)))
    return answers


def forms(folder: Path) -> dict[str, Any]:
    """Writes the statistics of kinds/Split-plain in other forms below forms/, two shards each of half the features."""
    whole = stats_util.load_stats_binary(str(folder / "kinds/Split-plain/FeatureStats.pb"))
    made = folder / "forms"
    for name in ("text", "record", "shards/Split-train", "packed/Split-train"):
        (made / name).mkdir(parents=True)
    tfdv.write_stats_text(whole, str(made / "text/stats.pbtxt"))
    with tf.io.TFRecordWriter(str(made / "record/stats.tfrecord")) as writer:
        writer.write(whole.SerializeToString())
    for number in range(2):
        part = statistics_pb2.DatasetFeatureStatisticsList()
        part.datasets.add().CopyFrom(whole.datasets[0])
        del part.datasets[0].features[:]
        part.datasets[0].features.extend(whole.datasets[0].features[number::2])
        place = f"-{number:05}-of-00002"
        for path, packed in (
            (f"shards/Split-train/FeatureStats.tfrecords{place}", ""),
            (f"packed/Split-train/FeatureStats{place}.tfrecord.gz", "GZIP"),
        ):
            with tf.io.TFRecordWriter(str(made / path), packed) as writer:
                writer.write(part.SerializeToString())
    return {
        "text": datasets(tfdv.load_statistics(str(made / "text/stats.pbtxt"))),
        "record": datasets(tfdv.load_statistics(str(made / "record/stats.tfrecord"))),
        "shards": datasets(
            stats_util.load_sharded_statistics(
                str(made / "shards/Split-train/FeatureStats.tfrecords")
            ).proto()
        ),
    }


_BEFORE, _NOW = 400, 300
_LONG = "x" * 300


def _drifting(now: bool) -> dict[str, tuple[list, pa.DataType]]:
    """Columns of one of two datasets, each another way to drift."""
    count = _NOW if now else _BEFORE
    rows, words, floats, ints = (
        range(count),
        pa.list_(pa.binary()),
        pa.list_(pa.float64()),
        pa.list_(pa.int64()),
    )
    side: Any = (lambda before, after: after) if now else (lambda before, after: before)
    columns: dict[str, tuple[list, pa.DataType]] = {
        "weight": ([[1.0 + n % 3] for n in rows], floats),
        "city": ([[f"city {min(n % 17, n % side(5, 7))}"] for n in rows], words),
        "word": ([[side(("Zürich", "日本"), ("日本", "🚕 é"))[n % 2]] for n in rows], words),
        "long": ([[_LONG + str(n % side(3, 4))] for n in rows], words),
        "many": ([[f"value {n * n % side(1500, 1700)}"] for n in rows], words),
        "raw": ([[bytes([200 + n % side(3, 5), 255])] for n in rows], words),
        "same": ([["a"] for n in rows], words),
        "disjoint": ([[side("a", "b")] for n in rows], words),
        "sometimes": ([["a", "b"][: n % side(2, 3)] for n in rows], words),
        "code": ([[n % side(4, 6)] for n in rows], ints),
        "number": ([[(n * n) % side(97, 89)] for n in rows], ints),
        "fare": ([[math.sqrt(n) * side(1.0, 1.3)] for n in rows], floats),
        "shifted": ([[n / 10 + side(0.0, 1000.0)] for n in rows], floats),
        "same number": ([[n % 10 / 8] for n in range(0, 300)] + [[0.5]] * (count - 300), floats),
        "constant": ([[3.5] for n in rows], floats),
        "other constant": ([[side(1.0, 2.0)] for n in rows], floats),
        "constant and not": ([[side(1.0, float(n % 5))] for n in rows], floats),
        "nans": ([[_NAN] for n in rows], floats),
        "some nan": ([[_NAN if n % side(5, 3) == 0 else float(n % 50)] for n in rows], floats),
        "nan on one side": ([[_NAN if now and n % 4 == 0 else float(n % 20)] for n in rows], floats),
        "infinite": ([[(_INF, -_INF, 1.0, 2.0)[n % side(3, 4)]] for n in rows], floats),
        "missing": ([[1.0 * n] if n % side(2, 5) else None for n in rows], floats),
        "lists": ([[float(n + m) for m in range(n % side(3, 4))] for n in rows], floats),
        "empty": ([[] for _ in rows], floats),
        "empty before": ([[float(n)] if now else [] for n in rows], floats),
        "empty now": ([[] if now else [float(n)] for n in rows], floats),
        "never": ([None for _ in rows], words),
        "text or number": ([[side("a", 1.0)] for n in rows], side(words, floats)),
    }
    columns[side("only before", "only now")] = ([[n] for n in rows], ints)
    return columns


def _measured(current, previous, histogram: str) -> dict[str, dict[str, float]]:
    """Both distances of each feature; TFDV measures only features of the schema's type."""
    schema = schema_pb2.Schema()
    types = {"INT": schema_pb2.INT, "FLOAT": schema_pb2.FLOAT, "STRING": schema_pb2.BYTES}
    for found in current.datasets[0].features:
        feature = schema.feature.add(
            name=found.path.step[0], type=types[statistics_pb2.FeatureNameStatistics.Type.Name(found.type)]
        )
        feature.drift_comparator.infinity_norm.threshold = 0.0
        feature.drift_comparator.jensen_shannon_divergence.threshold = 0.0
        if histogram:
            source = feature.drift_comparator.jensen_shannon_divergence.source
            source.type = type(source).Type.Value(histogram)
    info = tfdv.validate_statistics(current, schema, previous_statistics=previous).drift_skew_info
    return {
        found.path.step[0]: {type(m).Type.Name(m.type): m.value for m in found.drift_measurements}
        for found in info
    }


def drift(folder: Path) -> dict[str, Any]:
    """Writes drift/<dataset>/FeatureStats.pb; what TFDV measures between each two of them."""
    domains = text_format.Parse(_LIFT, schema_pb2.Schema())
    made = {}
    for name, now, weighted in (
        ("before", False, False), ("now", True, False), ("before weighted", False, True), ("now weighted", True, True),
    ):  # fmt: skip
        path = folder / f"drift/{name}/FeatureStats.pb"
        path.parent.mkdir(parents=True)
        columns = _drifting(now)
        arrays = [pa.array(values, type=kind) for values, kind in columns.values()]
        options = tfdv.StatsOptions(schema=domains, weight_feature="weight" if weighted else None)
        with beam.Pipeline() as pipeline:
            _ = (
                pipeline
                | beam.Create([pa.RecordBatch.from_arrays(arrays, list(columns))])
                | tfdv.GenerateStatistics(options)
                | tfdv.WriteStatisticsToBinaryFile(str(path))
            )
        made[name] = stats_util.load_stats_binary(str(path))
    return {
        histogram: {
            before: {now: _measured(made[now], made[before], histogram) for now in made} for before in made
        }
        for histogram in ("", "STANDARD", "QUANTILES")
    }
