"""Fingerprints of what a pipeline was compiled from: by content, never by modification time.

Synced deployments (git bundles, images, shared volumes) touch files without changing them, and
change files while keeping their times. Standard library only; both interpreters use it.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

# Bytes; larger files (data, not code) are read again only when they change, not at each parse.
_LARGE = 4 * 1024 * 1024


def abstract(text: str, roots: Mapping[str, str]) -> str:
    """Replaces machine paths by their `${NAME}`; the longest root wins.

    Only where a path begins and a folder's name ends: not in `s3://bucket/srv/bundle/x` nor in
    `/srv/bundle-old/x`.

    Args:
      text: Any text, such as a path or the JSON of a pipeline.
      roots: Absolute folder by name.
    """
    for name, folder in sorted(roots.items(), key=lambda item: -len(item[1])):
        path = re.escape(folder.rstrip("/"))
        text = re.sub(rf"(?<![\w./$}}~-]){path}(?![\w.-])", f"${{{name}}}", text)
    return text


def concrete(text: str, roots: Mapping[str, str]) -> str:
    """Fills `${NAME}` in again: the inverse of `abstract` on this machine."""
    for name, folder in roots.items():
        text = text.replace(f"${{{name}}}", folder.rstrip("/"))
    return text


def arguments_key(
    reference: str, arguments: Mapping[str, Any], manifest_format: int, compiled_from: Iterable[str] = ()
) -> str:
    """Key of a pipeline function with its arguments and declared inputs: 16 hexadecimal digits."""
    text = json.dumps([manifest_format, reference, arguments, sorted(compiled_from)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def packages_key(folder: Path) -> str:
    """Key of the packages in a site-packages folder and of what its .pth files add: 16 hexadecimal digits."""
    names = sorted(
        n for n in os.listdir(folder) if n.endswith((".dist-info", ".egg-info", ".egg-link", ".pth"))
    )
    digest = hashlib.sha256("\0".join(names).encode())
    for name in names:
        if name.endswith((".pth", ".egg-link")) and (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def variables_key(names: Iterable[str], environment: Mapping[str, str | None]) -> str:
    """Key of the values that environment variables have: 16 hexadecimal digits, empty without names.

    The values are hashed all together, so that the key reveals none of them.
    """
    given = {name: environment.get(name) for name in sorted(set(names))}
    return hashlib.sha256(json.dumps(given).encode()).hexdigest()[:16] if given else ""


def content_key(
    files: Iterable[str],
    roots: Mapping[str, str],
    environment: Mapping[str, str],
    seen: dict[str, str | None] | None = None,
) -> str | None:
    """Key of what the named files hold now, in a given TFX environment: 16 hexadecimal digits.

    Args:
      files: Paths as `${NAME}/relative/path`, or absolute. `folder:` before a path stands for the names in
        a folder, `exists:` for whether there is a file, a folder or nothing, `glob:` for the paths that match a
        pattern, `tree:` for a file, or all files below a folder.
      roots: Absolute folder by name.
      environment: TFX version, Python version and whatever else affects compiling.
      seen: Keys of files that were read already; added to.

    Returns:
      The key, or None when a file cannot be read.
    """
    digest = hashlib.sha256(json.dumps(dict(environment), sort_keys=True).encode())
    seen = {} if seen is None else seen
    for name in sorted(files):
        if name not in seen:
            seen[name] = _key_of(name, roots)
        if seen[name] is None:
            return None
        digest.update(f"{name}\0{seen[name]}\0".encode())
    return digest.hexdigest()[:16]


def _key_of(name: str, roots: Mapping[str, str]) -> str | None:
    kind, path = "file", concrete(name, roots)
    if match := re.match(r"(folder|exists|glob|tree):", path):
        kind, path = match[1], path[match.end() :]
    try:
        if kind == "exists":
            return "folder" if os.path.isdir(path) else "file" if os.path.exists(path) else "nothing"
        if kind == "folder":
            return _text_key(sorted(filter(_counts, os.listdir(path)))) if os.path.isdir(path) else "nothing"
        if kind == "glob":
            return _text_key(sorted(abstract(found, roots) for found in glob.glob(path) if _counts(found)))
        if kind == "tree":
            return _tree_key(path)
        return file_key(path)
    except OSError:
        return None


def _counts(name: str) -> bool:
    return not name.endswith((".pyc", "__pycache__"))


def _text_key(names: list[str]) -> str:
    return hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()


def _tree_key(path: str) -> str:
    if os.path.isfile(path):
        return file_key(path)
    keys = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(filter(_counts, folders))
        for name in sorted(filter(_counts, names)):
            file = os.path.join(folder, name)
            if os.path.isfile(file):
                keys.append(f"{os.path.relpath(file, path)}={file_key(file)}")
    return _text_key(keys) if os.path.isdir(path) else "nothing"


def file_key(path: str) -> str:
    """SHA-256 of a file's content, hexadecimal.

    Raises:
      OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_size > _LARGE:
            return _large_file_key(path, file, status)
        return hashlib.sha256(file.read()).hexdigest()


def _large_file_key(path: str, file: BinaryIO, status: os.stat_result) -> str:
    """By content too, but read only once: the kernel's time of the last change (ctime) cannot be set back."""
    stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]
    memory = os.path.join(
        tempfile.gettempdir(), f"tfx-airflow-{os.getuid()}", hashlib.sha256(path.encode()).hexdigest()[:32]
    )
    try:
        if os.stat(os.path.dirname(memory)).st_uid == os.getuid():
            with open(memory, encoding="utf-8") as known:
                old, key = json.load(known)
            if old == stamp:
                return str(key)
    except (OSError, ValueError, TypeError):
        pass  # not yet, or damaged
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    key = digest.hexdigest()
    # A file that has just changed may change again within the same time stamp.
    if time.time_ns() - status.st_ctime_ns > 2_000_000_000:
        try:
            os.makedirs(os.path.dirname(memory), mode=0o700, exist_ok=True)
            if os.stat(os.path.dirname(memory)).st_uid == os.getuid():
                new = f"{memory}.{os.getpid()}"
                with open(new, "w", encoding="utf-8") as known:
                    json.dump([stamp, key], known)
                os.replace(new, memory)
        except OSError:
            pass  # it is read again next time
    return key
