"""What to say of an error that executing a legacy DAG file ends in."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import traceback
from pathlib import Path

from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.tfx_side.legacy import (
    airflow_names,
    dropped_names,
    dropped_uses,
    missing_files,
    missing_names,
    missing_variables,
    placeholder,
    python_2,
    users_frames,
)
from include.tfx_airflow.tfx_side.legacy.refused import NoVariableError, RefusedError

# How far above the file's folder a module of its is looked for.
_ABOVE = 4


def explain(error: BaseException, file: LegacyFile) -> str:
    """The error in a sentence, with its line and the cure, and all dropped names of TFX; "" if it is best left as it is.

    Args:
      error: What was raised.
      file: The file.
    """
    frame = users_frames.innermost(error, file)
    if not (sentence := _sentence(error, file, frame)):
        return ""
    path, line, _ = frame
    found = {(path, sentence): {line} - {0}}
    for one in dict.fromkeys(filter(os.path.isfile, [path, file.path])):
        for dropped, lines in dropped_uses.find_in(Path(one).read_bytes()).items():
            found.setdefault((one, dropped), set()).update(lines)
    return " Also ".join(f"{place_of(path, lines, file)}{text}" for (path, text), lines in found.items())


def place(error: BaseException, file: LegacyFile) -> str:
    """Where in the user's files an error comes from: `line 12: `, or `helpers.py, line 12: `."""
    path, line, _ = users_frames.innermost(error, file)
    return place_of(path, {line} - {0}, file)


def is_in_file(error: BaseException, file: LegacyFile) -> bool:
    """Whether an error comes from the file itself, and not from what it calls or imports."""
    return traceback.extract_tb(error.__traceback__)[-1].filename == file.path


def place_of(path: str, lines: set[int], file: LegacyFile) -> str:
    """The same, of lines of a file of the user's."""
    if not lines:
        return ""
    name = "" if path == file.path else f"{os.path.relpath(path, os.path.dirname(file.path))}, "
    return f"{name}line{'s' * (len(lines) > 1)} {', '.join(map(str, sorted(lines)))}: "


def _sentence(error: BaseException, file: LegacyFile, frame: tuple[str, int, str]) -> str:
    path, _, line = frame
    if isinstance(error, (RefusedError, NoVariableError)):
        return str(error)
    if isinstance(error, SystemExit):
        return (
            f"it ends the process that reads it (SystemExit: {error}), as sys.exit() and argparse do: put that under "
            "\"if __name__ == '__main__':\"."
        )
    if isinstance(error, SyntaxError) and error.filename != path:
        return ""  # of a text that the file reads, or of an installed module
    return (
        _handed_on(error, file)
        or dropped_names.explain(error, line)
        or python_2.explain(error)
        or missing_names.explain(error, users_frames.asker(error, file))
        or _missing_module(error, file)
        or missing_files.explain(error, file)
        or missing_variables.explain(error, path)
    )


def _handed_on(error: BaseException, file: LegacyFile) -> str:
    """The refusal of a name of Airflow that a package was given, where it fails in a way of its own."""
    values = users_frames.of_the_called(error, file)
    return next(
        (placeholder.sentence(value) for value in values if type(value) is placeholder.Placeholder), ""
    )


def _missing_module(error: BaseException, file: LegacyFile) -> str:
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    if isinstance(error, importlib.metadata.PackageNotFoundError) and error.name.startswith("apache-airflow"):
        return f"{error.name!r} is not installed where the file is executed; {airflow_names.VALUES}."
    top = error.name.partition(".")[0]
    if top in ("tfx", "airflow"):
        return ""
    looked = (
        f"{error}, neither in {list(file.folders)} nor installed in the TFX interpreter {sys.executable!r}. "
    )
    folder = Path(file.path).parent
    for above in [*folder.parents][:_ABOVE]:
        if (above / f"{top}.py").is_file() or (above / top).is_dir():
            return f"{looked}There is one in {str(above)!r}: adopt(..., folders=[{str(above)!r}])."
    return (
        f"{looked}If it is yours, name the folder that it is in: adopt(..., folders=[...]); if it is a package, install it "
        "in that interpreter."
    )
