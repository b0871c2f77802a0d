"""Recognizes Jinja templates. Standard library only; both interpreters use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_MARKS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def is_template(value: Any) -> bool:
    """Whether a value is a text that Airflow's Jinja would render to something else."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def in_text(text: str) -> str:
    """The first template in a text, such as `{{ ds }}`; empty when there is none."""
    found = _MARKS.search(text)
    return found.group() if found else ""


def in_arguments(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Finds templates in JSON-able values: (where, template), such as ("paths[0]", "{{ ds }}")."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from in_arguments(str(key), f"{name}[{key!r}]")
            yield from in_arguments(item, f"{name}[{key!r}]" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from in_arguments(item, f"{name}[{index}]")
    elif isinstance(value, str) and in_text(value):
        yield name, in_text(value)
