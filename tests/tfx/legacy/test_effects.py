"""What executing a legacy DAG file does besides making pipelines, seen in a process of its own: hooks stay for good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.bundle import ROOT

_PROGRAM = """
import json, sys
from include.tfx_airflow.tfx_side.pipeline import watch
watched = watch.Watch()
watched.start()
import flow
watched.stop()
found = watched.effects()
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
