"""The taxi pipeline with and without the patches of libraries: the same outputs."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft

from include.taxi import pipeline as taxi
from include.taxi.sample import sample_data_root
from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.tfx_side.node import node

ROWS = 3000
NODES = (
    "CsvExampleGen", "StatisticsGen", "SchemaGen", "Transform", "Trainer", "latest_blessed_model_resolver", "Evaluator",
)  # fmt: skip

Run = dict[str, NodeResult]


@pytest.fixture
def runs(make_request: Callable[..., NodeRequest], tmp_path: Path) -> tuple[Run, Run]:
    """Results of each node on the first rows of the sample, without and with patches, from the same inputs."""
    (tmp_path / "data").mkdir()
    [source] = Path(sample_data_root()).glob("*.csv")
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "data" / "data.csv").write_text("".join(lines[: ROWS + 1]), encoding="utf-8")
    pipeline = taxi.create_pipeline(
        "taxi",
        str(tmp_path / "root"),
        data_root=str(tmp_path / "data"),
        serving_dir=str(tmp_path / "serving"),
        enable_cache=False,
    )

    values = {"train_args": '{"num_steps": 20}', "hyperparameters": "{}"}
    found: tuple[Run, Run] = ({}, {})
    for name in NODES:
        for patched, results in enumerate(found):
            # The second time as after a clear; what comes later reads its outputs, both times.
            number = patched + 1
            request = make_request(pipeline, name, try_number=number, first_try=number, **values)
            results[name] = node.run(dataclasses.replace(request, library_patches=bool(patched)))
    return found


@pytest.mark.slow
@pytest.mark.long
def test_outputs_of_the_taxi_pipeline_are_those_of_the_libraries_as_they_are(
    runs: tuple[Run, Run],
) -> None:
    theirs, ours = runs
    assert {name: result.state for name, result in ours.items()} == dict.fromkeys(NODES, "executed")
    assert _records(ours, "CsvExampleGen", "examples") == _records(theirs, "CsvExampleGen", "examples")
    for split, rows in _transformed_rows(ours).items():
        codes, floats = zip(*_transformed_rows(theirs)[split], strict=True)
        assert [row[0] for row in rows] == list(codes)
        # Beam sizes batches by how long they take, and TensorFlow's last bit depends on a row's place in its batch:
        # two runs of the libraries as they are differ as much.
        assert np.allclose([row[1] for row in rows], floats, rtol=1e-5, atol=1e-6)
    for split in ("train", "eval"):
        texts, numbers = zip(*(_statistics(result, split) for result in (ours, theirs)), strict=True)
        assert texts[0] == texts[1]
        # ... and sums are by batch.
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-6)
    (made, vocabularies), (expected, known) = _transformed(ours), _transformed(theirs)
    assert vocabularies == known
    assert made == {name: pytest.approx(value, rel=1e-5) for name, value in expected.items()}
    assert _history(ours)["loss"] == pytest.approx(_history(theirs)["loss"], rel=1e-4)
    metrics = [result["Evaluator"].summary["metrics"] for result in (ours, theirs)]
    assert metrics[0].keys() == metrics[1].keys() >= {"auc", "loss", "binary_accuracy"}
    for name, found in metrics[1].items():
        # TFMA draws the buckets at random, and sums the rows by bucket.
        assert metrics[0][name]["value"] == pytest.approx(found["value"], rel=1e-8)
        assert metrics[0][name].keys() == found.keys()
        if "lower" in found:
            widths = [m[name]["upper"] - m[name]["lower"] for m in metrics]
            assert 1 / 3 < widths[0] / widths[1] < 3
    assert ours["Transform"].beam["counters"] == theirs["Transform"].beam["counters"]


def _uri(run: Run, name: str, key: str) -> str:
    return str(run[name].outputs[key][0]["uri"])


def _records(run: Run, name: str, key: str) -> dict[str, list[bytes]]:
    """Records by split, sorted: Beam gives no order, and a tf.Example none to its features."""
    found = {}
    for split in ("train", "eval"):
        files = tf.io.gfile.glob(f"{_uri(run, name, key)}/Split-{split}/*")
        records = tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()
        found[split] = sorted(
            tf.train.Example.FromString(r).SerializeToString(deterministic=True) for r in records
        )
    return found


def _transformed_rows(run: Run) -> dict[str, list[tuple[list[Any], list[float]]]]:
    """By split, the codes and the floats of each transformed row, sorted."""
    found = {}
    for split, records in _records(run, "Transform", "transformed_examples").items():
        rows = []
        for record in records:
            features = sorted(tf.train.Example.FromString(record).features.feature.items())
            codes = [(name, list(value.int64_list.value)) for name, value in features]
            rows.append((codes, [number for _, value in features for number in value.float_list.value]))
        found[split] = sorted(rows, key=lambda row: (row[0], [round(number, 4) for number in row[1]]))
    return found


def _statistics(run: Run, split: str) -> tuple[list[str], list[float]]:
    """The statistics' text without its numbers, and these."""
    found = tfdv.load_stats_binary(
        f"{_uri(run, 'StatisticsGen', 'statistics')}/Split-{split}/FeatureStats.pb"
    )
    number = r"(?<=: )-?[0-9][-+.0-9e]*$"
    lines = str(found).splitlines()
    return [re.sub(number, "", line) for line in lines], [
        float(value) for line in lines for value in re.findall(number, line)
    ]


def _transformed(run: Run) -> tuple[dict[str, Any], list[Any]]:
    """What the transform graph makes of two rows, and its vocabularies."""
    output = tft.TFTransformOutput(_uri(run, "Transform", "transform_graph"))
    spec = output.raw_feature_spec()
    rows = {name: tf.sparse.from_dense(_values(config)) for name, config in spec.items()}
    made = output.transform_features_layer()(rows)
    vocabularies = [output.vocabulary_by_name(name) for name in ("payment_type", "company")]
    return {name: np.asarray(value) for name, value in made.items()}, vocabularies


def _values(config: Any) -> Any:
    if config.dtype == tf.string:
        return tf.constant([["Cash"], ["Taxi Affiliation Services"]])
    return tf.cast(tf.constant([[3.5], [17.0]]), config.dtype)


def _history(run: Run) -> Any:
    """Losses of the training: the weights follow from them."""
    return json.loads(Path(_uri(run, "Trainer", "model_run"), "training.json").read_text())
