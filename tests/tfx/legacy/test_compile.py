"""A legacy DAG file, compiled by the process that does so: what its manifest tells of what executing it does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow.contract import fingerprint
from include.tfx_airflow.contract.manifest import FAILED_FILE, PIPELINE_ERROR
from tests.bundle import ROOT

_FLOW = """
import os, sys, tempfile
from tfx.components import CsvExampleGen
from tfx.components.trainer.executor import Executor, GenericExecutor  # the first, unused, is no more
from tfx.orchestration import pipeline
from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["SECRET"] = "hunter" + "22"
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "more"))
import more_steps

data = tempfile.mkdtemp(prefix="flow-")
with open(os.path.join(data, "data.csv"), "w") as file:
    file.write("a,b")
for name in ("north", "south"):
    globals()[name] = AirflowDagRunner({}).run(pipeline.Pipeline(
        pipeline_name=name, pipeline_root="/srv/x", components=[CsvExampleGen(input_base=data)]))
"""


def _compile(path: Path, home: Path, **file: Any) -> tuple[int, Path]:
    folder = home / "compiled" / "flow"
    folder.mkdir(parents=True)
    legacy = {
        "path": str(path),
        "folders": [str(path.parent)],
        "variables": {},
        "first": [],
        "working_folder": "",
        **file,
    }
    request = {
        "reference": str(path),
        "arguments": {},
        "legacy": legacy,
        "sensitive": {},
        "roots": {"BUNDLE_ROOT": str(ROOT), "TFX_AIRFLOW_HOME": str(home), "TFX_PREFIX": sys.prefix},
        "environment": {},
        "given": dict(os.environ),
        "compiled_from": [],
        "folder": str(folder),
        "kept": [],
    }
    done = subprocess.run(
        [sys.executable, "-m", "include.tfx_airflow.tfx_side.pipeline.compile"],
        input=json.dumps(request),
        env={**os.environ, "PYTHONPATH": str(ROOT), "AIRFLOW_HOME": "/srv/airflow"},
        cwd=ROOT,
        text=True,
    )
    return done.returncode, folder


def test_the_manifest_tells_what_executing_the_file_does(tmp_path: Path) -> None:
    (tmp_path / "dags" / "more").mkdir(parents=True)
    (tmp_path / "dags" / "more" / "more_steps.py").write_text("")
    path = tmp_path / "dags" / "flow.py"
    path.write_text(_FLOW)
    code, folder = _compile(path, tmp_path / "home")
    assert code == 0
    [entry] = [one for one in folder.iterdir() if one.is_dir()]
    first, second = (json.loads((entry / name / "manifest.json").read_text()) for name in ("", "1"))
    for manifest in (first, second):
        assert manifest["legacy"]["variables"] == {"CUDA_VISIBLE_DEVICES": str(path), "SECRET": ""}
        assert manifest["legacy"]["first"] == [str(path.parent / "more")]
    assert not any(b"hunter" in file.read_bytes() for file in folder.rglob("*") if file.is_file())
    # Said once, and executed again when it is gone.
    [note] = first["legacy"]["notes"]
    assert "executing the file makes /" in note and not second["legacy"]["notes"]
    made = [name for name in first["files"] if name.startswith("exists:") and "/flow-" in name]
    assert [name.rpartition("/")[2] == "data.csv" for name in made] == [False, True]
    roots = {"BUNDLE_ROOT": str(ROOT), "TFX_AIRFLOW_HOME": str(tmp_path / "home"), "TFX_PREFIX": sys.prefix}
    before = fingerprint.content_key(first["files"], roots, {})
    shutil.rmtree(made[0].removeprefix("exists:"))
    assert fingerprint.content_key(first["files"], roots, {}) != before


def test_an_error_of_the_file_is_told_with_its_line_and_the_lines_of_the_users(tmp_path: Path) -> None:
    path = tmp_path / "flow.py"
    path.write_text("def rate(count):\n    return 1 / count\n\nrate(0)\n")
    code, folder = _compile(path, tmp_path / "home")
    assert code == PIPELINE_ERROR
    failure = json.loads((folder / FAILED_FILE).read_text())
    assert failure["message"] == "line 2: ZeroDivisionError: division by zero"
    assert failure["traceback"].count("File ") == 2 and "    return 1 / count\n" in failure["traceback"]


@pytest.mark.long
def test_the_nodes_of_a_cycle_are_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "flow.py"
    path.write_text(
        "from tests.pipelines import small\n"
        "from tfx.orchestration.pipeline import Pipeline\n"
        "first, second = small.Write(message='a').with_id('A'), small.Write(message='b').with_id('B')\n"
        "first.add_upstream_node(second)\n"
        "second.add_upstream_node(first)\n"
        "Pipeline('round', pipeline_root='/srv/x', components=[first, second])\n"
    )
    code, folder = _compile(path, tmp_path / "home")
    assert code == PIPELINE_ERROR
    message = json.loads((folder / FAILED_FILE).read_text())["message"]
    assert message.startswith("line 6: it has a cycle: ") and "A -> B" in message
