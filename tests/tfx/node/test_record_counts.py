"""How many records ExampleGen wrote, by split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pytest
import tensorflow as tf
from pyarrow import parquet
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from include.tfx_airflow.tfx_side.node import node, record_counts


def _examples(folder: Path, *splits: str, **properties: str) -> Any:
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    artifact.split_names = "[" + ", ".join(f'"{name}"' for name in splits) + "]"
    for key, value in properties.items():
        artifact.set_string_custom_property(key, value)
    return artifact.mlmd_artifact


def _write(path: Path, count: int, compression: str = "GZIP") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for number in range(count):
            writer.write(b"x" * (number % 7))


@pytest.mark.parametrize("compression", ["GZIP", ""])
def test_records_of_all_shards_count(tmp_path: Path, compression: str) -> None:
    for shard, count in enumerate((5, 0, 3)):
        _write(tmp_path / "Split-train" / f"data_tfrecord-0000{shard}-of-00003.gz", count, compression)
    _write(tmp_path / "Split-eval" / "data_tfrecord-00000-of-00001.gz", 0, compression)
    found = record_counts.count(_examples(tmp_path, "train", "eval"))
    assert found == {"train": 8, "eval": 0}
    assert record_counts.as_text(found) == "train 8, eval 0 records"


def test_parquet_counts_by_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "Split-train").mkdir()
    table = pyarrow.table({"a": list(range(12_345))})
    parquet.write_table(table, tmp_path / "Split-train" / "data_parquet-00000-of-00001.parquet")
    found = record_counts.count(_examples(tmp_path, "train", payload_format="FORMAT_PARQUET"))
    assert record_counts.as_text(found) == "train 12,345 records"


def test_what_is_not_counted_in_time_is_unknown_and_not_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "Split-train" / "data_tfrecord-00000-of-00001.gz", 3)
    monkeypatch.setattr(record_counts, "_SECONDS", 0.0)
    found = record_counts.count(_examples(tmp_path, "train"))
    assert found == {"train": None}
    assert record_counts.as_text(found).startswith("records of train not counted")


def test_file_that_ends_in_the_middle_of_a_record_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "Split-train" / "data_tfrecord-00000-of-00001"
    _write(path, 3, "")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EOFError):
        record_counts.count(_examples(tmp_path, "train"))


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "told"), [(0, "train 0, eval 0 records"), (40, " records")])
def test_example_gen_tells_its_records_and_warns_of_empty_splits(
    make_request: Any, tmp_path: Path, rows: int, told: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "data.csv").write_text("a,b\n" + "".join(f"{n},{n}.5\n" for n in range(rows)))
    gen = tfx.components.CsvExampleGen(input_base=str(data))
    pipeline = tfx.dsl.Pipeline(
        "gen", pipeline_root="", components=[gen], beam_pipeline_args=["--direct_running_mode=in_memory"]
    )
    result = node.run(make_request(pipeline, "CsvExampleGen"))
    assert result.state == "executed"
    [examples] = result.outputs["examples"]
    assert examples["note"].endswith(told)
    assert sum(result.summary["records"].values()) == rows
    expected = [f"no records in split {split!r}" for split in ("train", "eval")]
    assert result.summary.get("warnings", []) == ([] if rows else expected)
