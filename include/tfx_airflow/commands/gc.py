"""`gc`: plans what of the artifacts nothing kept refers to, and deletes it when told the plan's hash."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from include.tfx_airflow.airflow_side import retention
from include.tfx_airflow.contract.errors import RetentionError
from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.settings import read_settings

ALL = "all"


def main(arguments: argparse.Namespace) -> int:
    """Runs the command; returns its exit code.

    Raises:
      TfxAirflowError: It was refused.
    """
    settings = read_settings()
    names = [field.name for field in dataclasses.fields(Keep)]
    given = {name: value for name in names if (value := getattr(arguments, f"keep_{name}")) is not None}
    actions = {name: ids for name in ("pin", "unpin", "restore") if (ids := getattr(arguments, name))}
    if given and (arguments.apply or actions):
        raise RetentionError(
            f"what to keep ({', '.join(given)}) is said when a plan is made: 'gc --apply' carries it out as it is, and "
            "--pin, --unpin and --restore concern single artifacts."
        )
    if arguments.apply:
        answer = retention.ask(settings, "apply", hash=arguments.apply)
        print(retention.as_text(answer))
        return 1 if answer.get("done", {}).get("problems") else 0
    for action, ids in actions.items():
        print(retention.as_text(retention.ask(settings, action, ids=ids)))
        return 0
    wanted: dict[str, Any] = {name: None if value == ALL else value for name, value in given.items()}
    answer = retention.ask(settings, "plan", keep=dataclasses.asdict(Keep(**wanted)))
    print(retention.as_text(answer))
    if "hash" in answer:
        print(
            f"Nothing was changed. To carry it out: python -m include.tfx_airflow gc --apply {answer['hash']}"
        )
    return 0
