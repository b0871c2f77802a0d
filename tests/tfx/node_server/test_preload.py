"""A child of the real node server, with TFX imported, against a new process: they must not differ."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.tfx_airflow.contract import server_key
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from tests.server import Bench

pytestmark = pytest.mark.slow
# Of a terminal, of a build, or looked at again when they are used.
_OF_NO_CONSEQUENCE = set(
    "ANDROID_DATA BEARTYPE_IS_COLOR COLUMNS EDITOR IN_SPHINX_RUN LINES PATH PWD SOURCE_DATE_EPOCH SPHINX_BUILD TERM"
    " USER WORKER_ID _PYTHON_HOST_PLATFORM _PYTHON_PROJECT_BASE _PYTHON_SUBPROCESS_USE_POSIX_SPAWN"
    " _PYTHON_SYSCONFIGDATA_NAME _PYTHON_SYSCONFIGDATA_PATH PYTHONPATH".split()
)
_RECORD_IN_PYTHON = """
import importlib, json, os, sys
names, read = set(), type(os.environ).__getitem__
def record(environment, name):
    names.add(os.fsdecode(name))
    return read(environment, name)
type(os.environ).__getitem__ = record
importlib.import_module("include.tfx_airflow.tfx_side.node_server.preload")
with open(sys.argv[1], "a") as file:
    file.writelines(f"{name}\\n" for name in names)
"""
_RECORD_IN_C = """
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
extern char **environ;
static char *find(const char *name) {
  size_t length = strlen(name);
  for (char **entry = environ; entry && *entry; entry++)
    if (!strncmp(*entry, name, length) && (*entry)[length] == '=') return *entry + length + 1;
  return 0;
}
static char *record(const char *name) {
  const char *log = find("RECORD_READS_IN"), *owner = find("RECORD_READS_OF");
  int file = log && owner && getpid() == atoi(owner) ? open(log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
  if (file >= 0) {
    char line[512];
    int length = snprintf(line, sizeof line, "%s\\n", name);
    if (write(file, line, length) < 0) _exit(9);
    close(file);
  }
  return find(name);
}
char *getenv(const char *name) { return record(name); }
char *secure_getenv(const char *name) { return record(name); }
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A deployment with the TFX interpreter that runs this test."""
    tmp_path_factory.getbasetemp()  # while the folder of temporary files is still the system's
    folder = Path(tempfile.mkdtemp(prefix="w"))
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    made = Bench(folder, preload="include.tfx_airflow.tfx_side.node_server.preload")
    yield made
    made.stop()
    tempfile.tempdir = before
    shutil.rmtree(folder)


def test_user_code_finds_the_same_libraries(bench: Bench) -> None:
    module = bench.module(
        "libraries",
        """
        import json, os, sys
        import include.tfx_airflow.tfx_side.node.node
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


def test_every_variable_that_the_imports_read_is_known_to_be_read(bench: Bench, tmp_path: Path) -> None:
    """Else a task would be served by a server that has loaded its libraries with another value."""
    reads = tmp_path / "reads"
    recording = ""
    if compiler := shutil.which("cc"):  # without one, what C code reads is not seen here
        (tmp_path / "record.c").write_text("#include <stdio.h>\n#include <stdlib.h>\n" + _RECORD_IN_C)
        command = [compiler, "-shared", "-fPIC", "-o", "record.so", "record.c"]
        subprocess.run(command, cwd=tmp_path, check=True)
        recording = f"LD_PRELOAD={tmp_path}/record.so"
    script = f'{recording} RECORD_READS_OF=$$ RECORD_READS_IN={reads} exec "$@"'
    subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-c", _RECORD_IN_PYTHON, str(reads)],
        env={name: bench.environment[name] for name in ("HOME", "PATH", "PYTHONPATH")},
        cwd=BUNDLE_ROOT,
        check=True,
        capture_output=True,
    )
    names = set(reads.read_text().split()) - {"RECORD_READS_IN", "RECORD_READS_OF"}
    assert len(names) > 100 and {"HOME", "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "TMPDIR"} <= names
    assert {name for name in names - _OF_NO_CONSEQUENCE if not server_key.is_read_at_import(name)} == set()


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
