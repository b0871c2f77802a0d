"""What to say of an error that executing a legacy DAG file ends in."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from pathlib import Path

from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.tfx_side.legacy import dropped_names, dropped_uses
from include.tfx_airflow.tfx_side.legacy.refused import RefusedError

_NOT_THE_USERS = (
    str(Path(__file__).resolve().parents[2]) + "/",
    *{f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    "<",
)
# How far above the file's folder a module of its is looked for.
_ABOVE = 4


def explain(error: Exception, file: LegacyFile) -> str:
    """The error in a sentence, with its line and the cure, and all dropped names of TFX; "" if it is best left as it is.

    Args:
      error: What was raised.
      file: The file.
    """
    frame = _users_frame(error)
    sentence = str(error) if isinstance(error, RefusedError) else dropped_names.explain(error, frame[2])
    sentence = (
        sentence or _missing_module(error, file) or _missing_file(error, file) or _missing_variable(error)
    )
    if not sentence:
        return ""
    path, line, _ = frame
    found = {(path, sentence): {line} - {0}}
    for one in dict.fromkeys(filter(os.path.isfile, [path, file.path])):
        for dropped, lines in dropped_uses.find_in(Path(one).read_bytes()).items():
            found.setdefault((one, dropped), set()).update(lines)
    return " Also ".join(f"{_place(path, lines, file)}{text}" for (path, text), lines in found.items())


def place(error: BaseException, file: LegacyFile) -> str:
    """Where in the user's files an error comes from: `line 12: `, or `helpers.py, line 12: `."""
    path, line, _ = _users_frame(error)
    return _place(path, {line} - {0}, file)


def is_in_file(error: BaseException, file: LegacyFile) -> bool:
    """Whether an error comes from the file itself, and not from what it calls or imports."""
    return traceback.extract_tb(error.__traceback__)[-1].filename == file.path


def _place(path: str, lines: set[int], file: LegacyFile) -> str:
    if not lines:
        return ""
    name = "" if path == file.path else f"{os.path.relpath(path, os.path.dirname(file.path))}, "
    return f"{name}line{'s' * (len(lines) > 1)} {', '.join(map(str, sorted(lines)))}: "


def _users_frame(error: BaseException) -> tuple[str, int, str]:
    """Path, line and source of the innermost frame in a file of the user's; empty if there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(_NOT_THE_USERS):
            return frame.filename, frame.lineno or 0, frame.line or ""
    return "", 0, ""


def _missing_module(error: Exception, file: LegacyFile) -> str:
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
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


def _missing_file(error: Exception, file: LegacyFile) -> str:
    if not isinstance(error, FileNotFoundError) or file.working_folder:
        return ""
    path = error.filename
    if not isinstance(path, str) or os.path.isabs(path) or "://" in path:
        return ""
    return (
        f"there is no {path!r}, which is meant from the working directory: here the bundle's root, under Airflow 2 the "
        "folder in which it was started. Name that folder: adopt(..., working_folder='/srv/airflow')."
    )


def _missing_variable(error: Exception) -> str:
    innermost = traceback.extract_tb(error.__traceback__)[-1].filename
    if not isinstance(error, KeyError) or innermost not in (os.__file__, "<frozen os>"):
        return ""
    name = error.args[0]
    kept = " (those whose names begin with AIRFLOW are kept from it)" if name.startswith("AIRFLOW") else ""
    return (
        f"there is no environment variable {name!r} where the file is executed{kept}: give it to adopt in "
        f"environment={{{name!r}: ...}}, or set it for Airflow."
    )
