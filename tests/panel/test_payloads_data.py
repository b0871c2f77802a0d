"""Examples, statistics, schemas and anomalies show what TensorFlow and TFDV read in the same files."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlmd_panel.errors import PayloadError, PayloadGone
from mlmd_panel.files import Files
from mlmd_panel.payloads import anomalies, example_rows, examples, schema, statistics

from tests.panel.data_artifacts import Data, artifact, official_data


@pytest.fixture(scope="module")
def data() -> Data:
    return official_data()


def _plain(value: Any) -> Any:
    """As JSON has it; texts of NaN and infinity, which equal themselves."""
    return json.loads(json.dumps(value, default=dataclasses.asdict), parse_constant=str)


def _same(found: Any, official: Any) -> None:
    assert _plain(found) == _plain(official)


def test_examples_are_those_that_tensorflow_reads(data: Data) -> None:
    given = data.artifact(
        "examples",
        split_names='["train", "eval", "empty", "gone"]',
        span=3,
        version=1,
        file_format="tfrecords_gzip",
    )
    read = examples.read(given, data.files)
    assert (read.format, read.file_format, read.span, read.version, read.cut) == (
        "FORMAT_TF_EXAMPLE", "tfrecords_gzip", 3, 1, False,
    )  # fmt: skip
    assert [split.name for split in read.splits] == ["train", "eval", "empty", "gone"]
    assert [split.files for split in read.splits] == [2, 1, 1, 0]
    for split in read.splits[:3]:
        official = data.answers["examples"][split.name]
        stored = [
            path.stat().st_size for path in (data.folder / "examples" / f"Split-{split.name}").iterdir()
        ]
        assert (split.records, split.truncated, split.bytes) == (official["records"], False, sum(stored))
        assert len(split.rows) == min(examples.MAX_ROWS, official["records"])
        for row, values in zip(split.rows, official["rows"], strict=False):
            assert row.keys() == values.keys()
            for name, shown in row.items():
                _same(shown, _shown(name, values[name]))
    assert read.splits[3].records == 0


def _shown(name: str, values: list[Any] | None) -> Any:
    """What a row shows of a feature's values."""
    if values is None:
        return None
    if name == "city":
        return bytes.fromhex(values[0]).decode()
    if name == "picture":
        value = bytes.fromhex(values[0])
        return f"{len(value)} bytes: {value[:16].hex(' ')}{' …' if len(value) > 16 else ''}"
    if len(values) == 1:
        return values[0]
    return values if len(values) <= 20 else [*values[:20], f"… {len(values) - 20} more"]


def test_sequence_examples_are_rows_too(data: Data) -> None:
    given = data.artifact("sequences", payload_format="FORMAT_TF_SEQUENCE_EXAMPLE")
    [split] = examples.read(given, data.files).splits
    assert split.records == 25
    assert split.rows[0] == {"id": 0}
    assert split.rows[3] == {"id": 3, "words": ["w0", "w1", "w2"]}


def test_other_payloads_are_counted_and_named(data: Data) -> None:
    read = examples.read(data.artifact("examples", payload_format="FORMAT_PROTO"), data.files)
    assert read.format == "FORMAT_PROTO"
    assert [(split.name, split.records, split.rows) for split in read.splits] == [
        ("empty", 0, ()), ("eval", 20, ()), ("train", 40, ()),
    ]  # fmt: skip
    parquet = examples.read(data.artifact("examples", file_format="parquet"), data.files)
    assert [split.records for split in parquet.splits] == [None, None, None]


def test_counting_stops_and_says_so(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "MAX_RECORDS", 60)  # of three splits together
    counts = {
        split.name: (split.records, split.truncated)
        for split in examples.read(data.artifact("examples"), data.files).splits
    }
    assert counts == {"train": (20, True), "eval": (20, False), "empty": (0, False)}


