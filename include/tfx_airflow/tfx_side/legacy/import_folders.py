"""Folders that a legacy file adds to `sys.path`: its nodes, which do not execute it, import from them as well."""

from __future__ import annotations

import os
import sys
import sysconfig


def before_library() -> list[str]:
    """What is on `sys.path` before Python's own library, where a module hides one of that name in the library."""
    library = sysconfig.get_path("stdlib")
    return sys.path[: sys.path.index(library)] if library in sys.path else []


def added(path: list[str], first: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Folders that have been added since, before Python's own library and behind it.

    Args:
      path: `sys.path` of then.
      first: `before_library()` of then.
    """
    now = before_library()
    new_first = [one for one in now if one not in first]
    new = [one for one in sys.path if one not in path and one not in now]
    return _existing(new_first), _existing(new)


def _existing(folders: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(os.path.abspath(one) for one in folders if os.path.exists(one)))
