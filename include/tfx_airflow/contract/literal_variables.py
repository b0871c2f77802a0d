"""Environment variables that a Python file sets to literal texts: `os.environ["CUDA_VISIBLE_DEVICES"] = "-1"`.

Both interpreters read them from the file: a value may be a secret, and is written nowhere else. Standard library only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def in_file(path: str) -> dict[str, str]:
    """Value by name, wherever in the file it is set; the last one of several.

    Raises:
      OSError: The file cannot be read.
      SyntaxError: It is no Python.
    """
    found = [one for node in ast.walk(ast.parse(Path(path).read_bytes())) for one in _set_by(node)]
    return {name: value for _, name, value in sorted(found)}


def _set_by(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Line, name and value of each variable that a statement or call sets to a literal text."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and _is_environ(target.value):
                yield from _literal(target.slice, node.value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_environ(node.func.value):
        if node.func.attr == "setdefault" and len(node.args) == 2:
            yield from _literal(*node.args)
        elif node.func.attr == "update":
            yield from _of_update(node)


def _of_update(call: ast.Call) -> Iterator[tuple[int, str, str]]:
    for keyword in call.keywords:
        yield from _literal(ast.Constant(keyword.arg, lineno=call.lineno), keyword.value)
    for mapping in call.args:
        if isinstance(mapping, ast.Dict):
            for key, value in zip(mapping.keys, mapping.values, strict=True):
                yield from _literal(key, value)


def _is_environ(node: ast.expr) -> bool:
    return getattr(node, "attr", getattr(node, "id", "")) == "environ"


def _literal(name: ast.expr | None, value: ast.expr) -> Iterator[tuple[int, str, str]]:
    if isinstance(name, ast.Constant) and isinstance(value, ast.Constant):
        if isinstance(name.value, str) and isinstance(value.value, str):
            yield name.lineno, name.value, value.value
