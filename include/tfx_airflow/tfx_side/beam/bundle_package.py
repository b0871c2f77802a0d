"""The bundle's code as one wheel, for Beam's workers on a cluster that does not have it.

A wheel is named by its content, so it is built once for each version of the bundle and sent again unchanged. Workers of
this project unpack it; those of Beam's own images install it.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "tfx_airflow_bundle"
# Bytes; what is larger is data, which belongs where the workers can read it.
LARGEST = 8 << 20
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def build(folders: Sequence[str], home: str) -> Path:
    """The wheel of what is in some folders now; built only if it is not there.

    It holds all Python files, and other files beside them in packages, up to 8 MB each. Hidden folders and virtual
    environments are left out. What is in several folders is taken from the first.

    Args:
      folders: Import roots, the bundle's first.
      home: [tfx_airflow] home.

    Returns:
      `<home>/beam/tfx_airflow_bundle-0+<key>-py3-none-any.whl`.
    """
    files: dict[str, bytes] = {}
    for folder in folders:
        for name, path in _files(Path(folder)):
            if name not in files:
                files[name] = path.read_bytes()
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    version = f"0+{digest.hexdigest()[:16]}"
    wheel = Path(home, "beam", f"{NAME}-{version}-py3-none-any.whl")
    if not wheel.exists():
        _write(wheel, version, files)
        log.info("Packed the bundle's code for Beam's workers: %d files, %s.", len(files), wheel)
    return wheel


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    seen = set()
    for folder, names, found in os.walk(root, followlinks=True):
        here = os.path.realpath(folder)
        if here in seen or "pyvenv.cfg" in found:
            names.clear()
            continue
        seen.add(here)
        names[:] = sorted(
            n for n in names if not n.startswith(".") and n not in ("__pycache__", "node_modules")
        )
        package = "__init__.py" in found
        for name in sorted(found):
            path = Path(folder, name)
            if name.startswith(".") or not (name.endswith(".py") or package) or not path.is_file():
                continue
            if path.stat().st_size > LARGEST:
                log.warning("%s is not sent to Beam's workers: it has more than %d MB.", path, LARGEST >> 20)
                continue
            yield path.relative_to(root).as_posix(), path


def _write(wheel: Path, version: str, files: dict[str, bytes]) -> None:
    info = f"{NAME}-{version}.dist-info"
    added = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tfx-airflow\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f'"{name}",sha256={_digest(data)},{len(data)}\n' for name, data in sorted({**files, **added}.items())
    )
    added[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    wheel.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=wheel.parent)
    with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted({**files, **added}.items()):
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), data, zipfile.ZIP_DEFLATED)
    os.chmod(temporary, 0o644)
    os.replace(temporary, wheel)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
