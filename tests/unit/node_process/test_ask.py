"""Asking a program of the TFX side, with a real process in its place."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path

from include.tfx_airflow.node_process import process
from include.tfx_airflow.settings import Settings

_ANSWERS = """\
    #!{python}
    import json, sys, time
    print("==> first", file=sys.stderr, flush=True)
    print("a library's warning", file=sys.stderr, flush=True)
    time.sleep(0.5)
    print("==> second", file=sys.stderr, flush=True)
    print(json.dumps({{"asked": json.load(sys.stdin), "long": "x" * 200_000}}))
    sys.exit(3)
"""


def _settings(tmp_path: Path, body: str) -> Settings:
    python = tmp_path / "python"
    python.write_text(textwrap.dedent(body).format(python=sys.executable))
    python.chmod(0o755)
    return Settings(python=str(python), home=str(tmp_path))


def test_how_far_it_has_come_is_told_when_it_has_come_there(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    done = process.ask_and_tell(
        _settings(tmp_path, _ANSWERS),
        "retention.run",
        question={"secret": "ü"},
        tell=lambda line: told.append((line, time.monotonic())),
    )
    assert [line for line, _ in told] == ["==> first", "==> second"]
    assert told[1][1] - told[0][1] > 0.3
    assert done.returncode == 3 and '"asked": {"secret": "\\u00fc"}' in done.stdout
    assert len(done.stdout) > 200_000 and done.stderr == "a library's warning\n"


def test_a_program_that_reads_no_question_has_its_last_lines(tmp_path: Path) -> None:
    settings = _settings(tmp_path, "#!{python}\nraise SystemExit('no TFX here')\n")
    done = process.ask_and_tell(settings, "retention.run", question="x" * 300_000, tell=print)
    assert done.returncode == 1 and process.last_lines(done) == "no TFX here"
