"""Finds all uses of names that TFX has dropped in a file, so that it need not be executed once for each."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator

from include.tfx_airflow.tfx_side.legacy import dropped_names

_OF_DICTS = frozenset(dir(dict))


def find_in(source: bytes) -> dict[str, list[int]]:
    """Lines by sentence, in the order of the lines; {} for what is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    names = dict(_imported(tree))
    found: dict[str, list[int]] = {}
    for line, sentence in sorted(set(_uses(tree, names))):
        found.setdefault(sentence, []).append(line)
    return found


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Full name by the name that it has in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _full(node: ast.AST, names: dict[str, str]) -> str:
    """Full name of what an expression such as `tfx.components.Trainer` stands for; "" if it is not imported."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute) and (owner := _full(node.value, names)):
        return f"{owner}.{node.attr}"
    return ""


def _uses(tree: ast.Module, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield from _of_import(node, node.module)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from ((node.lineno, sentence) for sentence in _of_module(alias.name))
        elif isinstance(node, ast.Call):
            yield from _of_call(node, _full(node.func, names))
        elif isinstance(node, (ast.Name, ast.Attribute)):
            yield from _of_expression(node, _full(node, names))


def _of_module(name: str) -> Iterator[str]:
    for dropped in dropped_names.MODULES:
        if f"{name}.".startswith(f"{dropped}."):
            yield dropped_names.of_name(dropped)
            return


def _of_import(node: ast.ImportFrom, module: str) -> Iterator[tuple[int, str]]:
    if sentences := list(_of_module(module)):
        yield node.lineno, sentences[0]
        return
    for alias in node.names:
        full = f"{module}.{alias.name}"
        for sentence in _of_module(full):
            yield node.lineno, sentence
        if _is_dropped(full):
            yield node.lineno, dropped_names.of_name(alias.name)


def _is_dropped(full: str) -> bool:
    module, _, name = full.rpartition(".")
    kept = dropped_names.NOT_DROPPED.get(name)
    return (
        f"{module}.".startswith("tfx.")
        and name in dropped_names.NAMES
        and not (kept and full.startswith(kept))
    )


def _of_expression(node: ast.Name | ast.Attribute, full: str) -> Iterator[tuple[int, str]]:
    module, _, name = full.rpartition(".")
    if isinstance(node, ast.Attribute):
        if getattr(node.value, "attr", "") == "outputs" and node.attr not in _OF_DICTS:
            yield node.lineno, dropped_names.of_output(node.attr)
        if _is_dropped(full):
            yield node.lineno, dropped_names.of_name(name)
        if full.startswith("tensorflow.") and full in dropped_names.MODULES:
            yield node.lineno, dropped_names.of_name(full)
        if full == "tensorflow_model_analysis.config":
            yield node.lineno, dropped_names.of_tfma_config()
    if name in dropped_names.UNUSED.get(module, {}):
        yield node.lineno, dropped_names.of_unused(module, name)


def _of_call(node: ast.Call, full: str) -> Iterator[tuple[int, str]]:
    name = full.rpartition(".")[2]
    if not full.startswith("tfx.") or name not in dropped_names.TFX_COMPONENTS:
        return
    if name in dropped_names.COMPONENTS and name not in dropped_names.NAMES:
        yield node.lineno, dropped_names.of_name(name)
    for keyword in node.keywords:
        if keyword.arg in dropped_names.ARGUMENTS and not _takes(name, keyword.arg):
            yield node.lineno, dropped_names.of_argument(keyword.arg)


def _takes(component: str, argument: str) -> bool:
    """Whether the installed TFX still has that argument; if its components are not loaded, it has none."""
    kind = getattr(sys.modules.get("tfx.components"), component, None)
    return kind is not None and argument in inspect.signature(kind.__init__).parameters
