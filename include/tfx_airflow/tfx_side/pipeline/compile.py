"""`python -m include.tfx_airflow.tfx_side.pipeline.compile`: compiles a pipeline function to manifest and IR.

Or all pipelines of a legacy DAG file. Reads one JSON request from standard input: reference, arguments or legacy,
roots, environment, folder. Writes `<folder>/<content key>/` atomically, or `<folder>/failed.json` when the pipeline is
at fault.
"""

from __future__ import annotations

import dataclasses
import gc
import graphlib
import importlib
import inspect
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from include.tfx_airflow.contract import fingerprint
from include.tfx_airflow.contract.errors import NoDagError, UnsupportedNodeError
from include.tfx_airflow.contract.legacy import LegacyDag, LegacyFile
from include.tfx_airflow.contract.manifest import (
    CHANGED_MEANWHILE,
    COMPILED,
    FAILED_FILE,
    IR_FILE,
    MANIFEST_FILE,
    NEEDED_FILE,
    NEEDS_VARIABLES,
    NO_DAG,
    PIPELINE_ERROR,
    Manifest,
)
from include.tfx_airflow.tfx_side.legacy import secret_values
from include.tfx_airflow.tfx_side.legacy.refused import FailedError, NeedsVariables
from include.tfx_airflow.tfx_side.pipeline import effects, watch
from include.tfx_airflow.tfx_side.pipeline.tfx_packages import OWN


def user_inputs(watched: watch.Watch, request: dict[str, Any]) -> dict[str, list[str]]:
    """What was read so far, and what the DAG file declares: `files`, `installed`, `variables`, `unseen`."""
    roots = request["roots"]
    found = watched.inputs(roots)
    declared = [fingerprint.abstract(path, roots) for path in request["compiled_from"]]
    return {
        "files": sorted({*found.files, *(f"tree:{path}" for path in declared)}),
        "installed": sorted(found.installed),
        "variables": sorted(found.variables),
        "unseen": sorted(found.unseen),
        "airflow_variables": sorted(_variables(request)),
    }


def _variables(request: dict[str, Any]) -> dict[str, str | None]:
    """Values of the Airflow Variables that a legacy DAG file asks for."""
    return request["legacy"]["variables"] if request["legacy"] else {}


def _key(inputs: dict[str, list[str]], request: dict[str, Any]) -> tuple[str | None, dict[str, str]]:
    """The key as `compiled.find` will compute it, and the environment in it."""
    roots = request["roots"]
    environment = dict(request["environment"])
    if inputs["installed"]:
        environment["installed"] = fingerprint.content_key(inputs["installed"], roots, {}) or "missing"
    if inputs["variables"]:
        environment["variables"] = fingerprint.variables_key(inputs["variables"], request["given"])
    if variables := _variables(request):
        environment["airflow_variables"] = fingerprint.variables_key(variables, variables)
    return fingerprint.content_key(inputs["files"], roots, environment), environment


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
        raise LookupError(
            f"module {module_name!r} has no function {function_name!r}; its functions are {known}."
        )
    return function


def _fail(
    folder: Path, request: dict[str, Any], watched: watch.Watch, kind: str, message: str, text: str
) -> int:
    watched.stop()
    inputs = user_inputs(watched, request)
    content, environment = _key(inputs, request)
    failure = {
        "kind": kind,
        "message": secret_values.masked(message, request["sensitive"]),
        "traceback": secret_values.masked(text, request["sensitive"]),
        **inputs,
        "content": content,
        "environment": environment,
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
        frames.tb_frame.f_code.co_filename.startswith(OWN)
        or "importlib" in frames.tb_frame.f_code.co_filename
    ):
        frames = frames.tb_next
    return "".join(traceback.format_exception(kind, error, frames))


_Part = tuple[LegacyDag | None, Callable[[tuple[str, ...]], Manifest], str]


def _of_function(request: dict[str, Any]) -> _Part:
    function = _function(request["reference"])
    try:
        inspect.signature(function).bind(**request["arguments"])
    except TypeError as error:
        raise LookupError(f"its arguments do not fit: {error}.") from None
    pipeline = function(**request["arguments"])
    from include.tfx_airflow.tfx_side.pipeline import ir

    doc = inspect.getdoc(function) or ""
    return None, *ir.compile_pipeline(
        pipeline, request["reference"], doc, request["roots"], request["environment"]
    )


def _legacy(request: dict[str, Any], watched: watch.Watch) -> tuple[list[_Part], set[str]]:
    """The pipelines of a file, and what it has made for them, as names for `fingerprint.content_key`."""
    from include.tfx_airflow.tfx_side.legacy import read_file, stand_ins
    from include.tfx_airflow.tfx_side.pipeline import ir

    file, roots = LegacyFile.of(request["legacy"]), request["roots"]
    # They stay until this process ends: what was imported through them is looked at later.
    found = read_file.read(file, stand_ins.StandIns(file))
    compiled = [
        (dag, *ir.compile_pipeline(pipeline, request["reference"], "", roots, request["environment"], file))
        for dag, pipeline in found
    ]
    watched.stop()
    done = watched.side_effects()
    made = done.made_for((text for _, _, text in compiled), roots)
    variables = done.variables()
    parts: list[_Part] = []
    for dag, manifest, text in compiled:
        # Those of the file, which its first DAG says.
        notes = () if parts else tuple(done.notes(made, file.working_folder))
        dag = dataclasses.replace(dag, variables=variables, notes=(*dag.notes, *notes))
        parts.append((dag.with_texts(lambda text: fingerprint.abstract(text, roots)), manifest, text))
    return parts, effects.inputs(made)


