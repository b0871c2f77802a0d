"""Which files of a folder import a module: those that make their DAGs with a helper name no runner themselves.

By text, not by syntax tree: it happens while Airflow parses, and the folder may be large.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_FROM = re.compile(r"^[ \t]*from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]*(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([^\n(]+)", re.MULTILINE)
_NAME = re.compile(r"[\w.]+")
_COMMENT = re.compile(r"#[^\n]*")


def importers(module: Path, sources: Mapping[Path, bytes], roots: Iterable[Path]) -> list[Path]:
    """Finds the files that import a file.

    Args:
      module: The file.
      sources: Content by path of the files to look at.
      roots: Folders from which all of them may import; each may from its own as well.
    """
    name = module.parent.name if module.name == "__init__.py" else module.stem
    folders = [str(root) for root in roots]
    return [
        path
        for path, source in sources.items()
        if path != module
        and name.encode() in source
        and str(module) in _places(str(path.parent), source.decode(errors="replace"), folders)
    ]


def _places(own: str, source: str, roots: list[str]) -> Iterator[str]:
    """Where the modules that a file in the folder `own` imports would be."""
    for level, name in _imported(source):
        starts = [own, *roots]
        if level:
            starts = [os.path.normpath(os.path.join(own, *[".."] * (level - 1)))]
        for start in starts:
            place = os.path.join(start, *name.split("."))
            yield f"{place}.py"
            yield f"{place}/__init__.py"


def _imported(source: str) -> Iterator[tuple[int, str]]:
    """Each imported module, or name in a module, with the number of dots before it."""
    for module, names in _FROM.findall(source):
        base = module.lstrip(".")
        level = len(module) - len(base)
        if base:
            yield level, base
        for name in _names(names.strip("() \n")):
            yield level, f"{base}.{name}" if base else name
    for names in _IMPORT.findall(source):
        for name in _names(names):
            yield 0, name


def _names(text: str) -> Iterator[str]:
    """Names in `a, b as c`."""
    for part in _COMMENT.sub("", text).split(","):
        if found := _NAME.match(part.strip()):
            yield found[0]
