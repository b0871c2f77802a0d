"""Makes a node's user modules importable, and their code part of TFX's cache key.

TFX keys its cache on a module's name or, for a wheel, on every file of its folder: the former misses
edits, the latter includes unrelated files. Here the key covers the module and what it imports of the
user's own files, transitively, and nothing else. It also covers data that a property names: a file
beside the user's code, and the reviewed schema of ImportSchemaGen.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2

from include.tfx_airflow.contract import json_texts
from include.tfx_airflow.contract.fingerprint import content_key
from include.tfx_airflow.contract.legacy import LegacyFile

# Execution property that carries the key; the panel compares it between runs.
FINGERPRINT_PROPERTY = "code_fingerprint"
# References to modules are dotted, anywhere in a text: run_fn, an executor class. That of an EvalConfig's metric may be one
# name, which is then all of a text.
_DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


@dataclasses.dataclass(frozen=True)
class UserCode:
    """The user's files that a node runs or reads.

    Attributes:
      key: SHA-256 over modules and data, 16 hexadecimal digits; "" when there are none.
      modules: Source of each module, by the path of its file.
      data: Paths of data.
      folders: Import roots, in which the modules were found.
    """

    key: str
    modules: dict[Path, bytes]
    data: tuple[Path, ...]
    folders: tuple[str, ...]


def prepare(
    node: pipeline_pb2.PipelineNode,
    executor_spec: object,
    folders: list[str],
    file: LegacyFile | None = None,
) -> UserCode | None:
    """Makes the node's user modules importable and adds their fingerprint to its parameters.

    Args:
      node: Changed in place.
      executor_spec: Unpacked executor spec of the node, None for system nodes.
      folders: Where the user's modules live: bundle root and [tfx_airflow] pythonpath.
      file: The legacy DAG file that the pipeline is from.

    Returns:
      What the fingerprint was made from; None when the node has no code of the user's.
    """
    if executor_spec is None:
        return None
    parameters = node.parameters.parameters
    text = {
        key: value.field_value.string_value
        for key, value in parameters.items()
        if value.HasField("field_value") and value.field_value.string_value
    }
    path = text.get("module_file", "")
    if path and "://" not in path:
        # Outside the bundle, or of a legacy DAG file: as in TFX's wheel, the file and its siblings are top-level modules.
        folder, name = os.path.split(os.path.abspath(path))
        sys.path.append(folder)
        # Beam's workers are processes of their own.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), folder]))
        folders = [*folders, folder]
        text["module_path"] = name.removesuffix(".py")
        del parameters["module_file"]
        parameters["module_path"].field_value.string_value = text["module_path"]
    modules = {}
    if file:  # after the module file's folder: a namesake beside the DAG file must not take its place
        folders = [*file.first, *folders, *file.folders]
        modules[file.module] = Path(file.path)
    names = [text["module_path"]] if "@" not in text.get("module_path", "@") else []
    for value in (*text.values(), _class_path(executor_spec)):
        names += _DOTTED_NAME.findall(value)
    text.pop("module_file", None)
    inside = [(key, found) for key, value in text.items() for found in json_texts.texts(value)]
    names += [found for _, found in inside if found.isidentifier()]
    named = {found for key, found in inside if _is_data(key, found, folders)}
    code = read(names, folders, sorted(named), modules)
    if not code.key:
        return None
    parameters[FINGERPRINT_PROPERTY].field_value.string_value = code.key
    return code


def _is_data(key: str, value: str, folders: list[str]) -> bool:
    # Other paths may be ones that the node writes to.
    ours = key == "schema_file" or any(Path(folder) in Path(value).parents for folder in folders)
    return os.path.isabs(value) and ours and os.path.isfile(value)


def _class_path(executor_spec: object) -> str:
    if isinstance(executor_spec, executable_spec_pb2.BeamExecutableSpec):
        return executor_spec.python_executor_spec.class_path
    if isinstance(executor_spec, executable_spec_pb2.PythonClassExecutableSpec):
        return executor_spec.class_path
    return ""


def read(
    names: list[str], folders: list[str], files: list[str], modules: Mapping[str, Path] | None = None
) -> UserCode:
    """Reads modules and what they import of the user's files, and takes the SHA-256 over these and over files.

    Args:
      names: Dotted module names; those not found below `folders` are not the user's and not counted.
      folders: Import roots of the user's modules.
      files: Paths of further files, data.
      modules: File by name of modules that are in no folder.
    """
    seen: dict[str, tuple[Path, bytes]] = {}
    queue = [prefix for name in names for prefix in _with_packages(name)]
    while queue:
        name = queue.pop()
        found = (modules or {}).get(name) or _find(name, folders)
        if name in seen or found is None:
            continue
        source = found.read_bytes()
        seen[name] = found, source
        package = name if found.name == "__init__.py" else name.rpartition(".")[0]
        queue += _imports(source, package)
    digest = hashlib.sha256()
    for path in sorted(files):  # by content: the folder may differ from machine to machine
        folder, name = os.path.split(path)
        digest.update(str(content_key([f"${{FOLDER}}/{name}"], {"FOLDER": folder}, {})).encode())
    for name, (_, source) in sorted(seen.items()):
        digest.update(name.encode() + b"\0" + source + b"\0")
    key = digest.hexdigest()[:16] if seen or files else ""
    return UserCode(key, dict(seen.values()), tuple(map(Path, files)), tuple(folders))


def _find(name: str, folders: list[str]) -> Path | None:
    if not name:
        return None
    for folder in folders:
        base = Path(folder, *name.split("."))
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Names a module may import, relative ones made absolute; packages on the way included."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return  # importing it gives a better error
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - statement.level + 1]) if statement.level else ""
            module = ".".join(filter(None, [base, statement.module]))
            names = [module, *(f"{module}.{alias.name}" for alias in statement.names)]
        else:
            continue
        for name in names:
            yield from _with_packages(name)


def _with_packages(name: str) -> Iterator[str]:
    """`a.b.c` and the packages whose `__init__` importing it runs: `a`, `a.b`."""
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def folders_of(roots: Mapping[str, str]) -> list[str]:
    """Import roots of the user's modules in this process."""
    extra = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    return list(dict.fromkeys([roots["BUNDLE_ROOT"], *extra]))
