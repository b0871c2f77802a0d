"""Why a legacy DAG file makes no DAG when it is imported, and what to do: most such files are helpers of others."""

from __future__ import annotations

import ast
from pathlib import Path

_RUNNERS = ("AirflowDagRunner", "AirflowDAGRunner")


def why(path: str) -> str:
    """What to say of a file that was executed and made no DAG."""
    tree = ast.parse(Path(path).read_bytes())
    text = "it makes no DAG: it gives no pipeline to AirflowDagRunner(...).run() when it is imported, as Airflow does. "
    for node in tree.body:
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) and _calls(node):
            return f"{text}It does so under 'if {ast.unparse(node.test)}:' in line {node.lineno}: move that to the end of the module."
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _calls(node)]
    if functions:
        name, line = functions[0].name, functions[0].lineno
        return (
            f"{text}Its function {name!r} in line {line} would, if it was called: adopt the file that calls it, or write "
            f"'DAG = {name}(...)' at the end of this one."
        )
    return f"{text}If others import it, adopt those."


def _calls(node: ast.AST) -> bool:
    """Whether a runner is called in there."""
    called = (one.func for one in ast.walk(node) if isinstance(one, ast.Call))
    return any(getattr(one, "id", getattr(one, "attr", "")) in _RUNNERS for one in called)
