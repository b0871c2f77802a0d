"""README and docs say what the code does: settings, commands, map of the tree; and every link leads somewhere."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
from mlmd_panel import __main__ as panel
from mlmd_panel.commands import exit_codes
from mlmd_panel.settings import Settings as PanelSettings
from mlmd_panel.web import routes

from include.tfx_airflow import __main__ as program
from include.tfx_airflow.settings import Settings
from tests.bundle import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = {path: path.read_text(encoding="utf-8") for path in (README, *sorted(DOCS.glob("*.md")))}
OPERATIONS, ARCHITECTURE = PAGES[DOCS / "operations.md"], PAGES[DOCS / "architecture.md"]

_FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`[^`\n]+`")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^()\s]+)\)")


def _code(page: str) -> str:
    """All that is set as code on a page, where `make` is the command and no verb."""
    spans = _INLINE.findall(_FENCED.sub("", page))
    return "\n".join([found[0] for found in re.finditer(_FENCED, page)] + [span.strip("`") for span in spans])


CODE = "\n".join(_code(page) for page in PAGES.values())


def _anchors(page: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    made: list[str] = []
    for heading in _HEADING.findall(_FENCED.sub("", page)):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        made.append(f"{anchor}-{made.count(anchor)}" if anchor in made else anchor)
    return set(made)


def _links(page: str) -> list[str]:
    return _LINK.findall(_INLINE.sub("", _FENCED.sub("", page)))


def _tracked() -> list[str]:
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()


def _map() -> list[str]:
    """Paths of the map; a line's indentation says which folder it lies in."""
    folders: list[str] = []
    paths = []
    for line in ARCHITECTURE.split("\n## Map\n", 1)[1].split("```")[1].strip("\n").splitlines():
        indent = len(line) - len(line.lstrip())
        assert indent % 2 == 0, line
        path = "".join(folders[: indent // 2]) + line.split()[0]
        folders[indent // 2 :] = [line.split()[0]] if path.endswith("/") else []
        paths.append(path)
    return paths


def test_the_readme_is_short() -> None:
    assert len(PAGES[README].splitlines()) < 120


@pytest.mark.parametrize(
    "field",
    [*dataclasses.fields(Settings), *dataclasses.fields(PanelSettings)],
    ids=lambda field: field.name,
)
def test_every_setting_is_in_the_table_with_its_help(field: dataclasses.Field) -> None:
    assert f"| `{field.name}` | {field.metadata['help']} |" in OPERATIONS


def test_every_field_of_a_config_is_told() -> None:
    from include.tfx_airflow import AirflowPipelineConfig, NodeConfig

    guide = PAGES[DOCS / "user-guide.md"]
    fields = [*dataclasses.fields(AirflowPipelineConfig), *dataclasses.fields(NodeConfig)]
    assert [field.name for field in fields if f"`{field.name}`" not in guide] == []


def test_every_page_of_the_panel_is_told() -> None:
    addresses = {path.replace(":path", "") for path in routes.PAGES}
    assert sorted(path for path in addresses if f"`{path}`" not in PAGES[DOCS / "panel.md"]) == []


def test_every_make_target_that_is_named_exists_and_every_target_is_told() -> None:
    listed = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"\bmake (?:-s )?([a-z-]+)", CODE))
    assert told <= listed
    assert listed - {"help"} <= told


def test_every_command_that_is_named_exists_and_every_command_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        program.main(["--help"])
    listed = set(re.search(r"\{([a-z,-]+)\}", capsys.readouterr().out)[1].split(","))
    assert set(re.findall(r"python -m include\.tfx_airflow ([a-z-]+)", CODE)) == listed


def test_every_command_of_the_panel_is_told_and_every_example_is_one() -> None:
    examples = [
        shlex.split(line)[3:] for line in re.findall(r"^ *python -m mlmd_panel .*$", CODE, re.MULTILINE)
    ]
    assert {example[0] for example in examples} | {"serve"} == set(panel.COMMANDS)
    for example in examples:
        panel.parsed(example)  # argparse ends the test where one is none
    told = PAGES[DOCS / "panel.md"]
    assert [name for name in panel.COMMANDS if f"| `{name}" not in told] == []
    codes = [getattr(exit_codes, name) for name in ("OK", "FINDING", "USAGE", "NO_ANSWER", "STORE")]
    assert [int(code) for code in re.findall(r"^\| (\d) \|", told, re.MULTILINE)] == codes


def test_every_module_that_is_run_exists() -> None:
    for module in set(re.findall(r"python -m ([\w.]+)", CODE)):
        path = ROOT.joinpath("plugins" if module.startswith("mlmd_panel") else "", *module.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_the_secrets_are_made_as_the_compose_file_says() -> None:
    lines = (ROOT / "docker-compose.yaml").read_text().splitlines()
    [command] = [line.removeprefix("#").strip() for line in lines if "/dev/urandom" in line]
    assert f"\n{command}\n" in OPERATIONS


def test_every_path_of_the_map_exists_and_every_folder_is_on_it() -> None:
    paths = _map()
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [path for path in paths if (ROOT / path).is_dir() != path.endswith("/")] == []
    tracked = _tracked()
    top = {path.split("/")[0] + ("/" if "/" in path else "") for path in tracked}
    assert {name for name in top if not name.startswith(".")} <= set(paths)
    rooms = {
        match[0]
        for path in tracked
        if (match := re.match(r"(include/tfx_airflow/|plugins/mlmd_panel/|include/)[^/]+/", path))
    }
    assert rooms <= set(paths)


def test_every_dag_file_is_on_the_map() -> None:
    files = [path for path in _tracked() if re.fullmatch(r"dags/\w+\.py", path)]
    assert sorted(path for path in _map() if re.fullmatch(r"dags/\w+\.py", path)) == files


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_and_image_leads_to_something(page: Path) -> None:
    broken = []
    for link in _links(PAGES[page]):
        if re.match(r"https?://", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_relative_to(ROOT) or not target.exists():
            broken.append(link)
        elif anchor and anchor not in _anchors(target.read_text(encoding="utf-8")):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme_and_every_image_is_shown() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page, text in PAGES.items()
        for link in _links(text)
    }
    assert set(PAGES) - {README} <= {
        (ROOT / link.partition("#")[0]).resolve() for link in _links(PAGES[README])
    }
    assert set((DOCS / "images").iterdir()) <= linked
    assert [p for p in DOCS.rglob("*") if p.is_file() and p not in PAGES and p.parent.name != "images"] == []


def test_every_path_of_the_bundle_that_is_named_exists() -> None:
    named = set(re.findall(r"(?<![\w/.:])(?:include|plugins|dags|tests|docs)/[\w./-]+", CODE))
    made_up = {path for path in named if "/mine" in path}
    assert sorted(path for path in named - made_up if not (ROOT / path).exists()) == []
