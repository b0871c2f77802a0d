"""The `try` statements of a file that go on without what they fail to import."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

_NOT_THERE = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def around(path: str, line: int) -> list[ast.Try]:
    """Those around a line of a file that catch an ImportError; the innermost is the last one."""
    return [
        node
        for node in _in_file(path)
        if node.body[0].lineno <= line <= (node.body[-1].end_lineno or node.body[-1].lineno)
    ]


@functools.lru_cache(maxsize=256)
def _in_file(path: str) -> list[ast.Try]:
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.Try) and any(map(_catches, node.handlers))
    ]


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(getattr(kind, "attr", getattr(kind, "id", "")) in _NOT_THERE for kind in kinds)
