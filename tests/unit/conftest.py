"""An Airflow of its own for the unit tests, and compiled pipelines written by hand."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

# Before anything imports Airflow: no configuration of this machine may decide a test.
for _name in [name for name in os.environ if name.startswith(("AIRFLOW__TFX_AIRFLOW__", "AIRFLOW_CONN_"))]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-unit-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

from include.tfx_airflow.contract import fingerprint  # noqa: E402
from include.tfx_airflow.contract.manifest import FORMAT, IR_FILE, MANIFEST_FILE, Manifest  # noqa: E402
from include.tfx_airflow.settings import Settings  # noqa: E402

WriteEntry = Callable[..., Path]


@pytest.fixture
def write_entry() -> WriteEntry:
    """Writes a compiled pipeline as the TFX interpreter would; returns the entry's folder."""

    def write(settings: Settings, manifest: Manifest, **arguments: object) -> Path:
        key = fingerprint.arguments_key(manifest.reference, arguments, FORMAT)
        content = fingerprint.content_key(manifest.files, settings.roots(), manifest.environment)
        assert content
        entry = settings.compiled / f"{manifest.reference.replace(':', '.')}-{key}" / content
        entry.mkdir(parents=True)
        (entry / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
        (entry / IR_FILE).write_text("{}\n", encoding="utf-8")
        return entry

    return write
