"""ArrowExampleGen as a node: beside TFX's own executors, on real Beam runners."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tfx import v1 as tfx
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.example_gen.csv_example_gen.executor import Executor as CsvExecutor
from tfx.components.example_gen.custom_executors.parquet_executor import Executor as ParquetExecutor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.proto import example_gen_pb2, range_config_pb2

from include.components.arrow.errors import InputFileError
from include.components.arrow_example_gen import ArrowExampleGen, Executor
from include.tfx_airflow.tfx_side.node import record_counts
from tests.components import example_gens

pytestmark = pytest.mark.slow

_WORKERS = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two files of which only the second has a decimal number, so that types come from all of them."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "1.csv").write_text("n,x,none,text\n" + "".join(f"{n},{n},,é{n % 7}\n" for n in range(300)))
    (folder / "2.csv").write_text('n,x,none,text\n1,0.5,,"a,\nb"\n\n,,,\n')
    return folder


def _properties(examples: Any) -> dict[str, Any]:
    artifact = examples.mlmd_artifact
    return {
        name: value.string_value or value.int_value
        for group in (artifact.properties, artifact.custom_properties)
        for name, value in group.items()
    }


def test_csv_gives_the_artifact_of_tfx(data: Path, tmp_path: Path) -> None:
    theirs = example_gens.run(CsvExecutor, data, tmp_path / "tfx")
    ours = example_gens.run(Executor, data, tmp_path / "ours")
    assert example_gens.rows(tmp_path / "ours") == example_gens.rows(tmp_path / "tfx")
    assert _properties(ours) == _properties(theirs)
    names = [sorted(path.name for path in tmp_path.glob(f"{run}/*/*")) for run in ("ours", "tfx")]
    assert names[0] == names[1] == 2 * ["data_tfrecord-00000-of-00001.gz"]
    counts = record_counts.count(ours.mlmd_artifact)
    assert counts == record_counts.count(theirs.mlmd_artifact)
    assert sum(filter(None, counts.values())) == 302


def test_parquet_gives_the_artifact_of_tfx(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for part, numbers in enumerate((range(500), range(500, 700))):
        table = pa.table(
            {"n": list(numbers), "text": [f"é{n % 3}" for n in numbers], "x": [[n / 3] for n in numbers]}
        )
        parquet.write_table(table, tmp_path / "data" / f"part-{part}", row_group_size=100)
    theirs = example_gens.run(ParquetExecutor, tmp_path / "data", tmp_path / "tfx")
    ours = example_gens.run(Executor, tmp_path / "data", tmp_path / "ours")
    assert example_gens.rows(tmp_path / "ours") == example_gens.rows(tmp_path / "tfx")
    assert _properties(ours) == _properties(theirs)


@pytest.mark.parametrize("output", [example_gen_pb2.Output(), None], ids=["as input", "hashed"])
def test_every_input_split_has_types_of_its_own(
    data: Path, tmp_path: Path, output: example_gen_pb2.Output | None
) -> None:
    patterns = ("1.csv", "2.csv") if output else ("1.csv",)
    output = output or example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(
            splits=example_gens.THIRDS.split_config.splits, partition_feature_name="text"
        )
    )
    for executor, name in ((CsvExecutor, "tfx"), (Executor, "ours")):
        example_gens.run(executor, data, tmp_path / name, patterns, output)
    assert example_gens.rows(tmp_path / "ours") == example_gens.rows(tmp_path / "tfx")


@pytest.mark.slow
@pytest.mark.long
def test_workers_in_processes_of_their_own_give_the_same_rows(data: Path, tmp_path: Path) -> None:
    example_gens.run(Executor, data, tmp_path / "one")
    example_gens.run(Executor, data, tmp_path / "two", beam=_WORKERS)
    rows = example_gens.rows(tmp_path / "one")
    assert example_gens.rows(tmp_path / "two") == rows
    assert sum(map(len, rows.values())) == 302


def test_compressed_files_are_read(data: Path, tmp_path: Path) -> None:
    example_gens.run(Executor, data, tmp_path / "plain")
    for path in list(data.iterdir()):
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    example_gens.run(Executor, data, tmp_path / "compressed")
    rows = example_gens.rows(tmp_path / "plain")
    assert example_gens.rows(tmp_path / "compressed") == rows
    assert sum(map(len, rows.values())) == 302


def test_header_alone_gives_splits_without_rows_as_in_tfx(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data.csv").write_text("a,b\n")
    theirs = example_gens.run(CsvExecutor, tmp_path / "data", tmp_path / "tfx")
    ours = example_gens.run(Executor, tmp_path / "data", tmp_path / "ours")
    assert record_counts.count(ours.mlmd_artifact) == record_counts.count(theirs.mlmd_artifact)
    assert example_gens.rows(tmp_path / "ours") == {"Split-train": [], "Split-eval": []}
    for path in tmp_path.glob("ours/*/*"):
        assert gzip.decompress(path.read_bytes()) == b""


def test_row_that_cannot_be_read_fails_the_node_with_file_and_line(data: Path, tmp_path: Path) -> None:
    with (data / "1.csv").open("a") as file:
        file.write("1,2,3\n")
    with pytest.raises(InputFileError, match="1.csv, line 302 has 3 cells, the header 4: '1,2,3"):
        example_gens.run(Executor, data, tmp_path / "ours")


def test_files_that_do_not_fit_together_are_refused(data: Path, tmp_path: Path) -> None:
    (data / "3.csv").write_text("n,y\n")
    with pytest.raises(InputFileError, match="different headers: .*1.csv.*3.csv has \\['n', 'y'\\]"):
        example_gens.run(Executor, data, tmp_path / "ours")
    parquet.write_table(pa.table({"n": [1]}), data / "3.csv")
    with pytest.raises(InputFileError, match="3.csv is Parquet, .*1.csv is not"):
        example_gens.run(Executor, data, tmp_path / "ours")
    with pytest.raises(InputFileError, match="No file matches .*/data/none-"):
        example_gens.run(Executor, data, tmp_path / "ours", ("none-*",))


def test_other_formats_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="writes FORMAT_TF_EXAMPLE; output_data_format is FORMAT_PARQUET"):
        example_gens.run(Executor, data, tmp_path, output_data_format=example_gen_pb2.FORMAT_PARQUET)
    with pytest.raises(TypeError, match="output_data_format"):
        ArrowExampleGen(input_base=str(data), output_data_format=example_gen_pb2.FORMAT_PARQUET)


def test_spans_and_versions_are_those_of_tfx(tmp_path: Path) -> None:
    for span, version in ((1, 1), (2, 1), (2, 3), (3, 1)):
        folder = tmp_path / "data" / f"day-{span:02}" / f"v{version}"
        folder.mkdir(parents=True)
        (folder / "data.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(10 * span + version)))
    arguments = {
        "input_base": str(tmp_path / "data"),
        "input_config": example_gen_pb2.Input(
            splits=[example_gen_pb2.Input.Split(name="all", pattern="day-{SPAN:2}/v{VERSION}/*.csv")]
        ),
        "range_config": range_config_pb2.RangeConfig(
            static_range=range_config_pb2.StaticRange(start_span_number=2, end_span_number=2)
        ),
    }
    gens = {
        "theirs": tfx.components.CsvExampleGen(**arguments).with_id("theirs"),
        "ours": ArrowExampleGen(**arguments).with_id("ours"),
        "spec": FileBasedExampleGen(**arguments, custom_executor_spec=BeamExecutorSpec(Executor)).with_id(
            "spec"
        ),
    }
    root = tmp_path / "pipelines"
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            "spans",
            pipeline_root=str(root),
            components=list(gens.values()),
            metadata_connection_config=sqlite_metadata_connection_config(str(tmp_path / "mlmd.db")),
            beam_pipeline_args=list(example_gens.IN_MEMORY),
        )
    )
    rows, found = {}, {}
    for name in gens:
        [folder] = root.glob(f"{name}/examples/*")
        rows[name] = example_gens.rows(folder)
        found[name] = _stored(tmp_path / "mlmd.db", str(folder))
    assert rows["ours"] == rows["spec"] == rows["theirs"]
    assert sum(map(len, rows["ours"].values())) == 23
    assert found["ours"] == found["spec"] == found["theirs"]
    assert (found["ours"]["span"], found["ours"]["version"]) == (2, 3)


def _stored(store: Path, uri: str) -> dict[str, Any]:
    from ml_metadata import MetadataStore

    connection = sqlite_metadata_connection_config(str(store))
    [artifact] = MetadataStore(connection).get_artifacts_by_uri(uri)
    groups = (artifact.properties, artifact.custom_properties)
    values = {
        name: value.int_value or value.string_value for group in groups for name, value in group.items()
    }
    return {name: value for name, value in values.items() if name not in ("name", "producer_component")}


_GROWTH = """
import pathlib, resource, sys
from include.components.arrow_example_gen import Executor
from tests.components import example_gens
folder = pathlib.Path(sys.argv[1])
for megabytes in (8, 40):
    data = folder / str(megabytes)
    data.mkdir()
    with (data / "data.csv").open("w") as file:
        file.write("n,text\\n")
        for number in range(megabytes << 10):
            file.write(f"{number},{number:010}{1000 * 'x'}\\n")
    example_gens.run(Executor, data, folder / f"out{megabytes}")
    print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _GROWTH, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    small, large = (int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("PEAK"))
    assert large - small < 32, (small, large)
