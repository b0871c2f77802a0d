"""Opens local files below allowed folders, so that no link leads out of them.

A path is resolved first and then opened part by part, from the root on, without following links: a link that is
created in between makes opening fail instead of leading elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from mlmd_panel.errors import PayloadError, PayloadGone

# Without O_NONBLOCK a named pipe would wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECTORY

Row = tuple[str, int, int]


def open_file(path: str, roots: Sequence[str], shown: str) -> BinaryIO:
    """Opens a plain file.

    Args:
      path: Absolute.
      roots: Absolute folders; what the path resolves to must lie below one of them.
      shown: How errors call the file.

    Raises:
      PayloadGone: There is no such file.
      PayloadError: It leads out of the roots, is not a plain file, or may not be read.
    """
    with _errors(shown):
        folder, parts = _resolve(path, roots)
        if not parts:
            raise PayloadError(f"{shown} is a folder, not a file.")
        with _descend(folder, parts[:-1]) as at:
            mode = os.stat(parts[-1], dir_fd=at, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                raise PayloadError(f"{shown} is a folder, not a file.")
            if not stat.S_ISREG(mode):
                raise PayloadError(
                    f"{shown} is not a regular file."
                )  # merely opening a device can have effects
            opened = os.open(parts[-1], _FILE, dir_fd=at)
        try:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise PayloadError(f"{shown} is not a regular file.")
            return io.BufferedReader(_File(opened, shown))
        except BaseException:
            os.close(opened)
            raise


class _File(io.FileIO):
    """A file that raises the panel's errors while it is read, too."""

    def __init__(self, opened: int, shown: str):
        super().__init__(opened, "rb")
        self._shown = shown

    def readinto(self, buffer: Any) -> int:
        with _errors(self._shown):
            return super().readinto(buffer)


def walk(path: str, roots: Sequence[str], depth: int, limit: int) -> tuple[list[Row], bool]:
    """Plain files below a folder.

    Args:
      path: Absolute; of a file, the one row has the name "".
      roots: As for `open_file`.
      depth: Folders are entered this deep; folders that are links never.
      limit: No more than this many files and folders are looked at.

    Returns:
      (name below the folder, bytes, milliseconds of the last change) of each, and whether something was left out.

    Raises:
      PayloadGone: There is nothing there.
      PayloadError: It leads out of the roots, or may not be read.
    """
    rows: list[Row] = []
    with _errors("The artifact's folder"):
        folder, parts = _resolve(path, roots)
        if parts:
            with _descend(folder, parts[:-1]) as at:
                found = os.stat(parts[-1], dir_fd=at, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    return [_row("", found)], False
                if not stat.S_ISDIR(found.st_mode):
                    raise PayloadError("The artifact's URI is neither a folder nor a regular file.")
        budget = [limit]
        with _descend(folder, parts) as at:
            cut = _walk(at, "", path, roots, depth, budget, rows)
    return rows, cut


def _walk(
    at: int, prefix: str, path: str, roots: Sequence[str], depth: int, budget: list[int], rows: list[Row]
) -> bool:
    folders = []
    cut = False
    with os.scandir(at) as entries:
        for entry in entries:
            if budget[0] <= 0:
                cut = True
                break
            budget[0] -= 1
            with contextlib.suppress(OSError, PayloadError):  # gone since, or a link that leads out
                if entry.is_symlink():
                    with open_file(os.path.join(path, prefix + entry.name), roots, entry.name) as file:
                        rows.append(_row(prefix + entry.name, os.fstat(file.fileno())))
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.is_file(follow_symlinks=False):
                    rows.append(_row(prefix + entry.name, entry.stat(follow_symlinks=False)))
    for name in sorted(folders):
        if depth <= 1:
            return True
        try:
            with _open_folder(name, at) as below:
                cut |= _walk(below, f"{prefix}{name}/", path, roots, depth - 1, budget, rows)
        except OSError:  # gone since, or not ours to read
            cut = True
    return cut


def _row(name: str, found: os.stat_result) -> Row:
    # A name that is not UTF-8 cannot be shown or sent; such a file cannot be asked for either.
    return name.encode(errors="replace").decode(), found.st_size, found.st_mtime_ns // 1_000_000


def _resolve(path: str, roots: Sequence[str]) -> tuple[str, list[str]]:
    """The root that a path resolves into, itself resolved, and the parts below it."""
    real = os.path.realpath(path)
    for root in roots:
        folder = os.path.realpath(root)
        if os.path.commonpath([folder, real]) == folder:
            parts = os.path.relpath(real, folder).split(os.sep)
            return folder, [] if parts == [os.curdir] else parts
    raise PayloadError("The artifact's files are outside the panel's allowed roots: a link leads there.")


@contextlib.contextmanager
def _descend(folder: str, parts: Sequence[str]) -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        at = stack.enter_context(_open_folder(folder, None))
        for part in parts:
            at = stack.enter_context(_open_folder(part, at))
        yield at


@contextlib.contextmanager
def _open_folder(name: str, at: int | None) -> Iterator[int]:
    opened = os.open(name, _FOLDER, dir_fd=at)
    try:
        yield opened
    finally:
        os.close(opened)


@contextlib.contextmanager
def _errors(shown: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PayloadGone(
            f"{shown} is missing: there is nothing at the location that the store records."
        ) from error
    except PermissionError as error:
        raise PayloadError(
            f"{shown} cannot be read by the user that the panel runs as; check its permissions."
        ) from error
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "unknown reason"
        raise PayloadError(f"{shown} cannot be read: {reason}.") from error
