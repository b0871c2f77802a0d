"""Which source file may import what: two interpreters share this bundle and must stay apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("dags", "include", "plugins")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
_FOLDERS = ("components", "notebooks", "taxi", "tfx_airflow.tfx_side", "wordcount")
_TFX_SIDE = tuple(f"include.{name}" for name in _FOLDERS)
TFX_SIDE = [name for name in FILES if name.startswith(_TFX_SIDE)]
AIRFLOW_SIDE = [
    name
    for name in FILES
    if name.startswith(("dags", "plugins", "include.tfx_airflow")) and name not in TFX_SIDE
]
TFX = ("tensorflow", "tfx", "apache_beam", "ml_metadata", "tensorflow_model_analysis", "tensorflow_transform")


def _statements(body: list[ast.stmt], everywhere: bool) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, or all of them."""
    for statement in body:
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
            continue
        yield statement
        if everywhere or not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            blocks = [value for _, value in ast.iter_fields(statement) if isinstance(value, list)]
            for block in blocks:
                inner = [item for item in block if isinstance(item, ast.stmt)]
                handlers = [item for item in block if isinstance(item, ast.ExceptHandler)]
                yield from _statements(inner, everywhere)
                for handler in handlers:
                    yield from _statements(handler.body, everywhere)


def _imports(source: str, module: str, everywhere: bool = True) -> set[str]:
    """Full names that a module may import; of `from a import b` both a and a.b."""
    found = set()
    package = module.split(".") if FILES.get(module, Path()).name == "__init__.py" else module.split(".")[:-1]
    for statement in _statements(ast.parse(source).body, everywhere):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            base = package[: len(package) - statement.level + 1] if statement.level else []
            name = ".".join([*base, *filter(None, [statement.module])])
            found |= {name, *(f"{name}.{alias.name}" for alias in statement.names)}
    return found


def _of(module: str, everywhere: bool = True) -> set[str]:
    return _imports(FILES[module].read_text(encoding="utf-8"), module, everywhere)


def _below(names: set[str], *tops: str) -> set[str]:
    return {name for name in names if name.split(".")[0] in tops}


def test_imports_are_found_wherever_they_stand() -> None:
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import only_for_types
try:
    import a.b
except ImportError:
    from c import d
def f():
    with x:
        import e
class C:
    import g
from . import sibling
"""
    always = {"typing", "typing.TYPE_CHECKING", "a.b", "c", "c.d", "g", "pkg", "pkg.sibling"}
    assert _imports(source, "pkg.module", everywhere=False) == always
    assert _imports(source, "pkg.module") == {*always, "e"}


def test_both_sides_have_files() -> None:
    for name in ("include.tfx_airflow.airflow_side.operators", "include.tfx_airflow", "dags.taxi"):
        assert name in AIRFLOW_SIDE
    for name in ("include.tfx_airflow.tfx_side.node.node", "include.taxi.pipeline"):
        assert name in TFX_SIDE


@pytest.mark.parametrize("module", AIRFLOW_SIDE)
def test_the_airflow_side_never_imports_tfx(module: str) -> None:
    assert _below(_of(module), *TFX) == set()
    assert not {name for name in _of(module) if name.startswith("include.tfx_airflow.tfx_side")}


@pytest.mark.parametrize("module", TFX_SIDE)
def test_the_tfx_side_never_imports_airflow(module: str) -> None:
    assert _below(_of(module), "airflow") == set()


def test_what_the_tfx_side_imports_of_the_airflow_side_imports_no_airflow() -> None:
    reached: dict[str, set[str]] = {}
    queue = [name for module in TFX_SIDE for name in _of(module)]
    while queue:
        name = queue.pop()
        if name in AIRFLOW_SIDE and name not in reached:
            reached[name] = _of(name, everywhere=False)
            queue += reached[name]
    expected = {
        "contract.errors",
        "contract.fingerprint",
        "contract.manifest",
        "node_process.node_process",
        "settings",
    }
    assert {f"include.tfx_airflow.{name}" for name in expected} <= set(reached)
    assert {name: found for name, names in reached.items() if (found := _below(names, "airflow"))} == {}


@pytest.mark.parametrize("module", FILES)
def test_plugins_and_include_never_import_each_other(module: str) -> None:
    other = {"plugins": "include", "include": "plugins"}.get(module.split(".")[0], "plugins")
    assert _below(_of(module), other) == set()


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("plugins.mlmd_panel")])
def test_only_the_mount_of_the_panel_knows_airflow(module: str) -> None:
    if module != "plugins.mlmd_panel.airflow3":
        assert _below(_of(module), "airflow") == set()


@pytest.mark.parametrize("module", FILES)
def test_source_files_are_short_and_named_for_what_they_do(module: str) -> None:
    path = FILES[module]
    assert len(path.read_text(encoding="utf-8").splitlines()) < 330
    assert path.stem not in ("utils", "core", "helpers")
