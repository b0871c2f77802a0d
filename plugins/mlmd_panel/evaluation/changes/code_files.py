"""Compares the lists that the store has of the files behind two fingerprints."""

from __future__ import annotations

import dataclasses
import json
import re

from mlmd_panel.evaluation.changes import wording
from mlmd_panel.evaluation.changes.sides import property_of
from mlmd_panel.store.records import Execution

# The orchestrator's: `{"files": {name: first digits of its SHA-256}, "left_out": 0}`, the first files by name.
FILES = "code_files"
CHANGED, ADDED, REMOVED = "changed", "added", "removed"
MAX_FILES, MAX_TEXT = 1000, 1 << 20
_HASH = re.compile(r"[0-9a-f]{8,64}")


@dataclasses.dataclass(frozen=True)
class CodeFiles:
    """Files by name, with their hashes; and how many more there are."""

    hashes: dict[str, str]
    left_out: int


@dataclasses.dataclass(frozen=True)
class FileChange:
    """A file that is not the same on both sides.

    Attributes:
      name: Relative to the bundle's root.
      change: changed, added or removed.
      baseline: First digits of its SHA-256; None if the baseline has no such file.
      candidate: The candidate's.
    """

    name: str
    change: str
    baseline: str | None
    candidate: str | None


def read(execution: Execution) -> CodeFiles | None:
    """The list of an execution; None if it has none that can be read."""
    text = property_of(execution, FILES)
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        return None
    try:
        value = json.loads(text)
        files, left_out = value["files"], value["left_out"]
        hashes = {name: hash_ for name, hash_ in files.items() if _HASH.fullmatch(hash_)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if len(hashes) != len(files) or len(hashes) > MAX_FILES or type(left_out) is not int or left_out < 0:
        return None
    return CodeFiles(hashes, left_out)


def compare(one: CodeFiles, two: CodeFiles) -> tuple[FileChange, ...]:
    """What is not the same, by name.

    Of a list that leaves files out, the last name is where knowledge ends: behind it nothing is told.
    """
    ends = [max(side.hashes, default="") for side in (one, two) if side.left_out]
    names = [n for n in sorted({*one.hashes, *two.hashes}) if not ends or n <= min(ends)]
    found = []
    for name in names:
        before, now = one.hashes.get(name), two.hashes.get(name)
        if before != now:
            change = ADDED if before is None else REMOVED if now is None else CHANGED
            found.append(FileChange(name, change, before, now))
    return tuple(found)


def sentence(found: tuple[FileChange, ...]) -> str:
    """The files in short."""
    parts = []
    for change in (CHANGED, ADDED, REMOVED):
        names = [file.name for file in found if file.change == change]
        if names:
            parts.append(f"{wording.some(names, 3)} {change}")
    return "; ".join(parts)
