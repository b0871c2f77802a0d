"""Settings: where they come from, and what is said about bad ones."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import SettingsError
from include.tfx_airflow.settings import Settings, parse_seconds, read_settings


def test_without_configuration_home_lies_in_airflow_home_and_there_is_no_interpreter() -> None:
    settings = read_settings()
    assert settings.home == os.path.join(os.environ["AIRFLOW_HOME"], "tfx")
    assert settings.python == ""
    assert settings.mlmd_conn_id == ""
    assert settings.kill_grace == 10.0


def test_environment_variables_override_every_field(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {
        "PYTHON": f"{tmp_path}/venv/bin/python",
        "HOME": f"{tmp_path}/home",
        "MLMD_CONN_ID": "store",
        "PYTHONPATH": "/srv/a:/srv/b",
        "KILL_GRACE": "2.5",
        "LIBRARY_PATCHES": "False",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"AIRFLOW__TFX_AIRFLOW__{name}", value)
    assert read_settings() == Settings(
        python=given["PYTHON"],
        home=given["HOME"],
        mlmd_conn_id="store",
        pythonpath="/srv/a:/srv/b",
        kill_grace=2.5,
        library_patches=False,
    )


def test_settings_are_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().kill_grace == 10.0
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__KILL_GRACE", "3")
    assert read_settings().kill_grace == 3.0


def test_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID", "")
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__KILL_GRACE", "")
    assert read_settings().mlmd_conn_id == ""
    assert read_settings().kill_grace == 10.0


def test_paths_become_absolute_and_the_user_folder_is_filled_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__HOME", "~/state")
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__PYTHON", "venv/bin/python")
    settings = read_settings()
    assert settings.home == f"{tmp_path}/state"
    assert settings.python == f"{tmp_path}/venv/bin/python"


def test_wrong_type_names_section_field_value_and_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__KILL_GRACE", "soon")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert str(caught.value) == "Setting: [tfx_airflow] kill_grace = 'soon' is not a number from 0 to 3600."


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("node_server_slots", "0", "1 to 1000"),
        ("node_server_slots", "-1", "1 to 1000"),
        ("node_server_slots", "100000", "1 to 1000"),
        ("node_server_idle", "-1", "0 to 31536000"),
        ("node_server_idle", "inf", "0 to 31536000"),
        ("node_server_idle", "nan", "0 to 31536000"),
        ("kill_grace", "-0.5", "0 to 3600"),
        ("kill_grace", "inf", "0 to 3600"),
        ("kill_grace", "NaN", "0 to 3600"),
        ("kill_grace", "1e9", "0 to 3600"),
    ],
)
def test_value_out_of_its_range_names_setting_value_and_range(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, allowed: str
) -> None:
    monkeypatch.setenv(f"AIRFLOW__TFX_AIRFLOW__{name.upper()}", text)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert (
        str(caught.value)
        == f"Setting: [tfx_airflow] {name} = {text!r} is out of range; give a value from {allowed}."
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("node_server_slots", "1"), ("node_server_idle", "0"), ("kill_grace", "0"), ("kill_grace", "3600")],
)
def test_ends_of_a_range_belong_to_it(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"AIRFLOW__TFX_AIRFLOW__{name.upper()}", text)
    assert getattr(read_settings(), name) == float(text)


def test_every_number_has_a_range() -> None:
    numbers = {f.name for f in dataclasses.fields(Settings) if type(f.default) in (int, float)}
    assert numbers == {f.name for f in dataclasses.fields(Settings) if f.metadata["range"][1]}


def test_missing_interpreter_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(home=str(tmp_path)).interpreter()
    for part in ("[tfx_airflow] python", "AIRFLOW__TFX_AIRFLOW__PYTHON", "make setup", "compile"):
        assert part in str(caught.value)


@pytest.mark.parametrize("exists", [True, False], ids=["not-executable", "absent"])
def test_unusable_interpreter_is_named(tmp_path: Path, exists: bool) -> None:
    python = tmp_path / "python"
    if exists:
        python.write_text("#!/bin/sh\n")
        python.chmod(0o644)
    with pytest.raises(SettingsError) as caught:
        Settings(python=str(python)).interpreter()
    assert repr(str(python)) in str(caught.value)
    assert "AIRFLOW__TFX_AIRFLOW__PYTHON" in str(caught.value)


def test_executable_interpreter_is_returned(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    assert Settings(python=str(python)).interpreter() == str(python)


def test_roots_name_the_bundle_the_home_and_the_interpreters_prefix() -> None:
    assert Settings(home="/srv/tfx", python="/opt/venv/bin/python").roots() == {
        "BUNDLE_ROOT": str(BUNDLE_ROOT),
        "TFX_AIRFLOW_HOME": "/srv/tfx",
        "TFX_PREFIX": "/opt/venv",
    }
    assert "TFX_PREFIX" not in Settings(home="/srv/tfx").roots()


def test_bundle_root_is_the_folder_that_holds_include() -> None:
    assert (BUNDLE_ROOT / "include" / "tfx_airflow" / "settings.py").is_file()


def test_store_and_compiled_pipelines_lie_in_home() -> None:
    settings = Settings(home="/srv/tfx")
    assert settings.mlmd_file == Path("/srv/tfx/mlmd/metadata.db")
    assert settings.compiled == Path("/srv/tfx/compiled")


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [("30", 28.0), ("2.5", 1.0), ("0", None), ("-1", None)],
    ids=["usual", "short", "none", "negative"],
)
def test_parse_seconds_leaves_time_to_say_why(
    monkeypatch: pytest.MonkeyPatch, limit: str, seconds: float | None
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT", limit)
    assert parse_seconds() == seconds


def test_a_pod_of_one_task_has_no_node_server_unless_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().node_server
    monkeypatch.setenv("AIRFLOW_IS_K8S_EXECUTOR_POD", "True")
    assert not read_settings().node_server
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__NODE_SERVER", "True")
    assert read_settings().node_server
