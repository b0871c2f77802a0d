"""Functions of a legacy file's modules, which Airflow 3 calls as Airflow 2 did.

Airflow only logs what a callback raises, so an alert that asks its context for a name of Airflow 2 would never be sent.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from include.tfx_airflow.airflow_side import legacy_templates


class LegacyFunction:
    """Calls a function with its folder on `sys.path`, where Airflow 2 had it: it may import in its body.

    Picklable, and to Airflow the function's name and source.
    """

    __wrapped__: Callable[..., Any]

    def __init__(self, function: Callable[..., Any], folder: str):
        """Takes the function and the folder of its module, or of the outermost package that this is in."""
        functools.update_wrapper(self, function)
        self._folder = folder

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Calls the function."""
        added = self._folder not in sys.path
        if added:
            sys.path.append(self._folder)
        try:
            return self.__wrapped__(*arguments, **named)
        finally:
            if added and self._folder in sys.path:
                sys.path.remove(self._folder)


class Callback(LegacyFunction):
    """Calls a function with a context that has Airflow 2's names as well."""

    def __call__(self, context: Mapping[str, Any]) -> Any:
        """Calls the function with a copy of the context."""
        return super().__call__({**legacy_templates.old_names(context), **context})
