"""Compiled pipelines on disk: found by content, or compiled once in the TFX interpreter.

    <home>/compiled/<function>-<arguments key>/<content key>/{manifest,pipeline}.json

Compiling takes as long as importing TFX (10-20 s), which may be more than Airflow allows a DAG file.
So the child that compiles has a session of its own and holds the lock: when a parse is cut off, the
child carries on, and the next parse finds its result.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from include.tfx_airflow.airflow_side import machines, tfx_environment
from include.tfx_airflow.contract import fingerprint, templates
from include.tfx_airflow.contract.errors import CompileError, ManifestError, UnsupportedNodeError
from include.tfx_airflow.contract.manifest import (
    CHANGED_MEANWHILE,
    COMPILED,
    FAILED_FILE,
    FORMAT,
    IR_FILE,
    PIPELINE_ERROR,
    Manifest,
)
from include.tfx_airflow.node_process import process
from include.tfx_airflow.settings import Settings

log = logging.getLogger(__name__)

_LOG_FILE = "compile.log"
# How many entries to keep for one function and its arguments: the versions used last.
KEPT = 6
_MARK_SECONDS = 3600
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
    compiled_from: Sequence[str] = (),
) -> Compiled:
    """Finds the compiled pipeline that fits what the files hold now, or compiles it.

    Args:
      reference: `module:function` of a function that returns a `tfx.dsl.Pipeline`.
      arguments: JSON-able keyword arguments of the function.
      settings: Where to look and which interpreter compiles.
      patience: Seconds to wait for the child that compiles, which carries on regardless; None waits for its end.
      force: Compile again even if it failed a moment ago.
      compiled_from: `AirflowPipelineConfig.compiled_from`.

    Raises:
      CompileError: The reference or the pipeline is at fault; ends with the pipeline's traceback.
      SettingsError: It must be compiled and there is no TFX interpreter; or for a task on a machine that does not
        share the DAG processor's `home`.
    """
    start = time.monotonic()
    deadline = start + patience if patience else None
    folder = _folder(reference, arguments, settings, compiled_from)
    for _ in range(3):
        compiled = find(folder, settings)
        if compiled:
            manifest, where = compiled
            return Compiled(manifest, where, found=True, seconds=time.monotonic() - start)
        if machines.is_task():  # the DAG processor has compiled it, where other machines find it
            machines.check_home(settings, f"the compiled {reference!r} is not in it")
        if not force:
            _raise_known_failure(reference, folder, settings)
        if _compile(reference, arguments, folder, settings, deadline, compiled_from) == CHANGED_MEANWHILE:
            continue
        compiled = find(folder, settings)
        if compiled:
            manifest, where = compiled
            seconds = time.monotonic() - start
            log.info("Compiled %s in %.1f s: %d nodes.", reference, seconds, len(manifest.nodes))
            if manifest.unseen:
                log.warning(
                    "%s was compiled from %s; changes there are not noticed. Read it in a node, or copy it "
                    "to a file.",
                    reference,
                    ", ".join(manifest.unseen),
                )
            return Compiled(manifest, where, found=False, seconds=seconds)
    raise CompileError(f"the files of {reference!r} kept changing while it was compiled; save them and wait.")


def find(folder: Path, settings: Settings) -> tuple[Manifest, Path] | None:
    """Looks among the newest entries for one whose files are unchanged since it was compiled.

    Without an interpreter the entry's own TFX environment is taken on trust: it was compiled
    ahead of time, elsewhere.
    """
    roots, seen = settings.roots(), dict[str, str | None]()
    for entry in newest(folder):
        try:
            manifest = Manifest.read(entry)
        except (ManifestError, OSError, UnicodeDecodeError):
            continue
        here = tfx_environment.now(
            manifest.installed, manifest.variables, settings, manifest.environment, seen
        )
        same = fingerprint.content_key(manifest.files, roots, here, seen) == entry.name
        if same and (entry / IR_FILE).is_file():
            _used(entry)
            return manifest, entry
    return None


def newest(folder: Path) -> list[Path]:
    """The entries that were used last, as many as are kept; the latest first."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir():
                found.append((entry.stat().st_mtime, entry.name))
    return [folder / name for _, name in sorted(found, reverse=True)[:KEPT]]


