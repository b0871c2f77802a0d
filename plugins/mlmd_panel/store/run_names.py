"""What the name of a run's context says."""

from __future__ import annotations

import datetime
import re

_DAG_ID = re.compile(r"[\w.-]+")
# MLMD's columns take 255 letters: a name that would be longer is its beginning and a hash, and says no ids.
_SURE = 128


def dag_and_run_id(name: str) -> tuple[str, str]:
    """Of a name `<dag_id>:<run_id>`; the DAG's is empty of a name that only looks so, as TFX's LocalDagRunner gives.

    That one names a run by the time, such as 2026-01-31T12:00:00.123456.
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
    """Whether only the run's task instances tell its ids for sure."""
    return len(name) > _SURE
