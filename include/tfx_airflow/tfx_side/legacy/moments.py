"""Where a legacy DAG file asks for the time: under Airflow 2 at each parse, here once, when it is compiled."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_OF_CLASSES = ("now", "today", "utcnow")
_FUNCTIONS = ("days_ago", "time.time", "time.strftime")


def notes(source: bytes) -> list[str]:
    """What to say of a file; nothing of a start date, which need not move."""
    found = sorted(set(_asked(ast.parse(source))))
    if not found:
        return []
    lines = ", ".join(str(line) for line in dict.fromkeys(line for line, _ in found))
    return [
        f"the file asks for the time in line {lines} ({found[0][1]}): what it gets is the time at which it was compiled, and "
        "stays until it is compiled again. For the time of a run use a template, such as '{{ ds }}'."
    ]


def _asked(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Call) and _is_clock(text := ast.unparse(node.func)):
        yield node.lineno, f"{text}()"
    for child in ast.iter_child_nodes(node):
        if not _is_start(node, child) and not _is_of_nodes(child):
            yield from _asked(child)


def _is_clock(name: str) -> bool:
    owner, _, last = name.rpartition(".")
    return bool(owner) and last in _OF_CLASSES or name in _FUNCTIONS


def _is_start(node: ast.AST, child: ast.AST) -> bool:
    """Whether the child is the value of a start date."""
    names: list[str] = []
    if isinstance(node, ast.keyword):
        names = [node.arg or ""]
    elif isinstance(node, ast.Assign):
        names = [ast.unparse(target) for target in node.targets]
    elif isinstance(node, ast.Dict) and child in node.values:
        key = node.keys[node.values.index(child)]  # type: ignore[arg-type]
        names = [str(key.value)] if isinstance(key, ast.Constant) else []
    return any("start" in name.lower() for name in names)


def _is_of_nodes(node: ast.AST) -> bool:
    """Whether it is code that runs in nodes: classes, such as executors, and functions of components."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        decorators = (ast.unparse(one) for one in node.decorator_list)
        return node.name.endswith("_fn") or any("component" in one for one in decorators)
    return isinstance(node, ast.ClassDef)
