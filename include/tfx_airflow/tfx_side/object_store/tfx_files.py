"""TFX's `fileio` on object stores: TensorFlow, which it uses otherwise, has no file system for most of them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable
from typing import Any

from tfx.dsl.io import fileio, filesystem, filesystem_registry

from include.tfx_airflow.contract.object_store import scheme
from include.tfx_airflow.tfx_side.object_store import driver

# Before TFX's own, which has 10 and 20: the lower number is preferred.
_PRIORITY = 5


class _Stat:
    """As TensorFlow's: TFX makes fingerprints of input files from it."""

    def __init__(self, info: dict[str, Any]):
        self.length = int(info["size"] or 0)
        self.mtime_nsec = int(driver.changed(info) * 1e9)
        self.is_directory = info["type"] == "directory"


class ObjectStoreFiles(filesystem.Filesystem):
    """TFX's plug-in; a folder is what has objects below it."""

    SUPPORTED_SCHEMES: list[str] = []  # told to `register`, which sees what is installed

    @staticmethod
    def open(name: str, mode: str = "r") -> Any:
        """Opens an object."""
        with _found(name):
            return driver.of(name).open(name, mode)

    @staticmethod
    def copy(src: str, dst: str, overwrite: bool = False) -> None:
        """Copies an object."""
        if not overwrite and ObjectStoreFiles.exists(dst):
            raise OSError(f"{dst!r} exists.")
        with _found(src):
            driver.of(src).copy(src, dst)

    @staticmethod
    def exists(path: str) -> bool:
        """Whether there is an object, or one below."""
        with driver.answered(path):
            try:
                driver.of(path).info(path)
            except FileNotFoundError:
                return False
            return True

    @staticmethod
    def glob(pattern: str) -> list[str]:
        """Names that match."""
        with driver.answered(pattern):
            return sorted(_address(pattern, found) for found in driver.of(pattern).glob(pattern))

    @staticmethod
    def isdir(path: str) -> bool:
        """Whether there are objects below."""
        with driver.answered(path):
            try:
                return driver.of(path).info(path)["type"] == "directory"
            except FileNotFoundError:
                return False

    @staticmethod
    def listdir(path: str) -> list[str]:
        """Names directly below."""
        with _found(path):
            base = driver.of(path)._strip_protocol(path)
            names = driver.of(path).ls(path, detail=False)
            return [posixpath.basename(name.rstrip("/")) for name in names if name.rstrip("/") != base]

    @staticmethod
    def makedirs(path: str) -> None:
        """Nothing: an object needs no folder."""

    @staticmethod
    def mkdir(path: str) -> None:
        """Nothing: an object needs no folder."""

    @staticmethod
    def remove(path: str) -> None:
        """Removes an object."""
        with _found(path):
            driver.of(path).rm_file(path)

    @staticmethod
    def rename(src: str, dst: str, overwrite: bool = False) -> None:
        """Copies an object or what is below it, then removes it."""
        if not overwrite and ObjectStoreFiles.exists(dst):
            raise OSError(f"{dst!r} exists.")
        with _found(src):
            driver.of(src).mv(src, dst, recursive=True)

    @staticmethod
    def rmtree(path: str) -> None:
        """Removes all objects below."""
        with _found(path):
            driver.of(path).rm(path, recursive=True)

    @staticmethod
    def stat(path: str) -> Any:
        """Size and time of the last change."""
        with _found(path):
            return _Stat(driver.of(path).info(path))

    @staticmethod
    def walk(
        top: str, topdown: bool = True, onerror: Callable[..., None] | None = None
    ) -> Iterable[tuple[str, list[str], list[str]]]:
        """Folders with the names in them."""
        with _found(top):
            found = [
                (_address(top, folder), sorted(folders), sorted(name for name in names if name))
                for folder, folders, names in driver.of(top).walk(top)
            ]
        yield from found if topdown else reversed(found)


class _found:
    """Raises TFX's error where there is nothing."""

    def __init__(self, path: str):
        self._answered = driver.answered(path)
        self._path = path

    def __enter__(self) -> None:
        self._answered.__enter__()

    def __exit__(self, kind: Any, error: Any, frames: Any) -> bool | None:
        if isinstance(error, FileNotFoundError):
            raise fileio.NotFoundError(f"there is nothing at {self._path!r}") from error
        return self._answered.__exit__(kind, error, frames)


def _address(like: str, path: str) -> str:
    return f"{scheme(like)}://{path}"


def register() -> None:
    """Makes TFX use this for the schemes whose drivers are installed."""
    ObjectStoreFiles.SUPPORTED_SCHEMES = [f"{name}://" for name in driver.installed()]
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(ObjectStoreFiles, priority=_PRIORITY)
