"""What the legacy DAG files of a path are compiled to, and what keeps some of them from being adopted.

An import error in Airflow is that of a DAG file, and takes all its DAGs away. So of a folder all files are adopted or
none is, and what is wrong with any of them is told at once.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
import shlex
import textwrap
import time
from collections.abc import Iterable, Mapping

from include.tfx_airflow.airflow_side.compiled import Compiled, load_file
from include.tfx_airflow.airflow_side.legacy_folder import LegacyFiles, shown
from include.tfx_airflow.contract.errors import CompileError, ConfigError, NoDagError, StillCompilingError
from include.tfx_airflow.settings import Settings, parse_seconds

log = logging.getLogger(__name__)


@dataclasses.dataclass
class Loaded:
    """The files of a path, once they were compiled.

    Attributes:
      found: Their pipelines.
      broken: What is wrong with files of a folder, by path.
      later: What to say of files that there was no time for.
    """

    found: list[Compiled] = dataclasses.field(default_factory=list)
    broken: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    later: list[str] = dataclasses.field(default_factory=list)

    def add_broken(self, path: str, error: Exception) -> None:
        """Adds what is wrong with a file."""
        self.broken.setdefault(path, []).append(str(error))

    def refusal(self, path: str, working_folder: str, more: Iterable[str]) -> str:
        """What to say of the folder, on which its owner can act; "" if nothing keeps it from being adopted.

        Args:
          path: That of `adopt`.
          working_folder: That of `adopt`.
          more: What else does so, as sentences.
        """
        texts = [*itertools.chain.from_iterable(self.broken.values()), *more, *self.later]
        if not texts:
            return ""
        text = f"adopt({path!r}) makes no DAG, because of these files:\n" + textwrap.indent(
            "\n".join(texts), "  "
        )
        if not self.broken:
            return text
        command = f"python -m include.tfx_airflow adopt {shlex.quote(path)}"
        command += f" --working-folder {shlex.quote(working_folder)}" if working_folder else ""
        return (
            f"{text}\nMend {', '.join(map(shown, self.broken))}; or give each file its own DAG file, so that the DAGs of the "
            f"others stay. To get these DAG files, run: {command}"
        )


def load(path: str, files: LegacyFiles, settings: Settings, environment: Mapping[str, str]) -> Loaded:
    """Finds what the files were compiled to, or compiles them, within the time that a DAG file has.

    Args:
      path: That of `adopt`.
      files: The files.
      settings: See `compiled.load_file`.
      environment: See `compiled.load_file`.

    Raises:
      CompileError: The path is a file, and it cannot be compiled.
      ConfigError: No file of the folder makes a DAG.
      SettingsError: See `compiled.load_file`.
    """
    patience = parse_seconds()
    end = time.monotonic() + patience if patience else math.inf
    loaded, helpers = Loaded(), list[str]()
    for file in files:
        left = end - time.monotonic()
        if left <= 0 and (loaded.broken or loaded.later):
            loaded.later.append(f"{shown(file.path)!r} is not read yet; a later parse does so.")
            continue
        try:
            loaded.found += load_file(
                file, settings, environment, patience=max(left, 0.1) if patience else None
            )
        except CompileError as error:
            if not files.is_folder:
                raise
            if isinstance(error, NoDagError):
                files.add_importers_of(file)
                helpers.append(str(error))
                log.info("%s", error)
            elif isinstance(error, StillCompilingError):
                loaded.later.append(str(error))
            else:
                loaded.add_broken(file.path, error)
    if not loaded.found and not loaded.broken and not loaded.later:
        raise ConfigError(
            f"adopt({path!r}): none of the files there that use AirflowDagRunner makes a DAG:"
            + "".join(f"\n  {text}" for text in helpers)
        )
    return loaded
