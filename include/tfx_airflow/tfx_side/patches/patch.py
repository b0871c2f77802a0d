"""One change of a library, undone when it is no longer needed."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import hashlib
import importlib
import inspect
import logging
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

log = logging.getLogger(__name__)

# Fields of syntax trees: annotations, `u""`.
_NOT_RUN = ("annotation", "returns", "type_comment", "kind")


@dataclasses.dataclass(frozen=True)
class Patch:
    """A function of a library, and what takes its place.

    Attributes:
      module: The module that has it. While nothing has imported its package, there is nothing to do.
      name: Its name there, such as `Matrices.merge`.
      replacement: Makes the new value from the old one.
      stands_on: By name in the module, or by `module:name`, the fingerprints with which the functions that the patch
        relies on are known.
    """

    module: str
    name: str
    replacement: Callable[[Any], Any]
    stands_on: Mapping[str, frozenset[str]]

    def problem(self) -> str:
        """Why it cannot be applied; "" when it can."""
        package = self.module.partition(".")[0]
        if package not in sys.modules:
            return f"{package} is not imported"
        try:
            module = importlib.import_module(self.module)
        except ImportError as error:
            return f"the module cannot be imported: {error}"
        for name, known in self.stands_on.items():
            other, _, inside = name.rpartition(":")
            try:
                found = fingerprint(_get(sys.modules[other] if other else module, inside))
            except (AttributeError, KeyError, OSError, SyntaxError, TypeError) as error:
                return f"{name} cannot be read: {error}"
            if found not in known:
                return f"{name} is not as expected: fingerprint {found}, known are {', '.join(sorted(known))}"
        return ""

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Applies it inside the block, or logs at debug level why not."""
        if problem := self.problem():
            log.debug("%s.%s stays as it is: %s", self.module, self.name, problem)
            yield
            return
        path, _, name = self.name.rpartition(".")
        owner = _get(sys.modules[self.module], path) if path else sys.modules[self.module]
        before = getattr(owner, name)
        setattr(owner, name, self.replacement(before))
        try:
            yield
        finally:
            setattr(owner, name, before)


def fingerprint(value: Any) -> str:
    """Hash of the code of a function or class without its docstrings, comments, annotations and layout."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(value))))
    return hashlib.sha256(repr(_code(tree)).encode()).hexdigest()[:16]


def _code(node: Any) -> Any:
    """What runs of a syntax tree, in the same words in each version of Python."""
    if isinstance(node, list):
        return [_code(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {name: value for name, value in ast.iter_fields(node) if name not in _NOT_RUN}
    documented = (ast.FunctionDef, ast.ClassDef, ast.Module)
    if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    found = ((name, _code(value)) for name, value in sorted(fields.items()))
    # Newer versions have fields that are empty in older code.
    return type(node).__name__, [(name, value) for name, value in found if value not in (None, [])]


def _get(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module
