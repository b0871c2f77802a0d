"""Examples, statistics, schemas and anomalies show what TensorFlow and TFDV read in the same files."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bs4
import pytest
from fastapi.testclient import TestClient
from mlmd_panel.errors import NoUri, PayloadError, PayloadGone, PayloadUnknown
from mlmd_panel.files import messages, protos
from mlmd_panel.files.allowed import Files
from mlmd_panel.json_text import to_json
from mlmd_panel.payloads import read as payloads
from mlmd_panel.payloads.data import anomalies, example_rows, examples, schema, splits, statistics
from mlmd_panel.payloads.part import Part
from mlmd_panel.web import pages
from mlmd_panel.web.app import create_app
from mlmd_panel.web.links import Urls

from tests.bundle import LANE
from tests.panel.data_artifacts import Data, artifact, official_data
from tests.panel.written import FIRST, written


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


@pytest.mark.parametrize("split", ["train", "plain", "nested", "lift"])
def test_statistics_of_every_kind_are_those_that_tfdv_reads(data: Data, split: str) -> None:
    """Weights with and without slices, NaN and infinity, natural language, lists in lists, crosses and lifts."""
    [found] = statistics.read(data.artifact("kinds"), data.files, Part(split=split)).splits
    _same(found.datasets, data.answers["kinds"][split])


def _page(payload: Any, query: tuple[tuple[str, str], ...] = ()) -> str:
    """The text of a payload's page, one cell or line after the other."""
    template = pages.environment().from_string(
        '{% import "_payload.html" as payloads with context %}{{ payloads.payload(payload, none, {"id": 1}) }}'
    )
    html = template.render(payload=payload, urls=Urls("", "/artifacts/1", query), links=None)
    soup = bs4.BeautifulSoup(html, "html.parser")
    for element in soup.select("script, svg"):
        element.decompose()
    for element in soup.select("td, th, p, h3, summary, dt, dd, div"):
        element.append("\n")
    return "\n".join(" ".join(line.split()) for line in soup.get_text().splitlines() if line.strip())


def test_weighted_statistics_are_shown_beside_the_others(data: Data) -> None:
    read = statistics.read(data.artifact("kinds"), data.files, Part(split="train"))
    fare, city = (read.splits[0].datasets[0].feature(name) for name in ("fare", "city"))
    assert (fare.numeric.mean, fare.numeric.weighted_mean) == (37.5, pytest.approx(56.4, abs=0.01))
    assert [v.value for v in city.strings.top] == ["Bern", "Chur"]
    assert [v.value for v in city.strings.weighted_top] == ["Chur", "Bern"]
    page = _page(read)
    assert "60 examples, 150 by weight, 13 features" in page
    lines = page.splitlines()
    heads = lines.index("Mean"), lines.index("Mean, weighted")
    row = lines[lines.index("fare", heads[1]) :]
    assert row[heads[0] - lines.index("Feature", lines.index("8 numeric features")) - 1] == "37.5"
    assert "56.4" in row[:20] and "Chur 66.7%, Bern 33.3%" in page
    assert lines.count("Histogram, weighted") >= 3 and lines.count("Most frequent values, weighted") >= 3
    plain = statistics.read(data.artifact("kinds"), data.files, Part(split="plain"))
    assert "weight" not in _page(plain).replace("\nweight\n", "").replace("\nweight 60", "")
    assert plain.splits[0].datasets[0].weighted_examples is None


