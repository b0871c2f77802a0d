"""Names that a legacy file may import, and not use: many such files import more than they need."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from include.tfx_airflow.tfx_side.legacy import tries
from include.tfx_airflow.tfx_side.legacy.refused import RefusedError


class Placeholder:
    """Stands for a class, function, module or value; refuses to be called, subclassed, looked into or made a text.

    It may be named in annotations, such as `BaseOperator | None`, for which `typing` compares it with its like.
    """

    def __init__(self, name: str, refusal: str) -> None:
        """Takes the full name, and what to say when it is used."""
        vars(self).update({"_name": name, "_refusal": refusal})

    def _refuse(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise RefusedError(self._refusal)

    __call__ = __mro_entries__ = __instancecheck__ = __subclasscheck__ = __enter__ = __exit__ = _refuse
    __bool__ = __int__ = __float__ = __index__ = __str__ = __format__ = __fspath__ = _refuse
    __iter__ = __len__ = __contains__ = __getitem__ = __setitem__ = __setattr__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __mod__ = __rmod__ = __truediv__ = (
        __rtruediv__
    ) = _refuse
    __rshift__ = __rrshift__ = __lshift__ = __rlshift__ = _refuse

    def __eq__(self, other: object) -> bool:
        """Refuses to be compared with what a value of Airflow may be: it would never be equal."""
        if isinstance(other, (str, int, tuple)):
            self._refuse()
        return self is other

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    def __or__(self, other: Any) -> Placeholder:
        return self

    __ror__ = __or__

    def __repr__(self) -> str:
        return self._name


def sentence(placeholder: Placeholder) -> str:
    """What one says when it is used; no attribute, which a file could ask it for."""
    return str(vars(placeholder)["_refusal"])


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
