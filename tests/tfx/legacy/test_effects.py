"""What executing a legacy DAG file does besides making pipelines, seen in a process of its own: hooks stay for good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow.tfx_side.legacy import moments
from include.tfx_airflow.tfx_side.pipeline import effects
from tests.bundle import ROOT

_PROGRAM = """
import json, sys
from include.tfx_airflow.tfx_side.pipeline import watch
watched = watch.Watch()
watched.start()
import flow
watched.stop()
found = watched.side_effects()
print("RESULT" + json.dumps({expression}))
"""


def _effects(folder: Path, code: str, expression: str, **environment: str) -> Any:
    """Executes the code as a module of a folder; returns the value of an expression over its effects, `found`."""
    (folder / "flow.py").write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(expression=expression)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("RESULT")[2])


def test_variables_that_are_set_are_told_by_name_with_the_file_that_has_the_text(tmp_path: Path) -> None:
    (tmp_path / "team_settings.py").write_text("import os\nos.environ['OF_MODULE'] = 'a'\n")
    code = """
        import os
        import team_settings
        os.environ["LITERAL"] = "a-secret"
        os.environ.setdefault("DEFAULT", "1")
        os.environ.setdefault("GIVEN", "1")
        os.environ["COMPUTED"] = os.environ["HOME"] + "/x"
        os.environ["TWICE"] = "1"
        os.environ["TWICE"] = str(2)
        os.environ.pop("REMOVED")
        os.environ.pop("ABSENT", None)
        """
    found = _effects(tmp_path, code, "found.variables()", GIVEN="2", REMOVED="1")
    flow, module = str(tmp_path / "flow.py"), str(tmp_path / "team_settings.py")
    assert found == {
        "LITERAL": flow,
        "DEFAULT": flow,
        "OF_MODULE": module,
        "COMPUTED": "",
        "TWICE": "",
        "REMOVED": "",
    }
    assert "a-secret" not in json.dumps(found)


def test_variables_that_libraries_set_for_themselves_are_none_of_the_files(tmp_path: Path) -> None:
    code = "import apache_beam, tensorflow\n"
    assert _effects(tmp_path, code, "found.variables()", TF_CPP_MIN_LOG_LEVEL="3") == {}


def test_machines_that_it_connects_to_are_told_by_name(tmp_path: Path) -> None:
    code = """
        import socket, urllib.request
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(("localhost", server.getsockname()[1])).close()
        """
    assert _effects(tmp_path, code, "sorted(found.hosts)") == ["localhost"]
    by_address = """
        import socket
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            client.connect(server.getsockname())
        """
    assert _effects(tmp_path, by_address, "sorted(found.hosts)") == ["127.0.0.1"]
    assert _effects(tmp_path, "import socket, requests\n", "sorted(found.hosts)") == []


def test_what_it_makes_is_told_by_its_path(tmp_path: Path) -> None:
    code = """
        import os, pathlib
        os.makedirs("data/deep")
        pathlib.Path("data/deep/x.csv").write_text("a")
        """
    made = {str(tmp_path / name) for name in ("data", "data/deep", "data/deep/x.csv")}
    assert made <= set(_effects(tmp_path, code, "sorted(found.made)"))


_ROOTS = {"BUNDLE_ROOT": "/srv/bundle"}


@pytest.mark.parametrize(
    ("made", "text", "found"),
    [
        ("/tmp/x1/data.csv", '{"a": "/tmp/x1"}', {"/tmp/x1": {"/tmp/x1/data.csv"}}),
        ("/tmp/x1/data.csv", '{"a": "/tmp/x1/"}', {"/tmp/x1": {"/tmp/x1/data.csv"}}),
        ("/tmp/x1", '{"a": "{\\"b\\": \\"/tmp/x1\\"}"}', {"/tmp/x1": {"/tmp/x1"}}),
        (
            "/srv/bundle/a/b.csv",
            '{"a": "${BUNDLE_ROOT}/a"}',
            {"${BUNDLE_ROOT}/a": {"${BUNDLE_ROOT}/a/b.csv"}},
        ),
        ("/tmp/x1/data.csv", '{"a": "/tmp/x1/other"}', {}),
        ("/tmp/x1/data.csv", '{"a": "/tmp/x12"}', {}),
        ("/tmp/x1/data.csv", '{"a": "/tmp"}', {}),
    ],
)
def test_what_it_makes_for_the_pipeline_is_found_in_the_ir(
    made: str, text: str, found: dict[str, set[str]]
) -> None:
    assert effects.Effects(made={made, "/var/log/x"}).made_for([text], _ROOTS) == found


def test_when_it_is_gone_the_file_is_executed_again() -> None:
    assert effects.inputs({"/tmp/x1": {"/tmp/x1/data.csv"}}) == {"exists:/tmp/x1", "exists:/tmp/x1/data.csv"}
    many = {f"/tmp/x1/{number}" for number in range(99)}
    assert effects.inputs({"/tmp/x1": many}) == {"exists:/tmp/x1"}


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        ("import os\nos.getcwd()\n", True),
        ("import os\nos.path.abspath('data')\n", True),
        ("from pathlib import Path\nPath.cwd()\n", True),
        ("import os\nos.path.exists('data')\n", True),
        ("open('after.txt', 'w').close()\n", True),
        ("import os\nos.path.abspath(__file__)\n", False),
        ("from pathlib import Path\nPath(__file__).resolve().parent.exists()\n", False),
        ("import logging, subprocess, requests\n", False),
    ],
)
def test_a_file_that_asks_for_the_working_directory_is_told(tmp_path: Path, code: str, asks: bool) -> None:
    found = _effects(tmp_path, code, "sorted(found.asked_for_folder)")
    assert found == ([str(tmp_path / "flow.py")] if asks else [])


def test_the_working_directory_is_noted_unless_it_was_given() -> None:
    done = effects.Effects(asked_for_folder={"/srv/dags/flow.py"})
    [note] = done.notes([], "")
    assert note.startswith("flow.py asks for the working directory") and "working_folder=" in note
    assert not list(done.notes([], "/srv"))


def test_what_happens_once_is_noted() -> None:
    done = effects.Effects(hosts={"example.org"})
    network, temporary = done.notes(["/tmp/x1", "/srv/data"], "")
    assert "connects to example.org" in network
    assert "makes /tmp/x1, which the pipeline uses" in temporary
    assert not list(effects.Effects().notes(["/srv/data"], ""))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("name = f'{datetime.now():%Y}'\n", "1"),
        ("def make():\n    return time.time()\nday = date.today()\n", "2, 3"),
        ("day = days_ago(2)\n", "1"),
        ("config = {'start_date': datetime.datetime.now(), 'catchup': False}\n", ""),
        ("config = dict(start_date=days_ago(1))\n", ""),
        ("_START_DATE = datetime.today()\n", ""),
        ("@component\ndef Tell():\n    datetime.now()\n", ""),
        ("class Executor(Base):\n    def Do(self):\n        time.time()\n", ""),
        ("def run_fn(args):\n    time.time()\n", ""),
    ],
)
def test_where_a_file_asks_for_the_time_is_noted(text: str, lines: str) -> None:
    notes = moments.notes(text.encode())
    assert [note.partition(" (")[0].partition(" in line ")[2] for note in notes] == ([lines] if lines else [])