def compile_request(request: dict[str, Any], watched: watch.Watch) -> int:
    """Compiles the pipeline of a request; see the module docstring.

    Args:
      request: The request read from standard input.
      watched: A watch that has been started.

    Returns:
      COMPILED, PIPELINE_ERROR or CHANGED_MEANWHILE, the exit code.
    """
    folder, roots = Path(request["folder"]), request["roots"]
    started = time.time()
    try:
        parts, made = _legacy(request, watched) if request["legacy"] else ([_of_function(request)], set())
        watched.stop()
    except NeedsVariables as question:
        (folder / NEEDED_FILE).write_text(json.dumps(question.names), encoding="utf-8")
        return NEEDS_VARIABLES
    except LookupError as error:
        if type(error) is LookupError:
            return _fail(folder, request, watched, "reference", str(error), "")
        return _fail(folder, request, watched, "error", *_told(error))
    except UnsupportedNodeError as error:
        kind = NO_DAG if isinstance(error, NoDagError) else "unsupported"
        return _fail(folder, request, watched, kind, str(error).split(": ", 1)[1], "")
    except (Exception, SystemExit) as error:
        return _fail(folder, request, watched, "error", *_told(error))
    inputs = user_inputs(watched, request)
    inputs["files"] = sorted({*inputs["files"], *made})
    # mtime is only a warning sign and in no key: a file saved while TFX was being imported may have been
    # read before, and its new content must not be recorded for the old pipeline.
    if any(_saved_after(started, fingerprint.concrete(name, roots)) for name in inputs["files"]):
        return CHANGED_MEANWHILE
    content, environment = _key(inputs, request)
    if not content:
        return CHANGED_MEANWHILE  # a file has gone
    written = _texts(parts, inputs, environment)
    texts = [text for both in written for text in both]
    if secret := secret_values.find_in(texts, request["sensitive"]):
        return _fail(folder, request, watched, "unsupported", secret_values.refusal(secret), "")
    _write(folder, content, written)
    _remove_old(folder, {content, *request["kept"]})
    (folder / FAILED_FILE).unlink(missing_ok=True)
    return COMPILED


def _texts(
    parts: list[_Part], inputs: dict[str, list[str]], environment: dict[str, str]
) -> list[tuple[str, str]]:
    """Manifest and IR of each pipeline, as they are written."""
    made = []
    for number, (dag, manifest, text) in enumerate(parts):
        complete = dataclasses.replace(
            manifest(tuple(inputs["files"])),
            environment=environment,
            installed=tuple(inputs["installed"]),
            variables=tuple(inputs["variables"]),
            unseen=tuple(inputs["unseen"]),
            airflow_variables=tuple(inputs["airflow_variables"]),
            legacy=dag,
            others=0 if number else len(parts) - 1,
        )
        made.append((complete.to_json(), text))
    return made


def _saved_after(moment: float, path: str) -> bool:
    path = path.removeprefix("tree:")
    try:
        return os.path.isfile(path) and os.stat(path).st_mtime > moment
    except OSError:
        return True


def _remove_old(folder: Path, kept: set[str]) -> None:
    """Removes all entries but those to keep, and what a killed compiler left."""
    for entry in folder.iterdir():
        old = entry.name.startswith(".new-") and time.time() - entry.stat().st_mtime > 3600
        if entry.is_dir() and (old or (not entry.name.startswith(".") and entry.name not in kept)):
            shutil.rmtree(entry, ignore_errors=True)


def _told(error: BaseException) -> tuple[str, str]:
    """Message and traceback of the current error, or of what it comes from."""
    if isinstance(error, FailedError):
        assert error.__cause__
        message, lines = _told(error.__cause__)
        return error.place + message, lines and error.lines
    if type(error).__module__ == "tfx.utils.topsort":
        return _cycle(error), ""
    return _last_line(error), _own_traceback()


def _cycle(error: BaseException) -> str:
    """Names the nodes of a cycle: TFX says only that there is one, but knows its components."""
    frames = error.__traceback__
    while frames:
        components = frames.tb_frame.f_locals.get("deduped_components") or []
        graph = {node.id: [upstream.id for upstream in node.upstream_nodes] for node in components}
        try:
            list(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as cycle:
            return f"it has a cycle: {' -> '.join(cycle.args[1])}; remove one of these dependencies."
        frames = frames.tb_next
    return f"it has a cycle ({error})."


def _last_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    # TFX's own error says neither what is wrong nor what to do.
    parameter = "RuntimeParameter" in text or "NoneType.__new__" in text
    hint = (
        " (a RuntimeParameter needs ptype=str, int or float; it can be used in properties of components, in "
        "dicts, lists and texts, and compared as str() in a Cond; elsewhere use an argument of the function)"
    )
    return f"{type(error).__name__}: {text[:300]}{hint if parameter else ''}"


def _write(folder: Path, content: str, made: list[tuple[str, str]]) -> None:
    """Writes manifest and IR of each pipeline: of the first into the entry, of others into folders `1`, `2`, ..."""
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    os.chmod(temporary, 0o755)
    for number, (manifest, ir_text) in enumerate(made):
        place = temporary / str(number) if number else temporary
        place.mkdir(exist_ok=True)
        (place / IR_FILE).write_text(ir_text, encoding="utf-8")
        (place / MANIFEST_FILE).write_text(manifest, encoding="utf-8")
    try:
        temporary.rename(folder / content)
    except OSError:
        # An entry for that content exists (a damaged one, or it would have been found): replace it.
        shutil.rmtree(folder / content, ignore_errors=True)
        temporary.rename(folder / content)


if __name__ == "__main__":
    gc.disable()  # it takes nearly half the time of importing TFX, and this process ends soon
    asked = json.load(sys.stdin)
    watching = watch.Watch()
    watching.start()
    sys.exit(compile_request(asked, watching))
