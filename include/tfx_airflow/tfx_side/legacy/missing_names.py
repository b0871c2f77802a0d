"""Modules and names that an installed package does not have: a legacy file is written for another version of it."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

_IMPORT = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_ATTRIBUTE = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'")
# What TensorFlow calls its own modules in messages.
_ALIASES = {"keras._tf_keras.keras": "tensorflow.keras", "tensorflow._api.v2": "tensorflow"}
# Packages of few files, in which names have moved.
_SEARCHED = ("tfx", "tensorflow_data_validation", "tensorflow_model_analysis", "tensorflow_transform")
_MOST = 3
_OTHER = "Write what that version has instead."


def full_name(error: BaseException) -> str:
    """Full name of what is missing, such as `tensorflow.contrib`; "" for another error."""
    name = ""
    if isinstance(error, ModuleNotFoundError):
        name = error.name or ""
    elif isinstance(error, ImportError) and (found := _IMPORT.search(str(error))):
        name = f"{found[2]}.{found[1]}"
    elif isinstance(error, AttributeError) and (found := _ATTRIBUTE.search(str(error))):
        name = f"{found[1]}.{found[2]}"
    for alias, known in _ALIASES.items():
        if name.startswith(f"{alias}."):
            return known + name.removeprefix(alias)
    return name


def explain(error: BaseException, asker: str) -> str:
    """What to say of a name that an installed package lacks, with where it has it; "" for another error.

    Args:
      error: The error.
      asker: The package that asks for the name; "" if a file of the user's does.
    """
    name = full_name(error)
    top = name.partition(".")[0]
    package = sys.modules.get(top)
    if "." not in name or package is None or not _is_installed(package):
        return ""
    if isinstance(error, AttributeError) and _is_module(name):
        return f"{name!r} is a module, and not imported: write 'import {name}' above."
    lacks = f"{_version(top)}, which is installed in the TFX interpreter, has no {name!r}"
    if asker not in ("", top):
        return f"{lacks}, which {asker!r} asks for: install a version of {asker!r} there that fits it."
    return f"{lacks}; the file is written for another version. {_heir(package, name)}"


def _is_installed(package: ModuleType) -> bool:
    folders = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
    return (getattr(package, "__file__", None) or "").startswith(folders)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _version(top: str) -> str:
    if top in sys.stdlib_module_names:
        return f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    found = importlib.metadata.packages_distributions().get(top, [])
    own = [name for name in found if name.lower().replace("-", "_") == top]
    if names := own or (found if len(set(found)) == 1 else []):
        return f"{names[0]} {importlib.metadata.version(names[0])}"
    return f"the package {top!r}"


def _heir(package: ModuleType, name: str) -> str:
    top, *names = name.split(".")
    if top == "tensorflow" and names[0] == "keras":
        keras_2 = "Keras 2 has it: adopt(..., environment={'TF_USE_LEGACY_KERAS': '1'})."
        return keras_2 if _has("tf_keras", names[1:]) else _OTHER
    if top == "keras":
        return "Keras 2, which is 'tf_keras' there, has it." if _has("tf_keras", names) else _OTHER
    if top == "tensorflow" and _has("tensorflow.compat.v1", names):
        return f"It is 'tf.compat.v1.{'.'.join(names)}' now."
    found = _elsewhere(package, names[-1]) if top in _SEARCHED else []
    if not found:
        owner = name.rpartition(".")[0]
        known = [one for one in dir(sys.modules.get(owner)) if not one.startswith("_")]
        found = [f"{owner}.{one}" for one in difflib.get_close_matches(names[-1], known, n=1, cutoff=0.8)]
    return f"It has {' and '.join(map(repr, found))}." if found else _OTHER


def _has(module: str, names: Sequence[str]) -> bool:
    try:
        found = importlib.import_module(module)
        for name in names:
            if not hasattr(found, name):
                importlib.import_module(f"{found.__name__}.{name}")
            found = getattr(found, name)
    except (ImportError, AttributeError):
        return False
    return True


def _elsewhere(package: ModuleType, name: str) -> list[str]:
    """Full names of the modules of that name in a package, or else of classes and functions; [] if there are too many."""
    defined = re.compile(rf"^(class|def) {name}\b|^{name} = ", re.MULTILINE)
    top = Path(package.__file__ or "").parent
    modules, others = list[str](), list[str]()
    for path in sorted(top.rglob("*.py")):
        parts = path.relative_to(top.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if module.endswith(("_test", ".testing")):
            continue
        if module.rpartition(".")[2] == name:
            modules.append(module)
        elif defined.search(path.read_text(encoding="utf-8", errors="replace")):
            others.append(f"{module}.{name}")
    found = modules or others
    return found if len(found) <= _MOST else []
