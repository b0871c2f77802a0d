"""Which code a node runs, for people: the files behind its fingerprint, and the commit that they are from.

Both become properties of the execution and never parameters of the node. Those are TFX's cache key, and a
commit that touches other files must not make a node run again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from include.tfx_airflow.contract.fingerprint import file_key
from include.tfx_airflow.tfx_side.node import checkout
from include.tfx_airflow.tfx_side.node.user_code import UserCode

log = logging.getLogger(__name__)

FILES_PROPERTY, VERSION_PROPERTY = "code_files", "bundle_version"
MAX_FILES, MAX_NAME = 200, 500
# Stands for the folder of a file that is not in the bundle.
OUTSIDE = "${OUTSIDE}"


class CodeVersion:
    """The properties that tell which code a node runs; git works while the node is prepared."""

    def __init__(self, code: UserCode, bundle: str, version: str) -> None:
        """Begins.

        Args:
          code: What the node runs.
          bundle: The bundle's root.
          version: The bundle's version as Airflow knows it; "" when Airflow does not version it.
        """
        self._bundle, self._version = Path(bundle), version
        self._files = dict(_named(code, self._bundle))
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def properties(self) -> dict[str, str]:
        """Values of FILES_PROPERTY and VERSION_PROPERTY; without the latter when no version is known."""
        self._thread.join(checkout.SECONDS)
        version = {VERSION_PROPERTY: self._version} if self._version else {}
        return {FILES_PROPERTY: files_text({name: key for name, (_, key) in self._files.items()}), **version}

    def _ask(self) -> None:
        inside = {name: file for name, (file, _) in self._files.items() if not name.startswith(OUTSIDE)}
        try:
            self._version = checkout.bundle_version(self._bundle, self._version, inside)
        except Exception:  # no node fails for what only people read
            log.warning("The commit of the node's code is not known.", exc_info=True)


def _named(code: UserCode, bundle: Path) -> Iterator[tuple[str, tuple[Path | bytes, str]]]:
    """Content or path, and hash, of each file by its name."""
    for path, source in code.modules.items():
        yield _name(path, bundle, code.folders), (source, hashlib.sha256(source).hexdigest())
    for path in code.data:
        try:
            yield _name(path, bundle, code.folders), (path, file_key(str(path)))
        except OSError:
            continue  # it has gone meanwhile; the node says so if it needs it


def _name(path: Path, bundle: Path, folders: tuple[str, ...]) -> str:
    if path.is_relative_to(bundle):
        return path.relative_to(bundle).as_posix()
    folder = next((Path(folder) for folder in folders if path.is_relative_to(folder)), path.parent)
    return f"{OUTSIDE}/{path.relative_to(folder).as_posix()}"


def files_text(files: Mapping[str, str]) -> str:
    """JSON of the files' hashes by name, both bounded: `{"files": {...}, "left_out": 0}`.

    The first MAX_FILES by name are in it, without those whose name is longer than MAX_NAME.
    """
    kept = sorted(name for name in files if len(name) <= MAX_NAME)[:MAX_FILES]
    found = {name: files[name][:16] for name in kept}
    return json.dumps({"files": found, "left_out": len(files) - len(kept)}, separators=(",", ":"))
