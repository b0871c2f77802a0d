"""Environment variables that are not set where a legacy DAG file is executed."""

from __future__ import annotations

import ast
import os
import traceback
from collections.abc import Iterator
from pathlib import Path


def explain(error: BaseException, path: str) -> str:
    """What to say of a variable that is not set; "" for another error.

    Args:
      error: The error.
      path: Of the user's file that it comes from.
    """
    if isinstance(error, KeyError):
        innermost = traceback.extract_tb(error.__traceback__)[-1].filename
        return _of(str(error.args[0])) if innermost in (os.__file__, "<frozen os>") else ""
    # What `os.environ.get` gives for it is used as a text.
    if isinstance(error, (AttributeError, TypeError)) and "NoneType" in str(error) and os.path.isfile(path):
        names = dict.fromkeys(_asked(ast.parse(Path(path).read_bytes())))
        texts = [_of(name) for name in names if name not in os.environ]
        return "; ".join([f"{type(error).__name__}: {error}", *texts]) if texts else ""
    return ""


def _of(name: str) -> str:
    kept = " (those whose names begin with AIRFLOW are kept from it)" if name.startswith("AIRFLOW") else ""
    return (
        f"there is no environment variable {name!r} where the file is executed{kept}: give it to adopt in "
        f"environment={{{name!r}: ...}}, or set it for Airflow."
    )


def _asked(tree: ast.Module) -> Iterator[str]:
    """Names in `os.environ.get("...")` and `os.getenv("...")`, without a default."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            called, name = ast.unparse(node.func), node.args[0]
            if called in ("os.environ.get", "environ.get", "os.getenv", "getenv"):
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield name.value
