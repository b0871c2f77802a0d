"""Asks Airflow for the Variables that a legacy DAG file reads; its own interpreter has no Airflow."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# Private: which names Airflow masks. It exports this nowhere.
from airflow._shared.secrets_masker import should_hide_value_for_key
from airflow.sdk import Variable

from include.tfx_airflow.contract.errors import CompileError


def values(names: Iterable[str]) -> dict[str, str | None]:
    """The value of each Variable as text; None for one that does not exist.

    Raises:
      CompileError: One cannot be read now.
    """
    found: dict[str, str | None] = {}
    for name in sorted(set(names)):
        try:
            found[name] = Variable.get(name, default=None)
        except Exception as error:  # from any secrets backend; its text may contain secrets
            raise CompileError(
                f"the Airflow Variable {name!r} cannot be read: {type(error).__name__}. Check it with "
                f"'airflow variables get {name}'."
            ) from None
    return found


def secrets(values: Mapping[str, str | None]) -> dict[str, str]:
    """What Airflow masks in its logs and pages of the Variables with these values.

    Args:
      values: As `values` returns them.

    Returns:
      The values of those whose names Airflow masks, such as `api_key`; and of those that are JSON, the texts below keys
      that it masks, as JSON. By what Airflow masks them for: `api_key`, `taxi_config['db_password']`.
    """
    found: dict[str, str] = {}
    for name, value in values.items():
        if value and should_hide_value_for_key(name):
            found[name] = value
        elif value:
            for key, texts in _below_masked_keys(name, value):
                found[key] = json.dumps(texts, ensure_ascii=False)
    return found


def _below_masked_keys(place: str, value: Any) -> Iterator[tuple[str, list[str]]]:
    """The texts below each key that Airflow masks; numbers are not masked by it, either."""
    if isinstance(value, dict):
        for key, item in value.items():
            if should_hide_value_for_key(key):
                yield f"{place}[{key!r}]", list(_texts(item))
            else:
                yield from _below_masked_keys(f"{place}[{key!r}]", item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _below_masked_keys(f"{place}[{number}]", item)
    elif isinstance(value, str) and value.lstrip()[:1] in ("{", "[", '"'):
        with contextlib.suppress(ValueError, RecursionError):
            yield from _below_masked_keys(place, json.loads(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
