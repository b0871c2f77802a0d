"""The legacy DAG files of a path: one, or those of a folder that use TFX's runner, be it by a helper."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from airflow.sdk.configuration import conf

from include.tfx_airflow.airflow_side import legacy_imports
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import ConfigError
from include.tfx_airflow.contract.legacy import LegacyFile

_RUNNER = (b"orchestration.airflow", b"AirflowDagRunner")
_IGNORE = ".airflowignore"


class LegacyFiles:
    """The files to execute, in the order of their names; then those that `add_importers_of` adds.

    Only executing a file shows whether it makes a DAG: the runner may be called in a function that other files call, or
    be named in a comment.

    Attributes:
      is_folder: Whether the path is a folder.
      notes: What to say of the folder, as sentences.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        folders: Collection[str | os.PathLike[str]] = (),
        working_folder: str | os.PathLike[str] = "",
    ):
        """Looks for the files.

        Args:
          path: As for `adopt`.
          folders: As for `adopt`.
          working_folder: As for `adopt`.

        Raises:
          ConfigError: There are none, or there is no such folder.
        """
        if isinstance(folders, (str, os.PathLike)):
            raise ConfigError(
                f"adopt({str(path)!r}): folders must be a list of folders, not {str(folders)!r}."
            )
        place = _absolute(path)
        more = [_absolute(folder) for folder in folders]
        if missing := [str(folder) for folder in more if not folder.is_dir()]:
            raise ConfigError(
                f"adopt({str(path)!r}): folders names {missing}, and there is no such folder; give absolute paths, or "
                "paths from the bundle's root."
            )
        self._working_folder = str(_absolute(working_folder)) if str(working_folder) else ""
        if self._working_folder and not os.path.isdir(self._working_folder):
            raise ConfigError(
                f"adopt({str(path)!r}): working_folder is {str(working_folder)!r}, and there is no such folder; give an "
                "absolute path, or one from the bundle's root."
            )
        self.is_folder = place.is_dir()
        self.notes: list[str] = []
        self._sources: dict[Path, bytes] = {}
        self._folders = more
        if place.is_file():
            self._paths = [place]
        elif self.is_folder:
            self._folders = [place, *more]
            found = filter(Path.is_file, sorted(place.rglob("*.py")))  # not an editor's dangling lock
            self._sources = {file: file.read_bytes() for file in found}
            if any(place.rglob(_IGNORE)):
                self._leave_out(place)
            self._paths = [file for file, source in self._sources.items() if _names_runner(source)]
            if not self._paths:
                raise ConfigError(
                    f"adopt({str(path)!r}): no file below {str(place)!r} uses AirflowDagRunner."
                    + "".join(f" {note}" for note in self.notes)
                )
        else:
            raise ConfigError(
                f"adopt({str(path)!r}): there is no {str(place)!r}; give an absolute path, or one from the bundle's "
                "root."
            )

    def _leave_out(self, place: Path) -> None:
        """Leaves out what Airflow would not parse in this folder."""
        from airflow.utils.file import list_py_file_paths

        syntax = conf.get("core", "dag_ignore_file_syntax")
        try:
            parsed = set(list_py_file_paths(place, safe_mode=False))
        except (RuntimeError, ValueError) as error:  # links that go in circles, an unknown syntax
            raise ConfigError(f"adopt: {_IGNORE} below {str(place)!r} cannot be followed: {error}") from None
        left_out = [file for file in self._sources if str(file) not in parsed]
        names = [shown(str(file)) for file in left_out if _names_runner(self._sources.pop(file))]
        self.notes.append(
            f"{_IGNORE} is read in the syntax {syntax!r}, as [core] dag_ignore_file_syntax says ('regexp' was Airflow 2's "
            f"default, 'glob' is Airflow 3's). It leaves out {', '.join(names) or 'no file that uses AirflowDagRunner'}."
        )

    def __iter__(self) -> Iterator[LegacyFile]:
        for path in self._paths:  # which grows meanwhile
            # Its own comes last: Airflow 2 had the DAG folder only, where a package may have the name of a module in it.
            folders = tuple(dict.fromkeys(map(str, [*self._folders, path.parent])))
            yield LegacyFile(str(path), folders, working_folder=self._working_folder)

    def add_importers_of(self, file: LegacyFile) -> None:
        """Adds the files that import one which makes no DAG: they may."""
        for path in legacy_imports.importers(Path(file.path), self._sources, self._folders):
            if path not in self._paths and not _is_test(path):
                self._paths.append(path)


def _names_runner(source: bytes) -> bool:
    return any(name in source for name in _RUNNER)


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.name.endswith("_test.py") or path.name == "conftest.py"


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(BUNDLE_ROOT / Path(path)))


def shown(path: str) -> str:
    """A path as a DAG file names it: from the bundle's root where it is below that."""
    inside = Path(path).is_relative_to(BUNDLE_ROOT)
    return Path(path).relative_to(BUNDLE_ROOT).as_posix() if inside else path
