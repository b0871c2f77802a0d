"""Compiled pipelines on disk: found by content, or compiled once in the TFX interpreter.

    <home>/compiled/<function>-<arguments key>/<content key>/{manifest,pipeline}.json

The pipelines of a legacy DAG file are in one entry: the first there, others in folders `1`, `2`, ... in it.

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
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.configuration import AIRFLOW_HOME

from include.tfx_airflow.airflow_side import airflow_variables, machines, tfx_environment
from include.tfx_airflow.contract import fingerprint, templates
from include.tfx_airflow.contract.errors import (
    CompileError,
    ManifestError,
    NoDagError,
    StillCompilingError,
    UnsupportedNodeError,
)
from include.tfx_airflow.contract.manifest import (
    CHANGED_MEANWHILE,
    COMPILED,
    FAILED_FILE,
    FORMAT,
    IR_FILE,
    NEEDED_FILE,
    NEEDS_VARIABLES,
    NO_DAG,
    PIPELINE_ERROR,
    Manifest,
)
from include.tfx_airflow.node_process import process
from include.tfx_airflow.settings import Settings

if TYPE_CHECKING:
    from include.tfx_airflow.contract.legacy import LegacyFile

log = logging.getLogger(__name__)

_LOG_FILE = "compile.log"
# How many entries to keep for one function and its arguments: the versions used last.
KEPT = 6
_MARK_SECONDS = 3600
_TRIES = 3
# A pipeline that did not compile is not tried again for this long while its files stay the same.
_FAILURE_SECONDS = 120
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclasses.dataclass(frozen=True)
class Source:
    """What is compiled: a pipeline function with its arguments, or a legacy DAG file.

    Attributes:
      reference: `module:function`, or the path of the file.
      arguments: JSON-able keyword arguments of the function.
      compiled_from: `AirflowPipelineConfig.compiled_from`.
      file: The legacy DAG file, without the values of Variables; None for a function.
      environment: Environment variables for what compiles and for the nodes.
    """

    reference: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    compiled_from: Sequence[str] = ()
    file: LegacyFile | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A compiled pipeline: its manifest, its folder, whether it was found or made, seconds taken, what it is from."""

    manifest: Manifest
    folder: Path
    found: bool
    seconds: float
    source: Source = Source("")

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
    source = Source(reference, arguments, compiled_from)
    return _load(source, _folder(source, settings), settings, patience, force)


def load_file(
    file: LegacyFile,
    settings: Settings,
    environment: Mapping[str, str],
    patience: float | None = None,
    force: bool = False,
) -> list[Compiled]:
    """Finds the compiled pipelines of a legacy DAG file, or compiles them; at least one.

    Args:
      file: The file, without the values of Variables.
      settings: See `load`.
      environment: Environment variables for what compiles and for the nodes.
      patience: See `load`.
      force: See `load`.

    Raises:
      CompileError: See `load`.
      NoDagError: It makes no DAG.
      SettingsError: See `load`.
    """
    reference = fingerprint.abstract(file.path, settings.roots())
    folders = [fingerprint.abstract(folder, settings.roots()) for folder in file.folders]
    given: dict[str, Any] = {"folders": folders, "environment": dict(environment)}
    if file.working_folder:
        given["working_folder"] = fingerprint.abstract(file.working_folder, settings.roots())
    key = fingerprint.arguments_key(reference, given, FORMAT)
    # Many such files look there for their data. A child has no other variable of Airflow's.
    source = Source(reference, file=file, environment={"AIRFLOW_HOME": AIRFLOW_HOME, **environment})
    first = _load(source, settings.compiled / f"{file.module}-{key}", settings, patience, force)
    found = [first]
    for number in range(1, first.manifest.others + 1):
        folder = first.folder / str(number)
        found.append(dataclasses.replace(first, manifest=Manifest.read(folder), folder=folder))
    return found


def _load(source: Source, folder: Path, settings: Settings, patience: float | None, force: bool) -> Compiled:
    start = time.monotonic()
    deadline = start + patience if patience else None
    names: set[str] = set()
    tries = 0
    while tries < _TRIES:
        compiled = find(folder, settings, source.environment)
        if compiled:
            manifest, where = compiled
            return Compiled(manifest, where, True, time.monotonic() - start, source)
        if machines.is_task():  # the DAG processor has compiled it, where other machines find it
            machines.check_home(settings, f"the compiled {source.reference!r} is not in it")
        if not force:
            _raise_known_failure(source, folder, settings)
        code = _compile(source, folder, settings, deadline, names)
        if code == NEEDS_VARIABLES:
            asked = json.loads((folder / NEEDED_FILE).read_text(encoding="utf-8"))
            tries += set(asked) <= names
            names |= set(asked)
            continue
        tries += 1
        if code == CHANGED_MEANWHILE:
            continue
        compiled = find(folder, settings, source.environment)
        if compiled:
            manifest, where = compiled
            seconds = time.monotonic() - start
            log.info("Compiled %s in %.1f s: %d nodes.", source.reference, seconds, len(manifest.nodes))
            if manifest.unseen:
                log.warning(
                    "%s was compiled from %s; changes there are not noticed. Read it in a node, or copy it "
                    "to a file.",
                    source.reference,
                    ", ".join(manifest.unseen),
                )
            return Compiled(manifest, where, False, seconds, source)
    raise CompileError(
        f"the files of {source.reference!r} kept changing while it was compiled; save them and wait."
    )


