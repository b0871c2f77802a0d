"""Parses the names of run contexts."""

from __future__ import annotations

import datetime
import re

_DAG_ID = re.compile(r"[\w.-]+")
# MLMD's columns hold 255 characters; longer names are shortened to their start and a hash, without the full ids.
_SURE = 128


def dag_and_run_id(name: str) -> tuple[str, str]:
    """Splits a name `<dag_id>:<run_id>`; the DAG id is empty for other names.

    Those of TFX's LocalDagRunner are times, such as 2026-01-31T12:00:00.123456.
    """
    dag_id, colon, run_id = name.partition(":")
    if not colon or not _DAG_ID.fullmatch(dag_id):
        return "", name
    try:
        datetime.datetime.fromisoformat(name)
    except ValueError:
        return dag_id, run_id
    return "", name


def may_be_shortened(name: str) -> bool:
    """Whether a name may be shortened, so that the run's ids must come from its task instances."""
    return len(name) > _SURE
