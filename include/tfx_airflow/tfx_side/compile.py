"""`python -m include.tfx_airflow.tfx_side.compile`: a pipeline function becomes manifest and IR.

Reads one JSON request from standard input: reference, arguments, roots, environment, folder. Writes
`<folder>/<content key>/` atomically, or `<folder>/failed.json` when the pipeline is at fault.
"""

from __future__ import annotations

import gc
import graphlib
import importlib
import inspect
import json
import os
import shutil
import sys
import sysconfig
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from include.tfx_airflow import fingerprint
from include.tfx_airflow.compiled import CHANGED_MEANWHILE, COMPILED, FAILED_FILE, PIPELINE_ERROR
from include.tfx_airflow.errors import UnsupportedNodeError
from include.tfx_airflow.manifest import IR_FILE, MANIFEST_FILE

_opened: set[str] = set()


def _remember_opened(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: what a pipeline function reads is what it was compiled from."""
    if event == "open" and isinstance(arguments[0], str) and arguments[1] in ("r", "rb", None):
        _opened.add(arguments[0])


def user_files(roots: dict[str, str], state: str) -> list[str]:
    """Files of the user that this process has imported or read, as `${ROOT}/path`.

    Left out: the interpreter and its packages, this package, the state folder, the system, dot files.
    """
    paths = sysconfig.get_paths()
    own = str(Path(__file__).resolve().parents[1])
    skipped = _folders(
        own,
        state,
        os.path.dirname(sys.executable),
        *(paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")),
    )
    kept = _folders(roots["BUNDLE_ROOT"], *os.environ.get("PYTHONPATH", "").split(os.pathsep))
    system = _folders(tempfile.gettempdir(), "/proc", "/sys", "/dev", "/etc", "/usr")
    files = set()
    modules = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    for name in [*modules, *_opened]:
        path = os.path.abspath(name) if name else "/"
        if path.startswith(skipped):
            continue
        # Caches and settings of libraries, such as ~/.keras, are not what the pipeline is made of.
        if not path.startswith(kept) and (path.startswith(system) or "/." in path):
            continue
        if os.path.isfile(path) and not path.endswith((".pyc", ".so")):
            files.add(fingerprint.abstract(path, roots))
    return sorted(files)


def _folders(*paths: str) -> tuple[str, ...]:
    return tuple(path.rstrip("/") + "/" for path in paths if path)


def _function(reference: str) -> Any:
    module_name, function_name = reference.split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise LookupError(
                f"no module {error.name!r} on {os.environ.get('PYTHONPATH')!r}; "
                "check the reference, or add its folder to [tfx_airflow] pythonpath."
            ) from None
        raise
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [
            n
            for n, v in vars(module).items()
            if inspect.isfunction(v) and v.__module__ == module_name and n[0] != "_"
        ]
        raise LookupError(f"module {module_name!r} has no function {function_name!r}; it has {known}.")
    return function


def _fail(folder: Path, request: dict[str, Any], kind: str, message: str, text: str) -> int:
    roots = request["roots"]
    files = user_files(roots, roots["TFX_AIRFLOW_HOME"])
    failure = {
        "kind": kind,
        "message": message,
        "traceback": text,
        "files": files,
        "content": fingerprint.content_key(files, roots, request["environment"]),
        "time": time.time(),
    }
    temporary = folder / f"{FAILED_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(failure), encoding="utf-8")
    temporary.replace(folder / FAILED_FILE)
    return PIPELINE_ERROR


def _own_traceback() -> str:
    """The current traceback from the pipeline's first line on, without this file's frames."""
    kind, error, frames = sys.exc_info()
    assert kind
    while frames and (
        frames.tb_frame.f_code.co_filename == __file__ or "importlib" in frames.tb_frame.f_code.co_filename
    ):
        frames = frames.tb_next
    return "".join(traceback.format_exception(kind, error, frames))


def compile_request(request: dict[str, Any]) -> int:
    """Compiles what is asked for; see the module docstring.

    Returns:
      COMPILED, PIPELINE_ERROR or CHANGED_MEANWHILE, the exit code.
    """
    folder, roots = Path(request["folder"]), request["roots"]
    started = time.time()
    from tfx.utils import topsort  # a light module, unlike those of the compiler

    try:
        function = _function(request["reference"])
        try:
            inspect.signature(function).bind(**request["arguments"])
        except TypeError as error:
            raise LookupError(f"its arguments do not fit: {error}.") from None
        pipeline = function(**request["arguments"])
        from include.tfx_airflow.tfx_side import ir

        manifest, text = ir.compile_pipeline(
            pipeline, request["reference"], inspect.getdoc(function) or "", roots, request["environment"]
        )
    except LookupError as error:
        if type(error) is LookupError:
            return _fail(folder, request, "reference", str(error), "")
        return _fail(folder, request, "error", _last_line(error), _own_traceback())
    except UnsupportedNodeError as error:
        return _fail(folder, request, "unsupported", str(error).split(": ", 1)[1], "")
    except topsort.InvalidDAGError as error:
        return _fail(folder, request, "error", _cycle(error), "")
    except (Exception, SystemExit) as error:
        return _fail(folder, request, "error", _last_line(error), _own_traceback())
    files = user_files(roots, roots["TFX_AIRFLOW_HOME"])
    # mtime only raises doubt, it is in no key: a file saved while TFX was imported may have been
    # read before, and its new content must not stand for the old pipeline.
    if any(os.stat(fingerprint.concrete(name, roots)).st_mtime > started for name in files):
        return CHANGED_MEANWHILE
    content = fingerprint.content_key(files, roots, request["environment"])
    assert content
    _write(folder, content, manifest(tuple(files)).to_json(), text)
    (folder / FAILED_FILE).unlink(missing_ok=True)
    return COMPILED


def _cycle(error: Exception) -> str:
    """Names the nodes of a cycle: TFX says only that there is one, but knows its components."""
    frames = error.__traceback__
    while frames:
        components = frames.tb_frame.f_locals.get("deduped_components") or []
        graph = {node.id: [upstream.id for upstream in node.upstream_nodes] for node in components}
        try:
            list(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as cycle:
            return f"it has a cycle: {' -> '.join(cycle.args[1])}; one of these must not wait for the other."
        frames = frames.tb_next
    return f"it has a cycle ({error})."


def _last_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


def _write(folder: Path, content: str, manifest: str, ir_text: str) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    os.chmod(temporary, 0o755)
    (temporary / IR_FILE).write_text(ir_text, encoding="utf-8")
    (temporary / MANIFEST_FILE).write_text(manifest, encoding="utf-8")
    try:
        temporary.rename(folder / content)
    except OSError:
        # An entry of that content is there already (a damaged one when we came here): replace it.
        shutil.rmtree(folder / content, ignore_errors=True)
        temporary.rename(folder / content)


if __name__ == "__main__":
    gc.disable()  # it takes nearly half of the time of importing TFX, and this process ends soon
    sys.addaudithook(_remember_opened)
    sys.exit(compile_request(json.load(sys.stdin)))
