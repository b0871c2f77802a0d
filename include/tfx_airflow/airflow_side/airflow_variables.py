"""Asks Airflow for the Variables that a legacy DAG file reads; its own interpreter has no Airflow."""

from __future__ import annotations

from collections.abc import Iterable

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


def masked(names: Iterable[str]) -> list[str]:
    """Those names whose values Airflow masks in its logs and pages, such as `api_key`."""
    return sorted(name for name in set(names) if should_hide_value_for_key(name))
