"""One small history for tests that do not change it, copied for those that do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tfx.retention.lineage import Lineage


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Lineage:
    """A random history, written once."""
    home = tmp_path_factory.mktemp("history") / "home"
    (home / "mlmd").mkdir(parents=True)
    with Lineage({"kind": "sqlite", "path": f"{home}/mlmd/metadata.db"}, str(home), 3) as lineage:
        lineage.write(runs=14)
    return lineage


@pytest.fixture
def again(written: Lineage) -> Callable[[], Lineage]:
    """Puts the history back as it was written, at the same paths, and gives it."""
    home = Path(written.home)
    backup = home.with_name("backup")
    if not backup.exists():
        shutil.copytree(home, backup, symlinks=True)

    def put_back() -> Lineage:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(backup, home, symlinks=True)
        return written

    return put_back


@pytest.fixture
def empty(roots: dict[str, str], address: dict[str, Any]) -> Lineage:
    """A history to be written."""
    Path(address["path"]).parent.mkdir(parents=True)
    return Lineage(address, roots["TFX_AIRFLOW_HOME"])