def _used(entry: Path) -> None:
    """Marks an entry as used; not at each parse, which otherwise writes nothing."""
    with contextlib.suppress(OSError):
        if time.time() - entry.stat().st_mtime > _MARK_SECONDS:
            os.utime(entry)


def _folder(
    reference: str, arguments: Mapping[str, Any], settings: Settings, compiled_from: Sequence[str]
) -> Path:
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise CompileError(f"{reference!r} is not a reference of the form 'package.module:function'.")
    for name, template in templates.in_arguments(dict(arguments)):
        raise CompileError(
            f"argument {name!r} of {reference!r} contains the template {template!r}, but arguments are not "
            "rendered: use a RuntimeParameter there in the pipeline, and put the template into "
            "AirflowPipelineConfig.runtime_parameters or computed_parameters."
        )
    try:
        key = fingerprint.arguments_key(reference, arguments, FORMAT, compiled_from)
    except TypeError as error:
        raise CompileError(
            f"the arguments of {reference!r} must be JSON-serializable, but {dict(arguments)!r} is not: {error}."
        ) from None
    return settings.compiled / f"{reference.replace(':', '.')}-{key}"


def _raise_known_failure(reference: str, folder: Path, settings: Settings) -> None:
    if not settings.python:
        return
    try:
        failure = json.loads((folder / FAILED_FILE).read_text(encoding="utf-8"))
        here = tfx_environment.now(failure["installed"], failure["variables"], settings, {})
        now = fingerprint.content_key(failure["files"], settings.roots(), here)
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
    compiled_from: Sequence[str],
) -> int:
    python = settings.interpreter()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CompileError(
            f"{reference!r} is not compiled yet and {str(folder)!r} cannot be written ({error.strerror}); "
            "set [tfx_airflow] home to a folder that this user can write to, or compile ahead of time."
        ) from None
    try:
        _wait_for_lock(lock, reference, deadline)
        if find(folder, settings):  # another process has compiled it in the meantime
            return COMPILED
        log.info("Compiling %s in %s (10-20 s) ...", reference, python)
        request = {
            "reference": reference,
            "arguments": dict(arguments),
            "roots": settings.roots(),
            "environment": tfx_environment.versions(python),
            "given": process.child_environment(settings),
            "compiled_from": list(compiled_from),
            "folder": str(folder),
            "kept": [entry.name for entry in newest(folder)[: KEPT - 1]],
        }

        def make_files() -> tuple[int, int, int]:
            stdin = os.memfd_create("request")
            os.write(stdin, json.dumps(request).encode())
            os.lseek(stdin, 0, os.SEEK_SET)
            output = os.open(folder / _LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            return stdin, output, os.dup(lock)

        def remaining() -> float | None:
            return deadline and max(deadline - time.monotonic(), 0.1)

        try:
            compiling = process.start(
                settings,
                "include.tfx_airflow.tfx_side.pipeline.compile",
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
        lines = (folder / _LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        ended = "ended with an unknown exit code" if code is None else process.end_of(code)
        raise CompileError(
            f"{reference!r}: the process of {python!r} that compiles it {ended}; its last lines:",
            tail="\n".join(lines),
        )
    return code


def _raise_still_compiling(reference: str) -> NoReturn:
    raise CompileError(
        f"{reference!r} is still being compiled, and Airflow's dagbag_import_timeout does not let a DAG file "
        "wait longer. Compiling continues in the background and a later parse finds the result; you need not "
        "do anything. To compile ahead of time, run 'python -m include.tfx_airflow compile'."
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
