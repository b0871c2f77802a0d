"""Callbacks; imported by Airflow's interpreter as well."""

from __future__ import annotations

from typing import Any


def tell_the_team(context: dict[str, Any]) -> None:
    """Says which task failed."""
    print(f"the team is told of {context['ti'].task_id}")