def test_values_that_are_no_numbers_have_no_mean(data: Data) -> None:
    for split, part in (("train", "weighted"), ("plain", "")):
        read = statistics.read(data.artifact("kinds"), data.files, Part(split=split, feature="nan"))
        for name, count in (("nan", 60), ("nans", 60), ("some_nan", 30)):
            found = read.splits[0].datasets[0].feature(name).numeric
            known = (found.mean, found.std_dev, found.min, found.median, found.max, found.weighted_mean)
            assert found.nan == count
            assert (known == (None,) * 6) == (name != "some_nan")
            if name == "some_nan":
                assert (found.mean, found.min, found.max) == (29.0, 0.0, 58.0)
                assert (found.weighted_mean is None) == (part == "")
    assert "All 60 values are NaN" in _page(read)
    [whole] = statistics.read(data.artifact("kinds"), data.files, Part(split="plain")).splits
    empty = whole.datasets[0].feature("empty")
    assert empty.numeric.mean is None and (empty.numeric.nan, empty.total_values) == (0, 0)
    json.loads(to_json(read), parse_constant=lambda name: pytest.fail(name))


def test_infinity_is_shown_as_such(data: Data) -> None:
    read = statistics.read(data.artifact("kinds"), data.files, Part(split="plain", feature="inf"))
    found = read.splits[0].datasets[0].feature("infs").numeric
    assert math.isnan(found.mean) and found.std_dev is None
    assert (found.min, found.median, found.max) == (-math.inf, 1.0, math.inf)
    assert found.histograms[0].endless == 40
    page = _page(read)
    assert "40 in unbounded buckets, not drawn" in page
    lines = page.splitlines()
    row = lines[lines.index("infs") :]
    assert ["NaN", "–", "−∞", "1", "∞"] == row[row.index("NaN") : row.index("NaN") + 5]
    twin = json.loads(to_json(read), parse_constant=lambda name: pytest.fail(name))
    assert twin["splits"][0]["datasets"][0]["features"][1]["numeric"]["min"] == "-Infinity"


def test_natural_language_pairs_and_further_statistics_are_on_the_page(data: Data) -> None:
    page = _page(statistics.read(data.artifact("kinds"), data.files))
    assert "Natural language" in page and "Tokens in a sequence\n1 to 3" in page
    assert "NaturalLanguageStatistics" not in page
    assert "28 pairs of features" in page and "city = Chur 100 by weight" in page
    assert (
        "image_format_histogram" in page
        and "domain_info\nimage_domain {}" in page
        and "Nested lists, outermost first" in page
    )


def test_the_address_chooses_split_slice_and_features() -> None:
    made = written()
    client = TestClient(create_app(made.panel))
    wanted = {"split": "train", "slice": "city_Bern", "feature": "FAR"}
    artifact_page = f"/artifacts/{made.ids['statistics']}"
    node_page = f"/runs/{made.ids[f'run {FIRST}']}/nodes/StatisticsGen"
    for payload in (
        client.get(f"{artifact_page}.json", params=wanted).json()["payload"],
        client.get(f"{node_page}.json", params=wanted).json()["views"][0]["payload"],
    ):
        [split] = payload["splits"]
        assert (split["split"], [dataset["slice"] for dataset in split["datasets"]]) == (
            "train",
            ["city_Bern"],
        )
        assert [feature["name"] for feature in split["datasets"][0]["features"]] == ["fare"]
        assert split["slice_count"] == 5 and payload["part"] == {**wanted}
    page = bs4.BeautifulSoup(client.get(artifact_page, params=wanted).text, "html.parser")
    assert page.select_one('select[name="slice"] option[selected]')["value"] == "city_Bern"
    links = [link["href"] for link in page.select("details table a")]
    assert f"{artifact_page}?split=train&feature=FAR&slice=city_Chur" in links


def _sliced(folder: Path, slices: int, features: int, whole: bool = True) -> Files:
    made = protos.message("tensorflow.metadata.v0.DatasetFeatureStatisticsList")()
    names = [*(["All Examples"] if whole else []), *(f"shop_{n:04}" for n in range(slices - whole))]
    for number, name in enumerate(names):
        dataset = made.datasets.add(name=name, num_examples=number + 1)
        for place in range(features):
            feature = dataset.features.add()
            feature.path.step.append(f"f{place:04}")
            feature.num_stats.mean = number
            feature.num_stats.common_stats.tot_num_values = 1
    (folder / "Split-train").mkdir()
    (folder / "Split-train/FeatureStats.pb").write_bytes(made.SerializeToString())
    return Files([str(folder)])


