"""Runs modules of this folder that need TFX and its libraries: they say what the official readers read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.bundle import ROOT, TFX_PYTHON


def run(module: str, *arguments: str | Path, text: str = "") -> str:
    """What `python -m tests.panel.<module>` printed, in the TFX interpreter.

    Args:
      module: Its name in this folder.
      *arguments: Of its command line.
      text: Its standard input.
    """
    done = subprocess.run(
        [TFX_PYTHON, "-m", f"tests.panel.{module}", *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
