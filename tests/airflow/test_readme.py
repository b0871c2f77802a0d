"""The first example of README and user guide runs as it is printed: its files are taken from the pages."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

from tests.bundle import ROOT, Bundle

_README, _GUIDE = "README.md", "docs/user-guide.md"


def _files(page: str) -> dict[str, str]:
    """A page's Python blocks that begin with the name of their file."""
    blocks = re.findall(
        r"^```python\n# ([\w/]+\.py)\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )
    return {name: text for name, text in blocks if "mine" in name}


def test_the_readme_prints_the_dag_and_the_pipeline_of_the_user_guide() -> None:
    short, whole = _files(_README), _files(_GUIDE)
    assert sorted(short) == ["dags/mine.py", "include/mine/pipeline.py"]
    assert short.items() <= whole.items()


def test_the_first_example_runs_as_printed(bundle: Bundle, tmp_path: Path) -> None:
    there, data = tmp_path / "bundle", tmp_path / "data"
    shutil.copytree(ROOT / "include", there / "include", ignore=shutil.ignore_patterns("__pycache__"))
    data.mkdir()
    rows = [(random.random(), random.random()) for _ in range(300)]
    (data / "data.csv").write_text("a,b,y\n" + "".join(f"{a},{b},{2 * a - b + 0.5}\n" for a, b in rows))
    files = _files(_GUIDE)
    assert sorted(files) == ["dags/mine.py", "include/mine/model.py", "include/mine/pipeline.py"]
    for name, text in files.items():
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text(text.replace("/data/mine", str(data)))  # all that a reader has to change

    environment = {
        **bundle.environment,
        "AIRFLOW__CORE__DAGS_FOLDER": str(there / "dags"),
        "AIRFLOW__TFX_AIRFLOW__HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(there),
    }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=environment,
            cwd=there,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )

    try:
        doctor = run("python", "-m", "include.tfx_airflow", "doctor")
        assert "pool '" not in doctor.stdout and "BAD" not in doctor.stdout, doctor.stdout
        done = run("airflow", "dags", "test", "mine", "2014-02-01")
        assert done.returncode == 0, done.stdout
    finally:
        run("python", "-m", "include.tfx_airflow", "serve", "--stop")
    assert list((tmp_path / "home" / "pipelines" / "mine" / "Trainer").rglob("saved_model.pb"))
    [manifest] = (tmp_path / "home" / "compiled").glob("*/*/manifest.json")
    assert [node["id"] for node in json.loads(manifest.read_text())["nodes"]] == ["CsvExampleGen", "Trainer"]
