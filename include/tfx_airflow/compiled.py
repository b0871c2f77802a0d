"""Compiled pipelines on disk: found by content, or compiled once in the TFX interpreter.

    <home>/compiled/<function>-<arguments key>/<content key>/{manifest,pipeline}.json

Compiling takes as long as importing TFX (10-20 s), which may be more than Airflow allows a DAG file.
Therefore the compiling child has its own session and holds the lock: when a parse is cut off, the
child goes on, and the next parse finds its work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import json
import logging
import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from include.tfx_airflow import fingerprint, process
from include.tfx_airflow.errors import CompileError, ManifestError, UnsupportedNodeError
from include.tfx_airflow.manifest import FORMAT, IR_FILE, MANIFEST_FILE, Manifest
from include.tfx_airflow.settings import Settings

log = logging.getLogger(__name__)

FAILED_FILE, LOG_FILE = "failed.json", "compile.log"
# Exit codes of tfx_side.compile.
COMPILED, PIPELINE_ERROR, CHANGED_MEANWHILE = 0, 3, 4
# A pipeline that did not compile is not tried again for this long while its files stay the same.
_FAILURE_SECONDS = 120
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A compiled pipeline: its manifest, its folder, whether it was found or made, seconds taken."""

    manifest: Manifest
    folder: Path
    found: bool
    seconds: float

    @property
    def ir(self) -> Path:
        """The IR that the TFX launcher runs."""
        return self.folder / IR_FILE


def load(
    reference: str,
    arguments: Mapping[str, Any],
    settings: Settings,
    patience: float | None = None,
    force: bool = False,
) -> Compiled:
    """Finds the compiled pipeline that fits what the files hold now, or compiles it.

    Args:
      reference: `module:function` of a function that returns a `tfx.dsl.Pipeline`.
      arguments: JSON-able keyword arguments of the function.
      settings: Where to look and which interpreter compiles.
      patience: Seconds to wait for the compiling child, which goes on without us; None waits on.
      force: Forget that it did not compile a moment ago.

    Raises:
      CompileError: The reference or the pipeline is at fault; ends with the pipeline's traceback.
      SettingsError: It must be compiled and there is no TFX interpreter.
    """
    start = time.monotonic()
    deadline = start + patience if patience else None
    folder = _folder(reference, arguments, settings)
    for _ in range(3):
        compiled = find(folder, settings)
        if compiled:
            manifest, where = compiled
            return Compiled(manifest, where, found=True, seconds=time.monotonic() - start)
        if not force:
            _raise_known_failure(reference, folder, settings)
        if _compile(reference, arguments, folder, settings, deadline) == CHANGED_MEANWHILE:
            continue
        compiled = find(folder, settings)
        if compiled:
            manifest, where = compiled
            seconds = time.monotonic() - start
            log.info("Compiled %s in %.1f s: %d nodes.", reference, seconds, len(manifest.nodes))
            return Compiled(manifest, where, found=False, seconds=seconds)
    raise CompileError(f"the files of {reference!r} change faster than they compile; save them and wait.")


def find(folder: Path, settings: Settings) -> tuple[Manifest, Path] | None:
    """Looks for an entry whose files still hold what it was compiled from.

    Without an interpreter the entry's own TFX environment is taken on trust: it was compiled
    ahead of time, elsewhere.
    """
    for entry in sorted(folder.glob(f"*/{MANIFEST_FILE}")):
        try:
            manifest = Manifest.read(entry.parent)
        except (ManifestError, OSError, UnicodeDecodeError):
            continue
        here = environment(settings.python) if settings.python else manifest.environment
        same = fingerprint.content_key(manifest.files, settings.roots(), here) == entry.parent.name
        if same and (entry.parent / IR_FILE).is_file():
            return manifest, entry.parent
    return None


@functools.lru_cache(maxsize=8)
def environment(python: str) -> dict[str, str]:
    """TFX and Python version of an interpreter, read from its folder without starting it."""
    prefix = Path(python).parent.parent
    for info in sorted(prefix.glob("lib/python3.*/site-packages/tfx-*.dist-info")):
        return {"tfx": info.name.split("-")[1].removesuffix(".dist"), "python": info.parts[-3]}
    # Not a venv of its own (a system or user install): ask it, which takes some 50 ms.
    code = (
        "import sys, importlib.metadata as m; print(m.version('tfx'), 'python%d.%d' % sys.version_info[:2])"
    )
    try:
        answer = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
        version, name = answer.stdout.split()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {"tfx": "missing", "python": "unknown"}
    return {"tfx": version, "python": name}


