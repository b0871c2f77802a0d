"""What executing a file does besides reading and making pipelines, of which nodes, in other processes, would not know."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

from include.tfx_airflow.contract import literal_variables
from include.tfx_airflow.tfx_side.pipeline.tfx_packages import TfxPackages

_SET = "set"
# Kind by the audit event whose first argument is noted.
EVENTS = {"os.putenv": _SET, "os.unsetenv": _SET}
KINDS = frozenset(EVENTS.values())


@dataclasses.dataclass
class Effects:
    """What the user's code did; what TFX did by itself is left out, since it does so in a node as well.

    Attributes:
      set_in: The files that set an environment variable, or removed it, by its name.
    """

    set_in: dict[str, set[str]] = dataclasses.field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        """By the name of each variable that was set the file that sets it to a literal text.

        "" where the text is computed or read, or the variable was removed: nobody but the file knows it.
        """
        return {name: _literal_in(files, name) for name, files in sorted(self.set_in.items())}


def _literal_in(files: Iterable[str], name: str) -> str:
    for path in sorted(files):
        try:
            if literal_variables.in_file(path).get(name) == os.environ.get(name) is not None:
                return path
        except (OSError, SyntaxError, ValueError):
            continue  # in a zip, or no source
    return ""


def of(seen: Iterable[tuple[str, str, tuple[str, ...]]]) -> Effects:
    """Sorts out what a watch has seen: kind, value, and source files of the callers, the nearest first."""
    ours = TfxPackages()
    found = Effects()
    for kind, value, frames in seen:
        if kind in KINDS and frames and not ours.own(frames[0]):
            found.set_in.setdefault(value, set()).add(os.path.abspath(frames[0]))
    return found
