"""Tells source files of TFX, Python and this program from the user's."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sysconfig
from pathlib import Path

OWN = str(Path(__file__).resolve().parents[2]) + "/"
_PATHS = sysconfig.get_paths()
_STDLIB = tuple({f"{_PATHS[key]}/" for key in ("stdlib", "platstdlib")})
PACKAGES = tuple({f"{_PATHS[key]}/" for key in ("purelib", "platlib")})


def of_stdlib(path: str) -> bool:
    """Whether a file is of Python's standard library."""
    return path.startswith(_STDLIB) and not path.startswith(PACKAGES)


class TfxPackages:
    """Tells TFX and its requirements, which its version covers, from packages that the user has installed."""

    def __init__(self) -> None:
        self._owns: dict[str, bool] = {}

    def own(self, path: str) -> bool:
        """Whether a source file is Python's, this program's or of TFX and its requirements."""
        path = os.path.abspath(path)
        if path.startswith(OWN) or of_stdlib(path) or path.startswith(("/usr/lib/python3.", "<")):
            return True
        for folder in PACKAGES:
            if path.startswith(folder):
                top = path[len(folder) :].split("/")[0].split(".")[0]
                return top in self._tops
        return False

    @property
    def _tops(self) -> dict[str, bool]:
        if not self._owns:
            self._owns = {top: True for name in _needed("tfx") for top in _tops_of(name)}
        return self._owns


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _needed(name: str) -> set[str]:
    """Names of a distribution and all its installed requirements, and of packaging tools such as pip."""
    found: set[str] = set()
    queue = [name, "pip", "setuptools", "wheel", "apache-beam", "tensorflow", "pytest"]
    while queue:
        one = _canonical(queue.pop())
        if one in found:
            continue
        try:
            requires = importlib.metadata.requires(one) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(one)
        queue += [match[0] for line in requires if (match := re.match(r"[\w.-]+", line))]
    return found


def _tops_of(name: str) -> set[str]:
    """Modules and folders that a distribution has put into site-packages."""
    distribution = importlib.metadata.distribution(name)
    files = distribution.read_text("RECORD") or ""
    return {line.split(",")[0].split("/")[0].split(".")[0] for line in files.splitlines()} - {"", ".."}