def _folder(reference: str, arguments: Mapping[str, Any], settings: Settings) -> Path:
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise CompileError(f"{reference!r} is not a reference of the form 'package.module:function'.")
    try:
        key = fingerprint.arguments_key(reference, arguments, FORMAT)
    except TypeError as error:
        raise CompileError(
            f"the arguments of {reference!r} must be JSON-able, and {dict(arguments)!r} is not: {error}."
        ) from None
    return settings.compiled / f"{reference.replace(':', '.')}-{key}"


def _raise_known_failure(reference: str, folder: Path, settings: Settings) -> None:
    if not settings.python:
        return
    try:
        failure = json.loads((folder / FAILED_FILE).read_text(encoding="utf-8"))
        now = fingerprint.content_key(failure["files"], settings.roots(), environment(settings.python))
        known = now == failure["content"] and time.time() - failure["time"] < _FAILURE_SECONDS
    except (OSError, ValueError, KeyError, TypeError):
        return  # none, or a damaged one
    if known:
        _raise(reference, failure)


def _raise(reference: str, failure: Mapping[str, Any]) -> None:
    kind = UnsupportedNodeError if failure["kind"] == "unsupported" else CompileError
    raise kind(f"{reference!r}: {failure['message']}", tail=failure["traceback"])


def _compile(
    reference: str,
    arguments: Mapping[str, Any],
    folder: Path,
    settings: Settings,
    deadline: float | None,
) -> int:
    python = settings.interpreter()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CompileError(
            f"{reference!r} is not compiled yet and {str(folder)!r} cannot be written ({error.strerror}); "
            "set [tfx_airflow] home to a folder that this user can write, or compile ahead of time."
        ) from None
    try:
        _wait_for_lock(lock, reference, deadline)
        if find(folder, settings):  # another process compiled the same while we came here
            return COMPILED
        log.info("Compiling %s in %s (10-20 s) ...", reference, python)
        request = {
            "reference": reference,
            "arguments": dict(arguments),
            "roots": settings.roots(),
            "environment": environment(python),
            "folder": str(folder),
        }

        def make_files() -> tuple[int, int, int]:
            stdin = os.memfd_create("request")
            os.write(stdin, json.dumps(request).encode())
            os.lseek(stdin, 0, os.SEEK_SET)
            output = os.open(folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            return stdin, output, os.dup(lock)

        def remaining() -> float | None:
            return deadline and max(deadline - time.monotonic(), 0.1)

        try:
            compiling = process.start(
                settings,
                "include.tfx_airflow.tfx_side.compile",
                make_files,
                reference,
                detached=True,
                timeout=remaining(),
            )
            code = compiling.wait(remaining())
        except subprocess.TimeoutExpired:
            _raise_still_compiling(reference)
        if code is None and find(folder, settings):
            code = COMPILED  # the node server was killed, its child was not
    finally:
        os.close(lock)
    if code == PIPELINE_ERROR:
        _raise(reference, json.loads((folder / FAILED_FILE).read_text(encoding="utf-8")))
    if code not in (COMPILED, CHANGED_MEANWHILE):
        lines = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        raise CompileError(
            f"{reference!r}: the compiling child of {python!r} ended with exit code {code}; its last lines:",
            tail="\n".join(lines),
        )
    return code


def _raise_still_compiling(reference: str) -> NoReturn:
    raise CompileError(
        f"{reference!r} is still being compiled, longer than Airflow's dagbag_import_timeout allows a DAG "
        "file. That goes on in the background and the next parse finds it; nothing is to be done. "
        "'python -m include.tfx_airflow compile' does it ahead of time."
    )


def _wait_for_lock(lock: int, reference: str, deadline: float | None) -> None:
    """Waits while another process compiles the same."""
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if deadline and time.monotonic() > deadline:
            _raise_still_compiling(reference)
        time.sleep(0.2)
