"""Which paths are equal to, in, or around others: files that several artifacts share."""

from __future__ import annotations

import bisect
from collections.abc import Mapping


class Paths:
    """Paths of artifacts."""

    def __init__(self, ids: Mapping[int, str]):
        """Takes paths without links, by artifact."""
        self._by_path: dict[str, int] = {}
        for id_, path in ids.items():
            self._by_path.setdefault(path.rstrip("/") or "/", id_)
        self._sorted = sorted(path + "/" for path in self._by_path)

    def sharing(self, path: str) -> int:
        """An artifact whose path is this one, in it, or around it; 0 if there is none."""
        place = bisect.bisect_left(self._sorted, path + "/")
        if place < len(self._sorted) and self._sorted[place].startswith(path + "/"):
            return self._by_path[self._sorted[place].removesuffix("/") or "/"]
        while path not in ("", "/"):
            path = path.rpartition("/")[0] or "/"
            if path in self._by_path:
                return self._by_path[path]
        return 0


def groups(paths: Mapping[int, str]) -> dict[str, list[int]]:
    """Artifacts by the outermost path that holds their files."""
    found: dict[str, list[int]] = {}
    outer = ""
    for path, id_ in sorted((path + "/", id_) for id_, path in paths.items()):
        if not outer or not path.startswith(outer):
            outer = path
        found.setdefault(outer.removesuffix("/"), []).append(id_)
    return found
