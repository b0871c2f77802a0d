"""Names that a legacy file may import, and not use: many such files import more than they need."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from include.tfx_airflow.tfx_side.legacy import tries
from include.tfx_airflow.tfx_side.legacy.refused import RefusedError


class Placeholder:
    """Stands for a class, function or module; refuses to be called, subclassed, looked into or asked whether it is true.

    It may be named in annotations, such as `BaseOperator | None`.
    """

    def __init__(self, name: str, refusal: str) -> None:
        """Takes the full name, and what to say when it is used."""
        vars(self).update({"_name": name, "_refusal": refusal})

    def _refuse(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise RefusedError(self._refusal)

    __call__ = __bool__ = __iter__ = __getitem__ = __enter__ = __mro_entries__ = __instancecheck__ = _refuse

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    def __or__(self, other: Any) -> Placeholder:
        return self

    __ror__ = __or__

    def __repr__(self) -> str:
        return self._name


def is_tried() -> bool:
    """Whether the line that imports something, or asks a module for it, is in a `try` that goes on without it.

    Such a file tries one name after another, for several versions; it must not get the first one that is only a
    placeholder.
    """
    frame = sys._getframe(1)
    while frame.f_back and (
        frame.f_code.co_filename.startswith("<frozen importlib")
        or frame.f_globals.get("__name__", "").startswith(f"{__package__}.")
    ):
        frame = frame.f_back
    return bool(tries.around(frame.f_code.co_filename, frame.f_lineno))
