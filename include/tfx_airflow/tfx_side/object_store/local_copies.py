"""Copies of artifacts on this machine's disk, by address and content: nodes that read the same artifact share one.

<folder>/copies/<digest>/<last part of the address>   the files; never changed
<folder>/copies/<digest>.lock                         locked while a process uses them; its content is their size
<folder>/work/<name>/                                 what a running node makes, and copies that are not complete
<folder>/work/<name>.lock                             locked by that node: without a lock, the folder is of one that died
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import posixpath
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from include.tfx_airflow.contract.errors import ObjectStoreError
from include.tfx_airflow.tfx_side.object_store import driver

# An object store has no empty folders, and an artifact without any object would be taken for gone.
EMPTY = ".empty"


class LocalCopies:
    """One folder's; what this process uses stays locked until `close`.

    Attributes:
      work: Folder for what this process makes.
    """

    def __init__(self, folder: str, most_bytes: int):
        """Makes the folders, and removes what dead nodes have left.

        Args:
          folder: On a disk of this machine, or one that it shares with Beam's workers.
          most_bytes: Of copies that are kept; more only while they are used.
        """
        self._copies, work = Path(folder, "copies"), Path(folder, "work")
        self._most_bytes = most_bytes
        self._used: dict[str, Any] = {}
        for made in (self._copies, work):
            made.mkdir(parents=True, exist_ok=True, mode=0o700)
        for lock in work.glob("*.lock"):
            self._remove_unused(lock)
        name = uuid.uuid4().hex
        self._work_lock = work / f"{name}.lock"
        self._lock(self._work_lock, fcntl.LOCK_EX)
        self.work = work / name
        self.work.mkdir()

    def of(self, address: str) -> str:
        """Path of a copy of an artifact's files.

        Raises:
          ObjectStoreError: They cannot be read, or there are none.
        """
        found = driver.files(address)
        if not found:
            raise ObjectStoreError(
                f"{address!r} has no files; clear the task that made them, with its downstream tasks."
            )
        digest = _digest(address, found)
        target = self._copies / digest / posixpath.basename(address.rstrip("/"))
        self._hold(digest, lambda: self._download(address, found, target))
        return str(target)

    def keep(self, address: str, path: str) -> None:
        """Makes what was just uploaded a copy, so that the next node on this machine need not download it."""
        found = driver.files(address)
        digest = _digest(address, found)
        target = self._copies / digest / posixpath.basename(address.rstrip("/"))
        self._hold(digest, lambda: self._put_in_place(Path(path), target))

    def close(self) -> None:
        """Removes what this process has made and not kept; others may remove the copies that it has used."""
        shutil.rmtree(self.work, ignore_errors=True)
        self._work_lock.unlink(missing_ok=True)
        for file in self._used.values():
            file.close()
        self._used.clear()

    def _hold(self, digest: str, make: Callable[[], None]) -> None:
        """Has a copy made unless it is there, and keeps others from removing it until `close`."""
        folder, path = self._copies / digest, self._copies / f"{digest}.lock"
        while str(path) not in self._used:
            file = path.open("a+", encoding="utf-8")
            try:
                is_alone = _is_locked_alone(file)
                if not is_alone:
                    fcntl.flock(file, fcntl.LOCK_SH)  # while another process makes it, this takes as long
                elif _is_at(path, file) and not folder.exists():
                    self._make_room()
                    make()
                    file.truncate(0)
                    file.write(str(_size(folder)))
                    file.flush()
                if is_alone:
                    # Not in one step: another process may get the lock in between, and remove the copy.
                    fcntl.flock(file, fcntl.LOCK_SH)
                if folder.exists() and _is_at(path, file):
                    self._used[str(path)] = file
            finally:
                if str(path) not in self._used:
                    file.close()
        os.utime(path)

    def _lock(self, path: Path, kind: int) -> Any:
        if str(path) in self._used:
            return self._used[str(path)]
        while True:
            file = path.open("a+", encoding="utf-8")
            fcntl.flock(file, kind)
            if _is_at(path, file):
                self._used[str(path)] = file
                return file
            file.close()

    def _download(self, address: str, found: Mapping[str, Mapping[str, Any]], target: Path) -> None:
        unfinished = self.work / target.parent.name
        try:
            base = address.rstrip("/")
            names = {f"{base}/{name}" if name else base: unfinished / "files" / name for name in found}
            for path in names.values():
                path.parent.mkdir(parents=True, exist_ok=True)
            with driver.answered(address):
                driver.of(address).get(list(names), [str(path) for path in names.values()])
            for name, info in found.items():
                path = unfinished / "files" / name
                if path.stat().st_size != int(info["size"] or 0):
                    raise ObjectStoreError(
                        f"{address!r} changed while it was read: {name!r}; run the task again."
                    )
            if set(found) == {EMPTY}:
                (unfinished / "files" / EMPTY).unlink()
            self._put_in_place(unfinished / "files", target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _put_in_place(self, files: Path, target: Path) -> None:
        """Makes files a copy at once, or not at all."""
        folder = self.work / uuid.uuid4().hex
        folder.mkdir()
        os.rename(files, folder / target.name)
        os.rename(folder, target.parent)

    def _make_room(self) -> None:
        """Removes the copies that were not used for the longest time, but none that is in use."""
        known = []
        for lock in self._copies.glob("*.lock"):
            with contextlib.suppress(OSError, ValueError):
                known.append((lock.stat().st_mtime, lock, int(lock.read_text() or 0)))
        left = sum(size for _, _, size in known)
        for _, lock, size in sorted(known):
            if left <= self._most_bytes:
                return
            if self._remove_unused(lock):
                left -= size

    def _remove_unused(self, lock: Path) -> bool:
        if str(lock) in self._used:
            return False
        try:
            with lock.open("a+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except OSError:  # in use
            return False
        return True


def _is_locked_alone(file: Any) -> bool:
    """Takes the lock of a file alone, unless others have it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, file: Any) -> bool:
    """Whether an open lock file is still the one at its path: whoever removes a copy removes its lock file."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _digest(address: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Of the address and of the content, as the store tells it."""
    facts = [
        (name, int(info["size"] or 0), next((str(info[key]) for key in _TAGS if info.get(key)), ""))
        for name, info in sorted(found.items())
    ]
    return hashlib.sha256(repr((address.rstrip("/"), facts)).encode()).hexdigest()[:32]


# What object stores say of an object's content: S3, and Google Cloud Storage; or else of its last change.
_TAGS = ("ETag", "etag", "md5Hash", "crc32c", "LastModified", "mtime")


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