def test_long_values_are_shortened() -> None:
    assert example_rows._shown(("ä" * 150).encode()) == "ä" * 150
    assert example_rows._shown(("ä" * 5000).encode()) == "ä" * 199 + "…"
    assert example_rows._shown(b"a\x00b") == "3 bytes: 61 00 62"
    assert example_rows._shown(b"") == ""


@pytest.mark.parametrize("split", ["train", "eval"])
def test_statistics_are_those_that_tfdv_reads(data: Data, split: str) -> None:
    read = statistics.read(data.artifact("statistics", split_names='["train", "eval"]'), data.files)
    assert [found.split for found in read.splits] == ["train", "eval"]
    found = next(found for found in read.splits if found.split == split)
    assert not found.cut
    _same(found.datasets, data.answers["statistics"][split])


def test_the_statistics_hold_every_kind(data: Data) -> None:
    """Guards the test above against data that says nothing."""
    train = statistics.read(data.artifact("statistics"), data.files).splits[1].datasets
    assert [dataset.slice for dataset in train][0] == "All Examples" and len(train) == 5
    fare, city, picture = (train[0].feature(name) for name in ("fare", "city", "picture"))
    assert fare and fare.numeric and fare.numeric.weighted_mean and fare.weighted and fare.missing == 14
    assert {histogram.kind for histogram in fare.numeric.histograms} == {"STANDARD", "QUANTILES"}
    assert city and city.strings and city.strings.weighted_top and city.strings.unique == 4
    assert picture and picture.bytes and picture.bytes.max_bytes > picture.bytes.min_bytes
    assert [custom.name for feature in train[0].features for custom in feature.custom]


def test_a_schema_is_that_which_tfdv_displays(data: Data) -> None:
    read = schema.read(data.artifact("schema"), data.files)
    top = {feature.name: feature for feature in read.features if "." not in feature.name}
    assert list(top) == list(data.answers["schema"]["features"])
    for name, shown in data.answers["schema"]["features"].items():
        feature = top[name]
        presence = ""
        if feature.min_fraction is not None or feature.min_count is not None:
            presence = "required" if feature.min_fraction == 1 else "optional"
        assert shown["Presence"] == presence
        low, high = feature.value_counts[0] if feature.value_counts else (None, None)
        valency = f"[{low or 0},{high if high is not None else 'inf'}{']' if high is not None else ')'}"
        assert shown["Valency"] == (valency if feature.value_counts else "")
        kinds = {"bool": "INT", "string": "STRING"}
        kind = feature.domain.kind if feature.domain else ""
        assert shown["Type"] == kinds.get(kind, feature.type)
        if kind == "string":
            assert shown["Domain"] == f"'{feature.domain.name}'"
        elif kind == "int":
            assert shown["Domain"] == f"min: {feature.domain.min}; max: {feature.domain.max}"
        elif kind == "float":
            assert shown["Domain"] == f"min: {feature.domain.min:.6f}; max: {feature.domain.max:.6f}"
    assert {
        domain.name: ", ".join(f"'{value}'" for value in domain.values) for domain in read.domains
    } == data.answers["schema"]["domains"]


