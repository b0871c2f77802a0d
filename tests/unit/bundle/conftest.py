"""A machine that has next to nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder to be all of PATH, with those of the test module's COMMANDS that this machine has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in request.module.COMMANDS:
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return folder