def find(
    folder: Path, settings: Settings, environment: Mapping[str, str] | None = None
) -> tuple[Manifest, Path] | None:
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
            manifest.installed,
            manifest.variables,
            settings,
            manifest.environment,
            seen,
            environment,
            manifest.airflow_variables,
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


def _folder(source: Source, settings: Settings) -> Path:
    reference, arguments = source.reference, dict(source.arguments)
    if type(reference).__name__ == "Pipeline":
        raise CompileError(
            f"run() was given {reference!r}. Here a DAG file holds no live pipeline: name the function that returns it, "
            "AirflowDagRunner(...).run('include.taxi.pipeline:create_pipeline', argument=...); or, if the file was "
            "written for tfx.orchestration.airflow, leave it as it is and write a DAG file with "
            "adopt('legacy/taxi_pipeline.py')."
        )
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise CompileError(f"{reference!r} is not a reference of the form 'package.module:function'.")
    for name, template in templates.in_arguments(arguments):
        raise CompileError(
            f"argument {name!r} of {reference!r} contains the template {template!r}, but arguments are not "
            "rendered: use a RuntimeParameter there in the pipeline, and put the template into "
            "AirflowPipelineConfig.runtime_parameters or computed_parameters."
        )
    try:
        key = fingerprint.arguments_key(reference, arguments, FORMAT, source.compiled_from)
    except TypeError as error:
        raise CompileError(
            f"the arguments of {reference!r} must be JSON-serializable, but {arguments!r} is not: {error}."
        ) from None
    return settings.compiled / f"{reference.replace(':', '.')}-{key}"


def _raise_known_failure(source: Source, folder: Path, settings: Settings) -> None:
    try:
        failure = json.loads((folder / FAILED_FILE).read_text(encoding="utf-8"))
        lasting = failure["kind"] == NO_DAG
        if not settings.python and not lasting:
            return
        here = tfx_environment.now(
            failure["installed"],
            failure["variables"],
            settings,
            failure.get("environment", {}),
            own_environment=source.environment,
            names=failure["airflow_variables"],
        )
        now = fingerprint.content_key(failure["files"], settings.roots(), here)
        known = now == failure["content"] and (lasting or time.time() - failure["time"] < _FAILURE_SECONDS)
    except (OSError, ValueError, KeyError, TypeError):
        return  # none, or a damaged one
    if known:
        _raise(source.reference, failure)


def _raise(reference: str, failure: Mapping[str, Any]) -> None:
    kinds = {"unsupported": UnsupportedNodeError, NO_DAG: NoDagError}
    kind = kinds.get(failure["kind"], CompileError)
    raise kind(f"{reference!r}: {failure['message']}", tail=failure["traceback"])


def _compile(
    source: Source, folder: Path, settings: Settings, deadline: float | None, names: Collection[str]
) -> int:
    python, reference = settings.interpreter(), source.reference
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
        if find(folder, settings, source.environment):  # another process has compiled it in the meantime
            return COMPILED
        log.info("Compiling %s in %s (10-20 s) ...", reference, python)
        values = airflow_variables.values(names) if names else {}
        file = source.file and dataclasses.asdict(dataclasses.replace(source.file, variables=values))
        request = {
            "reference": reference,
            "arguments": dict(source.arguments),
            "legacy": file,
            "sensitive": airflow_variables.secrets(values),
            "roots": settings.roots(),
            "environment": tfx_environment.versions(python),
            "given": process.child_environment(settings, source.environment),
            "compiled_from": list(source.compiled_from),
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
                own_environment=source.environment,
            )
            code = compiling.wait(remaining())
        except subprocess.TimeoutExpired:
            _raise_still_compiling(reference)
        if code is None and find(folder, settings, source.environment):
            code = COMPILED  # the node server was killed, its child was not
    finally:
        os.close(lock)
    if code == PIPELINE_ERROR:
        _raise(reference, json.loads((folder / FAILED_FILE).read_text(encoding="utf-8")))
    if code not in (COMPILED, CHANGED_MEANWHILE, NEEDS_VARIABLES):
        lines = (folder / _LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        ended = "ended with an unknown exit code" if code is None else process.end_of(code)
        raise CompileError(
            f"{reference!r}: the process of {python!r} that compiles it {ended}; its last lines:",
            tail="\n".join(lines),
        )
    return code


def _raise_still_compiling(reference: str) -> NoReturn:
    raise StillCompilingError(
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