def test_every_slice_is_named_and_can_be_had(tmp_path: Path) -> None:
    files = _sliced(tmp_path, 251, 4)
    read = statistics.read(artifact(str(tmp_path)), files)
    [split] = read.splits
    assert (split.slice_count, len(split.slices), len(split.datasets), split.cut) == (251, 251, 251, False)
    page = _page(read)
    assert "251 slices of split train" in page and "shop_0249" in page and page.count("\nf0000\n") == 1
    part = Part(slice="shop_0249")
    [last] = statistics.read(artifact(str(tmp_path)), files, part).splits
    assert [(d.slice, d.feature("f0003").numeric.mean) for d in last.datasets] == [("shop_0249", 250)]
    assert last.slice_count == 251 and not last.cut
    absent = statistics.read(artifact(str(tmp_path)), files, Part(slice="nowhere"))
    assert absent.splits[0].datasets == () and "has no slice 'nowhere'" in _page(absent)


def test_what_is_cut_of_the_slices_says_so(tmp_path: Path) -> None:
    files = _sliced(tmp_path, 300, 30, whole=False)
    read = statistics.read(artifact(str(tmp_path)), files)
    [split] = read.splits
    shown = statistics.MAX_FEATURES // 30
    assert (split.slice_count, len(split.datasets), split.cut) == (300, shown, True)
    assert all(len(dataset.features) == 30 for dataset in split.datasets)
    page = _page(read)
    assert f"The JSON has {shown} of the 300 slices" in page and "slice= in the address" in page
    assert "There are no statistics for all examples; this is the first of 300 slices." in page
    wanted = Part(slice="shop_0299", feature="F0029")
    [last] = statistics.read(artifact(str(tmp_path)), files, wanted).splits
    assert [feature.name for feature in last.datasets[0].features] == ["f0029"]
    assert last.datasets[0].feature_count == 30 and not last.datasets[0].cut


def test_features_beyond_the_limit_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MAX_FEATURES", 100)
    files = _sliced(tmp_path, 1, 250)
    read = statistics.read(artifact(str(tmp_path)), files)
    [dataset] = read.splits[0].datasets
    assert (len(dataset.features), dataset.feature_count, dataset.cut) == (100, 250, True)
    assert "more features than the 100 shown" in _page(read)
    found = statistics.read(artifact(str(tmp_path)), files, Part(feature="f0249")).splits[0].datasets[0]
    assert [feature.name for feature in found.features] == ["f0249"] and not found.cut


def _by_name(datasets: Any) -> Any:
    """TFDV orders the features of joined shards in a way of its own."""
    found = _plain(datasets)
    for dataset in found:
        dataset["features"].sort(key=lambda feature: feature["name"])
    return found


@pytest.mark.parametrize(
    ("uri", "form", "split"),
    [
        ("text", "text", ""),
        ("text/stats.pbtxt", "text", ""),
        ("record", "record", ""),
        ("record/stats.tfrecord", "record", ""),
        ("shards", "shards", "train"),
        ("packed", "shards", "train"),
    ],
)
def test_statistics_are_read_in_every_form(data: Data, uri: str, form: str, split: str) -> None:
    read = payloads.read(_typed("ExampleStatistics", f"{data.folder}/forms/{uri}"), data.files)
    assert [found.split for found in read.splits] == [split] and read.problems == ()
    assert _by_name(read.splits[0].datasets) == _by_name(data.answers["forms"][form])


def test_a_shard_that_is_missing_is_told(data: Data, tmp_path: Path) -> None:
    shutil.copytree(data.folder / "forms/packed", tmp_path / "packed")
    (tmp_path / "packed/Split-train/FeatureStats-00001-of-00002.tfrecord.gz").unlink()
    read = statistics.read(artifact(f"{tmp_path}/packed"), Files([str(tmp_path)]))
    assert "1 shard besides Split-train/FeatureStats-00000-of-00002.tfrecord.gz is missing." in _page(read)
    named = artifact(f"{tmp_path}/packed", split_names='["train", "eval"]')
    assert "no statistics for split eval" in _page(statistics.read(named, Files([str(tmp_path)])))


