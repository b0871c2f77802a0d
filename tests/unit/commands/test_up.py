"""What `up` and `replay` say when Airflow stops by itself."""

from __future__ import annotations

import subprocess

import pytest

from include.tfx_airflow.commands import up


def test_an_airflow_that_has_stopped_is_told_with_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    process = subprocess.Popen(["sh", "-c", "read line; exit 3"], stdin=subprocess.PIPE)
    assert not up.has_ended(process) and capsys.readouterr().err == ""
    process.communicate()
    assert up.has_ended(process)
    assert "Airflow ended with exit code 3; see " in capsys.readouterr().err
