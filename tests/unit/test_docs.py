"""The README says what the code does: settings, commands, map of the tree."""

from __future__ import annotations

import dataclasses
import re
import subprocess

import pytest
from mlmd_panel.settings import Settings as PanelSettings

from include.tfx_airflow.settings import Settings
from tests.bundle import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "field",
    [*dataclasses.fields(Settings), *dataclasses.fields(PanelSettings)],
    ids=lambda field: field.name,
)
def test_every_setting_is_in_the_table_with_its_help(field: dataclasses.Field) -> None:
    assert f"| `{field.name}` | {field.metadata['help']} |" in README


def test_every_make_target_of_the_readme_exists_and_every_listed_one_is_told() -> None:
    listed = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"\bmake (?:-s )?([a-z-]+)", README))
    assert told <= listed
    assert listed - {"help"} <= told


def test_every_path_of_the_map_exists_and_every_folder_is_on_it() -> None:
    tree = README.split("## Map", 1)[1].split("```")[1]
    paths = [line.split()[0] for line in tree.strip().splitlines()]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    top = {path.split("/")[0] + ("/" if "/" in path else "") for path in tracked}
    told = {path.split("/")[0] + ("/" if "/" in path else "") for path in paths}
    assert {name for name in top if not name.startswith(".") and name != "README.md"} <= told
