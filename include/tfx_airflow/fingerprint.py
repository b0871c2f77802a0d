"""Content fingerprints: what a pipeline was compiled from, by content and never by mtime.

Synced deployments (git bundles, images, shared volumes) touch files without changing them, and
change files while keeping their times. Standard library only; both interpreters use it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

# Files over this size that a pipeline function reads (data, not code) count by size only.
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
        text = re.sub(rf"(?<![\w./$}}~-]){path}(?![\w.-])", lambda _, name=name: f"${{{name}}}", text)
    return text


def concrete(text: str, roots: Mapping[str, str]) -> str:
    """Fills `${NAME}` in again: the inverse of `abstract` on this machine."""
    for name, folder in roots.items():
        text = text.replace(f"${{{name}}}", folder.rstrip("/"))
    return text


def arguments_key(reference: str, arguments: Mapping[str, Any], manifest_format: int) -> str:
    """Key of a pipeline function with its arguments: 16 hexadecimal digits."""
    text = json.dumps([manifest_format, reference, arguments], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_key(files: Iterable[str], roots: Mapping[str, str], environment: Mapping[str, str]) -> str | None:
    """Key of what the named files hold now, in a given TFX environment: 16 hexadecimal digits.

    Args:
      files: Paths as `${NAME}/relative/path`, or absolute.
      roots: Absolute folder by name.
      environment: TFX version and Python version that compile.

    Returns:
      The key, or None when a file cannot be read.
    """
    digest = hashlib.sha256(json.dumps(dict(environment), sort_keys=True).encode())
    for name in sorted(files):
        digest.update(name.encode() + b"\0")
        try:
            with open(concrete(name, roots), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                digest.update(str(size).encode() + b"\0")
                if size <= _LARGE:
                    digest.update(file.read())
        except OSError:
            return None
    return digest.hexdigest()[:16]
