"""Finds what DAGs name and this Airflow must have: pools, queues, Connections."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from include.tfx_airflow.contract.beam_runner import table
from include.tfx_airflow.contract.errors import ConfigError

# (kind, name) of what is named -> the tasks that name it, as `dag_id.task_id`.
Needs = dict[tuple[str, str], list[str]]


def dag_bags() -> Iterator[Any]:
    """Parses the DAG files of all DAG bundles of this Airflow; yields each bundle's DagBag."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag

    for bundle in DagBundlesManager().get_all_dag_bundles():
        bundle.initialize()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Airflow's, about itself
            yield BundleDagBag(dag_folder=str(bundle.path), bundle_path=bundle.path, bundle_name=bundle.name)


def needs(dags: list[Any]) -> Needs:
    """Collects what the tasks of DAGs name: pools, queues other than the default, Connections."""
    from airflow.configuration import conf

    default_queue = conf.get("operators", "default_queue")
    found: Needs = {}
    try:
        runners = table()
    except ConfigError:  # told by beam_reach
        runners = {}
    for dag in dags:
        for task in dag.tasks:
            named = [("pool", task.pool)]
            if task.queue != default_queue:
                named.append(("queue", task.queue))
            # Only what the author wrote: many operators have a default that is never looked up.
            for key, value in _given(task).items():
                written = key.endswith("conn_id") and not _is_default(task, key, value)
                if written and isinstance(value, str) and value and "{{" not in value:
                    named.append(("Connection", value))
            # A Beam program's runner may be a template.
            name = getattr(task, "beam_runner", "") or getattr(task, "runner", "")
            runner = runners.get(name) if isinstance(name, str) else None
            if runner and runner.conn_id:
                named.append(("Connection", runner.conn_id))
            for need in named:
                found.setdefault(need, []).append(f"{dag.dag_id}.{task.task_id}")
    return found


def _given(task: Any) -> dict[str, Any]:
    mapped = getattr(task, "partial_kwargs", None)
    return mapped if mapped is not None else getattr(task, "_BaseOperator__init_kwargs", {})


def _is_default(task: Any, key: str, value: Any) -> bool:
    """Whether this value is the default of one of the operator's classes, which passes it on as if it were given."""
    classes = getattr(task, "operator_class", type(task)).__mro__
    signatures = [inspect.signature(vars(cls)["__init__"]) for cls in classes if "__init__" in vars(cls)]
    found = [signature.parameters[key] for signature in signatures if key in signature.parameters]
    return any(parameter.default == value for parameter in found)


def findings() -> Iterator[tuple[bool | None, str]]:
    """Checks each DAG file and each need; yields (good, text), where None means a note."""
    dags: list[Any] = []
    for bag in dag_bags():
        dags += bag.dags.values()
        for path, error in sorted(bag.import_errors.items()):
            yield False, f"DAG file {path}: {error.strip().splitlines()[-1]}{_hint(error)}"
        for path in _passed_over(bag.dag_folder):
            yield (
                False,
                f"DAG file {path} is passed over by Airflow, because it does not contain both words 'dag' and "
                "'airflow' ([core] dag_discovery_safe_mode); add them to its docstring",
            )
    wanted = needs(dags)
    pools = _pools()
    lacking = 0
    for (kind, name), tasks in sorted(wanted.items()):
        who = f"{', '.join(tasks[:3])}{f' and {len(tasks) - 3} more' if len(tasks) > 3 else ''}"
        if kind == "queue":
            yield None, f"queue {name!r} of {who}: {_queue(name)}"
        elif kind == "pool" and name not in pools:
            lacking += 1
            yield (
                False,
                f"pool {name!r} of {who} does not exist, so these tasks wait forever; create it with "
                f"\"airflow pools set {name} 1 'what it is for'\"",
            )
        elif kind == "Connection" and not _has_connection(name):
            lacking += 1
            yield (
                False,
                f"Connection {name!r} of {who} does not exist; create it in the UI (Admin > Connections) or with "
                f"'airflow connections add {name} ...'",
            )
    if not lacking:
        yield True, f"DAGs: {len(dags)}; the pools and Connections that they name exist"


def _hint(error: str) -> str:
    """What to do about an error of which Airflow says only half."""
    if "No module named 'tfx'" in error:
        return (
            "; Airflow's interpreter has no TFX. If the file is written for TFX's Airflow runner, move it out of this "
            "folder and adopt it: 'python -m include.tfx_airflow adopt FILE' says how"
        )
    return ""


def _passed_over(folder: str) -> list[str]:
    """DAG files that use this package, and that Airflow does not even read."""
    from airflow.utils.file import find_dag_file_paths

    skipped = set(find_dag_file_paths(folder, False)) - set(find_dag_file_paths(folder, True))
    return sorted(
        path for path in skipped if path.endswith(".py") and b"tfx_airflow" in Path(path).read_bytes()
    )


def _pools() -> set[str]:
    from airflow.models.pool import Pool

    return {pool.pool for pool in Pool.get_pools()}


def _has_connection(name: str) -> bool:
    try:
        BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return False
    return True


def _queue(name: str) -> str:
    from airflow.executors.executor_loader import ExecutorLoader

    executors = [str(one.module_path).rpartition(".")[2] for one in ExecutorLoader.get_executor_names()]
    if any("Celery" in executor or "Edge" in executor for executor in executors):
        return f"a worker must listen to it ('--queues {name}'); whether one does is not known here"
    return f"{', '.join(executors)} has no queues, so it has no effect"
