"""What executing a file does besides reading and making pipelines, of which nodes, in other processes, would not know."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from include.tfx_airflow.contract import fingerprint, literal_variables
from include.tfx_airflow.tfx_side.pipeline.tfx_packages import TfxPackages

_SET, _MADE, _HOST, _ADDRESS = "set", "made", "host", "address"
# Kind by audit event.
EVENTS = {
    "os.putenv": _SET,
    "os.unsetenv": _SET,
    "os.mkdir": _MADE,
    "socket.getaddrinfo": _HOST,
    "socket.connect": _ADDRESS,
}
WORKING_FOLDER = "working folder"
KINDS = frozenset({*EVENTS.values(), WORKING_FOLDER})
# How far above a file that was made the pipeline may name a folder.
_ABOVE = 3
# More files than this are not looked for one by one.
_MOST_FILES = 50


def noted(event: str, arguments: tuple[Any, ...]) -> Any:
    """What to note of an audit event: a name or a path."""
    if event == "socket.connect":
        return arguments[1][0] if isinstance(arguments[1], tuple) else None  # else a socket of this machine
    if event == "os.mkdir":
        return os.path.abspath(os.fsdecode(arguments[0]))
    return arguments[0]


@dataclasses.dataclass
class Effects:
    """What the user's code did; what TFX did by itself is left out, since it does so in a node as well.

    Attributes:
      set_in: The files that set an environment variable, or removed it, by its name.
      hosts: Names, or addresses, of the machines that it connected to.
      made: Paths of files that were written and of folders that were made, by whomever.
      asked_for_folder: The files that asked for the working directory.
    """

    set_in: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    hosts: set[str] = dataclasses.field(default_factory=set)
    made: set[str] = dataclasses.field(default_factory=set)
    asked_for_folder: set[str] = dataclasses.field(default_factory=set)

    def variables(self) -> dict[str, str]:
        """By the name of each variable that was set the file that sets it to a literal text.

        "" where the text is computed or read, or the variable was removed: nobody but the file knows it.
        """
        return {name: _literal_in(files, name) for name, files in sorted(self.set_in.items())}

    def made_for(self, texts: Iterable[str], roots: Mapping[str, str]) -> dict[str, set[str]]:
        """What was made, by the path in one of the pipelines' IRs that it is at or below.

        Args:
          texts: The IRs.
          roots: Folders that are `${NAME}` in them; in what is returned as well.
        """
        found: dict[str, set[str]] = {}
        texts = list(texts)
        for path in sorted(self.made):
            name = fingerprint.abstract(path, roots)
            for place in _upwards(name):
                if any(_names(text, place) for text in texts):
                    found.setdefault(place, set()).add(name)
                    break
        return found

    def notes(self, made: Iterable[str], working_folder: str) -> Iterator[str]:
        """What to say of it, besides of variables.

        Args:
          made: Paths that `made_for` found.
          working_folder: That was given; "" for none.
        """
        if self.asked_for_folder and not working_folder:
            yield (
                f"{', '.join(sorted(map(os.path.basename, self.asked_for_folder)))} asks for the working directory, or uses "
                "relative paths: it was the folder in which Airflow 2 was started, and is the bundle's root here. Name the folder: "
                "adopt(..., working_folder='/srv/airflow')."
            )
        if self.hosts:
            yield (
                f"executing the file connects to {', '.join(sorted(self.hosts))}: when it is compiled, and not at each "
                "parse as under Airflow 2. What it got there stays until something changes that the file is made from; ask "
                "in a node for what must be new in each run."
            )
        temporary = (f"{tempfile.gettempdir()}/", "/tmp/", "/var/tmp/")
        if paths := sorted(path for path in made if path.startswith(temporary)):
            yield (
                f"executing the file makes {', '.join(paths)}, which the pipeline uses: when it is compiled, and not at each "
                "parse as under Airflow 2. It is executed again when that is gone; a folder that stays, such as "
                "'/srv/data', is safer."
            )


def inputs(made: Mapping[str, set[str]]) -> set[str]:
    """What `made_for` found as names for `fingerprint.content_key`: when it is gone, the file must make it again."""
    paths = {*made, *(path for paths in made.values() if len(paths) <= _MOST_FILES for path in paths)}
    return {f"exists:{path}" for path in paths}


def _upwards(path: str) -> Iterator[str]:
    for _ in range(_ABOVE + 1):
        if path.count("/") < (2 if path.startswith("/") else 1):
            return  # as wide as '/tmp'
        yield path
        path = os.path.dirname(path)


def _names(text: str, path: str) -> bool:
    """Whether the JSON of an IR has that path as it is, and not only paths below it."""
    written = json.dumps(path)[1:-1]
    return written in text and bool(re.search(rf'{re.escape(written)}/?(?=["\\\s])', text))


def _literal_in(files: Iterable[str], name: str) -> str:
    for path in sorted(files):
        try:
            if name in os.environ and literal_variables.in_file(path).get(name) == os.environ[name]:
                return path
        except (OSError, SyntaxError, ValueError):
            continue  # in a zip, or no source
    return ""


def of(seen: Iterable[tuple[str, str, tuple[str, ...]]], written: Iterable[str]) -> Effects:
    """Sorts out what a watch has seen.

    Args:
      seen: Kind, value, and source files of the callers, the nearest first.
      written: Paths of files that were opened to be written.
    """
    ours = TfxPackages()
    found = Effects(made=set(written))
    hosts: dict[str, set[str]] = {_HOST: set(), _ADDRESS: set()}
    for kind, value, frames in seen:
        if kind == _MADE:
            found.made.add(value)
        elif kind in hosts and not all(map(ours.own, frames)):
            hosts[kind].add(value)
        elif kind in (_SET, WORKING_FOLDER) and frames and not ours.own(frames[0]):
            files = found.set_in.setdefault(value, set()) if kind == _SET else found.asked_for_folder
            files.add(os.path.abspath(frames[0]))
    found.hosts = hosts[_HOST] or hosts[_ADDRESS]
    return found
