"""The environment of an Airflow of its own, in the interpreter of the panel's tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.bundle import ROOT


def airflow_environment(folder: Path, **values: str) -> dict[str, str]:
    """Environment with Airflow's home in a folder and the bundle's plugins.

    Args:
      folder: Gets `home` and `dags`.
      **values: More variables.
    """
    (folder / "dags").mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW", "MLMD"))}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', os.defpath)}",
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        **values,
    }