def test_splits_beyond_the_limit_are_had_by_their_names(data: Data, tmp_path: Path) -> None:
    for number in range(splits.MAX_SPLITS + 2):
        shutil.copytree(data.folder / "anomalies/Split-eval", tmp_path / f"Split-{number:03}")
    read = anomalies.read(artifact(str(tmp_path)), Files([str(tmp_path)]))
    assert (len(read.splits), read.split_count, read.cut) == (splits.MAX_SPLITS, splits.MAX_SPLITS + 2, True)
    page = _page(read)
    assert f"The first {splits.MAX_SPLITS} of {splits.MAX_SPLITS + 2} splits are shown" in page
    assert "No anomalies in what is shown." in page and "conforms to the schema" not in page
    [last] = anomalies.read(artifact(str(tmp_path)), Files([str(tmp_path)]), Part(split="051")).splits
    assert last.split == "051"


def test_a_broken_split_hides_no_other(data: Data, tmp_path: Path) -> None:
    for name, module, file in (
        ("statistics", statistics, "FeatureStats.pb"),
        ("anomalies", anomalies, "SchemaDiff.pb"),
    ):
        (tmp_path / name / "Split-eval").mkdir(parents=True)
        shutil.copytree(data.folder / f"{name}/Split-train", tmp_path / name / "Split-train")
        (tmp_path / name / "Split-eval" / file).write_bytes(b"\x0a\xff\xff")
        read = module.read(artifact(f"{tmp_path}/{name}"), Files([str(tmp_path)]))
        assert [split.split for split in read.splits] == ["train"]
        assert f"Split-eval/{file} is not a valid " in _page(read)


def test_the_same_shard_twice_counts_once(data: Data, tmp_path: Path) -> None:
    for number in range(2):
        shutil.copy(
            data.folder / "forms/record/stats.tfrecord",
            tmp_path / f"FeatureStats-{number:05}-of-00002.tfrecord",
        )
    [split] = statistics.read(artifact(str(tmp_path)), Files([str(tmp_path)])).splits
    _same(split.datasets, data.answers["forms"]["record"])


def _typed(type_: str, uri: str, **properties: Any) -> Any:
    return dataclasses.replace(artifact(uri, **properties), type=type_)


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
    assert read.representations == (schema.Representation("", "t", "dense_tensor", {"column_name": "fare"}),)
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
    assert {"COMPARATOR_L_INFTY_HIGH", "SCHEMA_NEW_COLUMN"} <= types
    assert LANE != "1.16" or "CUSTOM_VALIDATION" in types  # conditions in SQL are gone from TFX 1.21


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


_TYPES = ("Examples", "ExampleStatistics", "ExampleAnomalies", "Schema")


@pytest.mark.parametrize("type_", [*_TYPES, "Model", "TransformGraph", "ModelEvaluation", "HyperParameters"])
def test_files_gone_elsewhere_and_nowhere_are_three_things(data: Data, type_: str) -> None:
    sentences = set()
    for uri, kind in ((f"{data.folder}/cleaned", PayloadGone), ("/etc", PayloadError), ("", NoUri)):
        with pytest.raises(kind) as raised:
            payloads.read(_typed(type_, uri), data.files)
        sentences.add((raised.value.headline, str(raised.value)))
    assert len(sentences) == len({headline for headline, _ in sentences}) == 3
    assert NoUri.headline == "The artifact has no URI"


@pytest.mark.parametrize("type_", ["TransformGraph", "ModelEvaluation", "HyperParameters", "TunerResults"])
def test_folders_without_what_the_type_is_made_of_are_listed(tmp_path: Path, type_: str) -> None:
    (tmp_path / "notes.md").write_text("not yet")
    read = payloads.read(_typed(type_, str(tmp_path)), Files([str(tmp_path)]))
    assert (read.kind, [entry.name for entry in read.files]) == ("other", ["notes.md"]) and read.problem


