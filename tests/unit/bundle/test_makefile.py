"""The commands of the Makefile."""

from __future__ import annotations

import os
import subprocess

from tests.bundle import ROOT


def test_commands_take_the_state_folder_that_the_scripts_take() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("STATE", "TFX_STATE")}
    for given, state in (({}, f"{ROOT}/.state"), ({"TFX_STATE": "/srv/state"}, "/srv/state")):
        shown = subprocess.run(
            ["make", "--dry-run", "notebook"],
            cwd=ROOT,
            env=environment | given,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"exec {state}/tfx/bin/jupyter" in shown.stdout
