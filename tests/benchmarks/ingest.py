"""CSV to Examples, by CsvExampleGen and ArrowExampleGen: `python -m tests.benchmarks.ingest [--rows N ...]`.

Each reads the same file, the rows of the taxi sample again and again, in a process of its own, in the TFX interpreter: a
pipeline of that one component by LocalDagRunner, with the taxi pipeline's Beam arguments (one in-memory worker). Timed
without imports. Prints RESULT and JSON; `measure` is what `make bench` calls.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bundle import ROOT

ROWS = (300_000, 3_000_000)
SIDES = {"tfx": "CsvExampleGen", "bundle": "ArrowExampleGen"}


def measure(python: str, folder: Path, rows: tuple[int, ...] = ROWS) -> dict[str, dict[str, dict[str, Any]]]:
    """Seconds, peak megabytes and records of each side, by number of rows.

    Args:
      python: The TFX interpreter.
      folder: For the data; made if need be.
      rows: Numbers of rows.

    Raises:
      AssertionError: A side failed, or the two differ in the number of records of a split.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for number in rows:
        data = folder / str(number)
        _run(python, "write", data, str(number))
        found[str(number)] = {side: _run(python, side, data) for side in SIDES}
        ours, theirs = (found[str(number)][side]["records"] for side in ("bundle", "tfx"))
        assert ours == theirs, found
        assert sum(ours.values()) == number, found
    return found


def _run(python: str, *arguments: str | Path) -> Any:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
    command = [python, "-m", "tests.benchmarks.ingest", "--child", *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.rpartition("RESULT")[2])


def _write(data: Path, rows: int) -> int:
    from include.taxi.sample import sample_data_root

    [sample] = Path(sample_data_root()).glob("*.csv")
    header, *lines = sample.read_text().splitlines(keepends=True)
    data.mkdir(parents=True, exist_ok=True)
    with (data / "data.csv").open("w") as file:
        file.write(header)
        file.writelines(itertools.islice(itertools.cycle(lines), rows))
    return rows


def _ingest(side: str, data: Path) -> dict[str, Any]:
    import tensorflow as tf
    from tfx import v1 as tfx

    from include.components.arrow_example_gen import ArrowExampleGen
    from include.taxi.pipeline import DEFAULT_BEAM_ARGS

    kind = {"tfx": tfx.components.CsvExampleGen, "bundle": ArrowExampleGen}[side]
    with tempfile.TemporaryDirectory() as folder:
        config = tfx.orchestration.metadata.sqlite_metadata_connection_config(f"{folder}/metadata.db")
        pipeline = tfx.dsl.Pipeline(
            "ingest",
            pipeline_root=f"{folder}/pipelines",
            components=[kind(input_base=str(data))],
            metadata_connection_config=config,
            beam_pipeline_args=list(DEFAULT_BEAM_ARGS),
        )
        start = time.perf_counter()
        tfx.orchestration.LocalDagRunner().run(pipeline)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        records = {}
        for split in Path(folder, "pipelines").glob("*/examples/*/Split-*"):
            files = tf.data.TFRecordDataset([str(path) for path in split.iterdir()], "GZIP")
            records[split.name] = int(files.reduce(0, lambda number, _: number + 1))
    return {"seconds": seconds, "megabytes": peak, "records": records}


def _child(side: str, data: str, *rows: str) -> Any:
    return _write(Path(data), int(*rows)) if side == "write" else _ingest(side, Path(data))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        result = _child(*sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
        with tempfile.TemporaryDirectory() as name:
            result = measure(sys.executable, Path(name), tuple(parser.parse_args().rows))
    print("RESULT" + json.dumps(result))