@pytest.mark.parametrize("type_", _TYPES[1:])
def test_files_that_are_not_understood_are_listed(tmp_path: Path, type_: str) -> None:
    files = Files([str(tmp_path)])
    (tmp_path / "Split-train").mkdir()
    given = _typed(type_, str(tmp_path))
    empty = payloads.read(given, files)
    assert empty.kind == "other" and empty.problem == "The artifact's folder is empty."
    (tmp_path / "Split-train/notes.txt").write_text("not yet")
    read = payloads.read(given, files)
    assert [entry.name for entry in read.files] == ["Split-train/notes.txt"] and read.preview == "not yet"
    said = {"Schema": "Split-train/notes.txt is not a valid Schema in text format: error in line 1."}
    assert read.problem.startswith(said.get(type_, "The artifact has no ")) and read.problem in _page(read)
    with pytest.raises(PayloadUnknown):
        {"ExampleStatistics": statistics, "ExampleAnomalies": anomalies, "Schema": schema}[type_].read(
            given, files
        )


def test_several_files_that_could_be_it_are_not_guessed_among(data: Data, tmp_path: Path) -> None:
    for name in ("a.pbtxt", "b.pbtxt"):
        shutil.copy(data.folder / "forms/text/stats.pbtxt", tmp_path / name)
    read = payloads.read(_typed("ExampleStatistics", str(tmp_path)), Files([str(tmp_path)]))
    assert "several files that could be the statistics: a.pbtxt, b.pbtxt" in read.problem
    shutil.copy(data.folder / "kinds/Split-plain/FeatureStats.pb", tmp_path)
    read = payloads.read(_typed("ExampleStatistics", str(tmp_path)), Files([str(tmp_path)]))
    assert read.kind == "statistics"


@pytest.mark.parametrize("name", ["anomalies.pbtxt", "SchemaDiff.pbtxt", "what.textproto"])
def test_anomalies_in_text_format_are_read(data: Data, tmp_path: Path, name: str) -> None:
    shutil.copy(data.folder / "anomalies.pbtxt", tmp_path / name)
    serialized = anomalies.read(data.artifact("anomalies"), data.files, Part(split="train")).splits[0]
    for uri in (str(tmp_path), str(tmp_path / name)):
        [text] = payloads.read(_typed("ExampleAnomalies", uri), Files([str(tmp_path)])).splits
        assert (text.anomalies, text.measurements) == (serialized.anomalies, serialized.measurements)


def test_a_uri_may_be_the_file(data: Data) -> None:
    for type_, uri in (
        ("Examples", "examples/Split-eval/data_tfrecord-00000-of-00001"),
        ("ExampleStatistics", "kinds/Split-plain/FeatureStats.pb"),
        ("ExampleAnomalies", "anomalies/Split-train/SchemaDiff.pb"),
        ("Schema", "schema/schema.pbtxt"),
    ):
        read = payloads.read(_typed(type_, f"{data.folder}/{uri}"), data.files)
        assert read.kind != "other" and (getattr(read, "splits", None) or read.features)
    for type_ in ("Model", "TransformGraph", "ModelEvaluation"):
        read = payloads.read(_typed(type_, f"{data.folder}/schema/schema.pbtxt"), data.files)
        assert [entry.name for entry in read.files] == [""] and read.problem in _page(read)


def test_hyperparameters_may_be_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"units": 8}')
    for uri in (tmp_path, tmp_path / "mine.json"):
        read = payloads.read(_typed("HyperParameters", str(uri)), Files([str(tmp_path)]))
        assert read.values() == {"units": 8}