def test_a_schema_is_shown_with_all_that_it_says(data: Data) -> None:
    read = schema.read(data.artifact("schema"), data.files)
    assert read.environments == ("TRAINING", "SERVING") and not read.cut and read.files == ()
    city, fare, cash, hours, stop, when = (
        read.feature(name) for name in ("city", "fare", "cash", "hours", "trip.stop", "trip.when")
    )
    assert city.shape == (1,) and city.unique == (1, 5) and (city.min_fraction, city.min_count) == (1.0, 1)
    assert [(limit.type, limit.threshold) for limit in (*city.drift, *city.skew)] == [
        ("infinity_norm", 0.01), ("infinity_norm", 0.4),
    ]  # fmt: skip
    assert city.tags == ("place",) and city.comments == ("where",)
    assert city.domain.values == ("Bern", "Zürich", "Genève") and city.domain.count == 3
    assert fare.not_in_environments == ("SERVING",) and fare.stage == "PRODUCTION"
    assert fare.domain.details == {"disallow_nan": True}
    assert cash.domain.values == ("1", "0") and cash.in_environments == ("TRAINING",)
    assert hours.domain.categorical and hours.min_domain_mass == 0.9
    assert stop.value_counts == ((1, 2), (None, 3)) and stop.in_group and stop.domain.categorical
    assert when.domain.kind == "time" and when.domain.details == {"string_format": "%Y-%m"}
    assert read.feature("weight").stage == "DEPRECATED" and read.feature("trip").stage == "DEBUG_ONLY"
    assert read.sparse == (schema.SparseFeature("sparse", ("i", "j"), "v"),)
    assert read.weighted == (schema.WeightedFeature("heavy", "hours", "weight"),)
    assert read.representations == (schema.Representation("", "t", "dense_tensor"),)
    assert read.constraints == {
        "num_examples_drift_comparator.min_fraction_threshold": 0.5,
        "min_examples_count": 1000,
    }


def test_anomalies_are_those_that_tfdv_reads(data: Data) -> None:
    blessed = {"train": 0, "eval": 1}
    read = anomalies.read(
        data.artifact("anomalies", split_names='["train", "eval"]', blessed=blessed), data.files
    )
    train, none = read.splits
    official = data.answers["anomalies"]
    assert (train.blessed, none.blessed) == (False, True)
    assert none.anomalies == none.measurements == ()
    dataset, *features = train.anomalies
    assert dataset.feature == "" and [f.feature for f in features] == sorted(official["features"])
    for anomaly, answer in (
        (dataset, official["dataset"]),
        *((feature, official["features"][feature.feature]) for feature in features),
    ):
        told = dataclasses.asdict(anomaly)
        del told["feature"], told["cut"]
        _same(told, answer)
    _same([dataclasses.astuple(m) for m in train.measurements], official["measurements"])
    assert {f.feature or "[dataset anomaly]": [f.short, f.description] for f in train.anomalies} == official[
        "table"
    ]
    assert read.count == len(official["table"])
    types = {reason.type for anomaly in train.anomalies for reason in anomaly.reasons}
    assert {"CUSTOM_VALIDATION", "COMPARATOR_L_INFTY_HIGH", "SCHEMA_NEW_COLUMN"} <= types


def test_files_without_splits_and_pairs_of_splits_are_read(data: Data, tmp_path: Path) -> None:
    diff = data.folder / "anomalies/Split-train/SchemaDiff.pb"
    (tmp_path / "pairs/SplitPair-train_eval").mkdir(parents=True)
    shutil.copy(diff, tmp_path / "pairs/SplitPair-train_eval")
    (tmp_path / "transform").mkdir()
    shutil.copy(diff, tmp_path / "transform")
    shutil.copy(data.folder / "statistics/Split-train/FeatureStats.pb", tmp_path / "transform")
    files = Files([str(tmp_path)])
    [pair] = anomalies.read(artifact(f"{tmp_path}/pairs", blessed={"train_eval": 0}), files).splits
    assert pair.split == "train_eval" and pair.blessed is False and pair.anomalies
    [whole] = anomalies.read(artifact(f"{tmp_path}/transform"), files).splits
    assert whole.split == "" and whole.anomalies == pair.anomalies
    [measured] = statistics.read(artifact(f"{tmp_path}/transform"), files).splits
    assert measured.split == "" and len(measured.datasets) == 5


@pytest.mark.parametrize("module", [examples, statistics, schema, anomalies])
def test_artifacts_that_were_cleaned_away_are_gone(data: Data, module: Any) -> None:
    for uri in (f"{data.folder}/cleaned", ""):
        with pytest.raises(PayloadGone):
            module.read(artifact(uri), data.files)
    with pytest.raises(PayloadError, match="outside"):
        module.read(artifact("/etc"), data.files)
