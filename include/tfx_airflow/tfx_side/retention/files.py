"""Files and folders as retention handles them, on disk or in an object store.

In an object store nothing is moved at once: objects are copied, then removed. What a killed try has moved in part is moved on by
the next: a copy has the content of what it was made from, so it may be made again.
"""

from __future__ import annotations

import contextlib
import os
import shutil

from include.tfx_airflow.contract.object_store import is_object_store
from include.tfx_airflow.tfx_side.object_store import driver

QUARANTINE = ".quarantine"


def exists(path: str) -> bool:
    """Whether there is something, or a link to nothing."""
    return bool(driver.files(path)) if is_object_store(path) else os.path.lexists(path)


def names(folder: str) -> list[str]:
    """Names in a folder, sorted; [] if it is none."""
    if is_object_store(folder):
        try:
            with driver.answered(folder):
                found = driver.of(folder).ls(folder, detail=False)
        except FileNotFoundError:
            return []
        return sorted({name.rstrip("/").rpartition("/")[2] for name in found})
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def times(path: str) -> list[float]:
    """When each file, and on disk each folder, was last changed; seconds since the epoch."""
    if is_object_store(path):
        return [driver.changed(info) for info in driver.files(path).values()]
    found = [os.lstat(path).st_mtime]
    for folder, folders, files in os.walk(path):
        with contextlib.suppress(FileNotFoundError):
            found += [os.lstat(os.path.join(folder, name)).st_mtime for name in (*folders, *files)]
    return found


def size(path: str) -> int:
    """Bytes of a file or of all files in a folder; 0 if it is not there."""
    if is_object_store(path):
        return sum(int(info["size"] or 0) for info in driver.files(path).values())
    try:
        total = os.lstat(path).st_size if not os.path.isdir(path) else 0
    except FileNotFoundError:
        return 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue
    return total


def move(path: str, target: str) -> bool:
    """Renames a place; whether it was there.

    Raises:
      OSError: It cannot be renamed, or there is something at the target.
      ObjectStoreError: The object store does not answer, or refuses.
    """
    if is_object_store(path):
        return _move_objects(path, target)
    if not os.path.lexists(path):
        return False
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        raise FileExistsError(f"there is already {target!r}")
    os.rename(path, target)
    folder = os.path.dirname(path)
    if os.path.basename(folder).isdecimal():  # `<execution id>` of a value, which is a file in it
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return True


def _move_objects(path: str, target: str) -> bool:
    found = driver.files(path)
    if not found:
        return False
    pairs = {_below(path, name): _below(target, name) for name in found}
    with driver.answered(path):
        driver.of(path).copy(list(pairs), list(pairs.values()), on_error="raise")
    there = driver.files(target)
    missing = [name for name, info in found.items() if there.get(name, {}).get("size") != info["size"]]
    if missing:
        raise OSError(f"{len(missing)} objects were not copied to {target!r}, such as {missing[0]!r}")
    with driver.answered(path):
        driver.of(path).rm(list(pairs))
    return True


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if name else path


def remove(path: str) -> None:
    """Removes a file or folder, if it is there.

    Raises:
      OSError: It cannot be removed.
      ObjectStoreError: The object store does not answer, or refuses.
    """
    if is_object_store(path):
        if found := driver.files(path):
            with driver.answered(path):
                driver.of(path).rm([_below(path, name) for name in found])
    elif os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def remove_quarantined(path: str) -> None:
    """Removes a place from quarantine, with the folders there that are empty then."""
    remove(path)
    if not is_object_store(path):
        _remove_empty(os.path.dirname(path), 4)


def _remove_empty(folder: str, most: int) -> None:
    """Removes folders of quarantine that are empty, from the inside out."""
    for _ in range(most):
        if QUARANTINE not in folder.split("/"):
            return
        try:
            os.rmdir(folder)
        except OSError:
            return
        folder = os.path.dirname(folder)