def test_a_schema_may_be_serialized_and_of_any_name(data: Data, tmp_path: Path) -> None:
    written = schema.read(data.artifact("schema"), data.files)
    proto = messages.read(
        data.files, f"{data.folder}/schema", ["schema.pbtxt"], "tensorflow.metadata.v0.Schema"
    )
    (tmp_path / "taxi.pb").write_bytes(proto.SerializeToString())
    read = schema.read(artifact(str(tmp_path)), Files([str(tmp_path)]))
    assert (read.features, read.domains, read.file) == (written.features, written.domains, "taxi.pb")


def test_examples_in_other_formats_are_listed_and_named(tmp_path: Path, data: Data) -> None:
    for split in ("train", "eval", "good"):
        (tmp_path / f"Split-{split}").mkdir()
    (tmp_path / "Split-train/data.parquet").write_bytes(b"PAR1")
    (tmp_path / "Split-eval/data.csv").write_text("a,b\n1,2\n")
    shutil.copy(data.folder / "examples/Split-eval/data_tfrecord-00000-of-00001", tmp_path / "Split-good")
    read = examples.read(artifact(str(tmp_path)), Files([str(tmp_path)]))
    problems = {split.name: split.problem for split in read.splits}
    assert "These are Parquet files" in problems["train"] and "These are CSV files" in problems["eval"]
    assert problems["good"] == "" and [len(split.rows) for split in read.splits if split.rows] == [10]
    page = _page(read)
    assert "Split-train/data.parquet" in page and problems["train"] in page
    (tmp_path / "Split-good/data_tfrecord-00001-of-00002").write_bytes(b"broken")
    [good] = examples.read(artifact(str(tmp_path)), Files([str(tmp_path)]), Part(split="good")).splits
    assert good.records is None and "data_tfrecord-00001-of-00002 is truncated" in good.problem


def test_a_distance_that_is_no_number_is_neither_good_nor_bad(tmp_path: Path) -> None:
    text = """drift_skew_info { path { step: "fare" } drift_measurements { type: JENSEN_SHANNON_DIVERGENCE value: nan
    threshold: 0.1 } skew_measurements { type: L_INFTY value: inf threshold: 0.1 } }"""
    (tmp_path / "anomalies.pbtxt").write_text(text)
    read = anomalies.read(artifact(str(tmp_path)), Files([str(tmp_path)]))
    assert [found.allowed for found in read.splits[0].measurements] == [None, False]
    page = _page(read)
    assert "not comparable" in page and "∞" in page
    json.loads(to_json(read), parse_constant=lambda name: pytest.fail(name))


_SAID = """
feature { name: "fare" type: FLOAT in_environment: "TRAINING" not_in_environment: "SERVING" presence { min_fraction: 0.5 min_count: 7 }
  float_domain { min: -inf max: 20 disallow_nan: true disallow_inf: true is_embedding: true embedding_dim: 32 }
  distribution_constraints { min_domain_mass: 0.75 } annotation { tag: "money" comment: "in dollars" }
  drift_comparator { jensen_shannon_divergence { threshold: 0.125 source { type: QUANTILES } } } }
feature { name: "code" type: INT int_domain { min: 0 max: 9007199254740993 is_categorical: true }
  sequence_metadata { sequential_status: SEQUENTIAL_YES joint_group: "together" sequence_truncation_limit: 99 } }
feature { name: "note" type: BYTES value_count { } natural_language_domain { vocabulary: "words" coverage { min_coverage: 0.25 }
  token_constraints { string_value: "the" max_per_sequence: 17 } sequence_length_constraints { max_sequence_length: 55 } } }
feature { name: "picture" type: BYTES image_domain { minimum_supported_image_fraction: 0.625 } lifecycle_stage: VALIDATION_DERIVED }
feature { name: "cash" type: INT bool_domain { true_value: "paid" false_value: "owed" } }
feature { name: "odd" type: BYTES domain: "nowhere" annotation { extra_metadata { type_url: "type.googleapis.com/their.Own" value: "abc" } } }
feature { name: "trip" type: STRUCT struct_domain { feature { name: "stop" type: BYTES group_presence { required: true }
  string_domain { value: "x" is_categorical: CATEGORICAL_NO } } sparse_feature { name: "inner" index_feature { name: "place" } } } }
float_domain { name: "free" min: nan max: inf }
sparse_feature { name: "sparse" index_feature { name: "i" } value_feature { name: "v" } is_sorted: true
  dense_shape { dim { size: 71 } } lifecycle_stage: BETA }
weighted_feature { name: "heavy" feature { step: "code" } weight_feature { step: "fare" } lifecycle_stage: ALPHA }
annotation { tag: "taxi" comment: "Chicago" } represent_variable_length_as_ragged: true
tensor_representation_group { key: "" value { tensor_representation { key: "t" value { ragged_tensor { feature_path { step: "a" step: "b" }
  partition { uniform_row_length: 3 } } } } } }
"""


