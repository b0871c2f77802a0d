"""Which lines of an error's traceback are the user's: those of a legacy DAG file, and of modules that it imports."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from include.tfx_airflow.contract.legacy import LegacyFile

OWN = str(Path(__file__).resolve().parents[2]) + "/"
PACKAGES = tuple(f"{sysconfig.get_path(name)}/" for name in ("purelib", "platlib"))
_NOT_THE_USERS = (
    OWN,
    *{f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    "<",
)


def innermost(error: BaseException, file: LegacyFile) -> tuple[str, int, str]:
    """Path, line and source of what failed in a file of the user's; empty if nothing there did."""
    if isinstance(error, SyntaxError) and error.filename and _is_users(error.filename, file):
        return error.filename, error.lineno or 0, error.text or ""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_users(frame.filename, file):
            return frame.filename, frame.lineno or 0, frame.line or ""
    return "", 0, ""


def of_users(frames: Iterable[tuple[str, int]], file: LegacyFile) -> list[tuple[str, int]]:
    """Those of the user's among paths and lines of frames, the innermost first; [] if that is of an installed package."""
    found: list[tuple[str, int]] = []
    for path, line in frames:
        if _is_users(path, file):
            found.append((path, line))
        elif path.startswith(PACKAGES) and not found:
            return []
    return found


def asker(error: BaseException, file: LegacyFile) -> str:
    """The package that failed; "" if it is a file of the user's, or this program."""
    found, frames = "", error.__traceback__
    while frames:
        path = frames.tb_frame.f_code.co_filename
        if not path.startswith("<"):
            is_package = not _is_users(path, file) and not path.startswith(OWN)
            found = frames.tb_frame.f_globals["__name__"].partition(".")[0] if is_package else ""
        frames = frames.tb_next
    return found


def of_the_called(error: BaseException, file: LegacyFile) -> list[Any]:
    """The values that what the user's innermost line calls had when it failed."""
    found, frames = list[Any](), error.__traceback__
    while frames:
        if _is_users(frames.tb_frame.f_code.co_filename, file):
            found = []
        else:
            found += frames.tb_frame.f_locals.values()
        frames = frames.tb_next
    return found


def text(error: BaseException, file: LegacyFile) -> str:
    """The traceback with the user's lines, and the line that failed; that of what it comes from as well."""
    whole = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = whole
    while part:
        last = part.stack[-1:]
        users = [frame for frame in part.stack[:-1] if _is_users(frame.filename, file)]
        part.stack = traceback.StackSummary.from_list([*users, *last])
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    return "".join(whole.format())


def _is_users(path: str, file: LegacyFile) -> bool:
    return path == file.path or not path.startswith(_NOT_THE_USERS)
