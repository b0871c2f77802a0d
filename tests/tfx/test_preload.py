"""A child of the real node server, with TFX imported, against a new process: they must not differ."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import Bench

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """A deployment with the TFX interpreter that runs this test."""
    folder = Path(tempfile.mkdtemp(prefix="w"))
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    made = Bench(folder, preload="include.tfx_airflow.tfx_side.preload")
    yield made
    made.stop()
    tempfile.tempdir = before
    shutil.rmtree(folder)


def test_user_code_finds_the_same_libraries(bench: Bench) -> None:
    module = bench.module(
        "libraries",
        """
        import json, os, sys
        import include.tfx_airflow.tfx_side.node
        import tensorflow as tf
        import keras
        found = {
            "keras": keras.__version__,
            "tf.keras": getattr(tf.keras, "__version__", tf.keras.__name__),
            "Model": str(tf.keras.Model),
            "legacy": os.environ.get("TF_USE_LEGACY_KERAS"),
            "eager": tf.executing_eagerly(),
            "sum": float(tf.reduce_sum(tf.range(10.0))),
            "user": sorted(name for name in sys.modules if name.startswith("include.taxi")),
        }
        os.write(int(sys.argv[1]), json.dumps(found).encode())
        """,
    )
    cold = dataclasses.replace(bench.settings, node_server=False)
    new, forked = bench.run(module, settings=cold, seconds=120), bench.run(module, seconds=120)
    assert new[0] == forked[0] == 0
    assert json.loads(forked[1]) == json.loads(new[1])
    assert json.loads(forked[1])["user"] == []
    assert bench.status()["served"] == 1


def test_random_numbers_of_numpy_and_tensorflow_differ_between_children(bench: Bench) -> None:
    module = bench.module(
        "chance",
        """
        import os, random
        import numpy as np
        import tensorflow as tf
        numbers = [random.random(), np.random.rand(), float(tf.random.uniform([]))]
        os.write(3, repr(numbers).encode())
        """,
    )
    children = [bench.run(module, seconds=120) for _ in range(3)]
    assert [code for code, _ in children] == [0, 0, 0]
    for numbers in zip(*(eval(text) for _, text in children), strict=True):
        assert len(set(numbers)) == 3


def test_beam_and_tensorflow_work_after_the_fork(bench: Bench) -> None:
    module = bench.module(
        "work",
        """
        import os
        import apache_beam as beam
        import tensorflow as tf
        with beam.Pipeline(options=beam.options.pipeline_options.PipelineOptions(["--direct_running_mode=in_memory"])) as p:
            p | beam.Create(range(100)) | beam.CombineGlobally(sum) | beam.Map(lambda n: os.write(3, f"{n} ".encode()) and None)
        model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
        model.compile(loss="mse")
        model.fit(tf.ones([8, 2]), tf.ones([8, 1]), verbose=0)
        os.write(3, b"fitted")
        """,
    )
    child = bench.start(module)
    assert child.process.wait(180) == 0, child.printed()[-2000:]
    assert child.said() == "4950 fitted"


def test_server_is_one_process_without_threads_of_python(bench: Bench) -> None:
    bench.run(bench.module("nothing", "pass"), seconds=120)
    status = bench.status()
    names = {
        Path(f"/proc/{status['pid']}/task/{task}/comm").read_text().strip()
        for task in os.listdir(f"/proc/{status['pid']}/task")
    }
    # jemalloc's own thread, and OpenBLAS's, which carry the program's name: both see to forks.
    assert names <= {"python", "jemalloc_bg_thd"}
    assert 0 < status["megabytes"] < 2000
