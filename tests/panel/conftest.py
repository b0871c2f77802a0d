"""An Airflow home of its own for the panel's tests that import Airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Before anything imports Airflow: no configuration of this machine may decide a test.
for _name in [name for name in os.environ if name.startswith(("AIRFLOW", "MLMD_"))]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-panel-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