def test_a_schema_page_leaves_nothing_out(tmp_path: Path) -> None:
    (tmp_path / "schema.pbtxt").write_text(_SAID)
    read = schema.read(artifact(str(tmp_path)), Files([str(tmp_path)]))
    page = _page(read)
    for words in (
        "in TRAINING", "not in SERVING", "in at least 50%, in at least 7", "−∞ to 20", "no NaN", "no infinity",
        "is embedding: yes", "embedding dim: 32", "at least 75% of the values in it", "money", "in dollars",
        "jensen shannon divergence ≤ 0.125 of quantiles", "categorical", "not categorical", "joint group: together",
        "sequence truncation limit: 99", "any number", "vocabulary: words", "min coverage: 0.25",
        "string value: the", "max per sequence: 17", "max sequence length: 55", "0.625", "validation derived",
        "true value: paid", "false value: owed", "nowhere which is missing from the schema", "3 bytes of their.Own",
        "required in its struct", "sparse feature: (name: inner", "NaN to ∞", "is sorted: yes", "size: 71", "beta",
        "alpha", "taxi", "Chicago", "ragged tensors", "feature path: a.b", "uniform row length: 3",
    ):  # fmt: skip
        assert words in page, words
    assert "9007199254740993" in to_json(read).decode()
    json.loads(to_json(read), parse_constant=lambda name: pytest.fail(name))


def _fields(descriptor: Any, seen: frozenset[str] = frozenset()) -> Iterator[tuple[str, ...]]:
    for field in descriptor.fields:
        yield (field.name,)
        below = field.message_type
        if below and below.full_name not in seen and not below.GetOptions().map_entry:
            for path in _fields(below, seen | {descriptor.full_name, below.full_name}):
                yield (field.name, *path)


def test_no_field_of_a_feature_is_lost(tmp_path: Path) -> None:
    """Each field of schema.proto's Feature, set to something, changes what is read of the schema."""
    kind = protos.message("tensorflow.metadata.v0.Schema")
    feature = kind.DESCRIPTOR.fields_by_name["feature"].message_type
    files, lost = Files([str(tmp_path)]), []
    plain = 'feature { name: "f" }'
    (tmp_path / "schema.pbtxt").write_text(plain)
    before = schema.read(artifact(str(tmp_path)), files)
    for path in _fields(feature, frozenset({feature.full_name})):
        field, at = None, feature
        for name in path:
            field = at.fields_by_name[name]
            at = field.message_type
        if path == ("name",) or (field.message_type and not field.is_repeated):
            continue
        value = {field.TYPE_BOOL: "true", field.TYPE_STRING: '"s"', field.TYPE_BYTES: '"s"'}.get(
            field.type, "1"
        )
        value = "{ }" if field.message_type else value
        said = "".join(f"{name} {{ " for name in path[:-1]) + f"{path[-1]}: {value}" + " }" * (len(path) - 1)
        (tmp_path / "schema.pbtxt").write_text(f'feature {{ name: "f" {said} }}')
        if schema.read(artifact(str(tmp_path)), files) == before:
            lost.append(".".join(path))
    assert lost == []
