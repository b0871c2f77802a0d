"""Environment variables of a legacy DAG file: those that it sets, for its nodes, and those that it cannot read.

Under TFX's runner each task executed the file, so that what it put into `os.environ` was there for the component.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from include.tfx_airflow.contract.legacy import LegacyDag

_CURE = "give them to adopt in environment={...}, or set them for Airflow's workers"


def for_nodes(dag: LegacyDag, given: Collection[str]) -> dict[str, str]:
    """Variables that the file, or a module of its, sets to literal texts; without those that the owner gives.

    The values are read from these files: they may be secrets, and are kept nowhere else.

    Args:
      dag: What the TFX side tells of the DAG, with this machine's paths.
      given: Names of `environment` of `adopt`.
    """
    wanted = {name: path for name, path in dag.variables.items() if path and _is_free(name, given)}
    if not wanted:
        return {}
    # Few files do this.
    from include.tfx_airflow.contract import literal_variables

    by_file = {path: literal_variables.in_file(path) for path in set(wanted.values())}
    return {name: by_file[path][name] for name, path in wanted.items() if name in by_file[path]}


def notes(dag: LegacyDag, read: Collection[str], given: Collection[str]) -> Iterator[str]:
    """What to say of variables that nodes, or the file, do not have; never a value.

    Args:
      dag: What the TFX side tells of the DAG.
      read: Names of the variables that compiling read.
      given: Names of `environment` of `adopt`.
    """
    if folders := [name for name in dag.variables if name.startswith("PYTHON")]:
        yield (
            f"the file sets {', '.join(folders)}, which its nodes do not get: give adopt the folders that they import "
            "from in folders=[...]."
        )
    if unknown := [name for name, path in dag.variables.items() if not path and _is_free(name, given)]:
        yield (
            f"the file sets or removes the environment variables {', '.join(unknown)} by values that it computes or "
            f"reads; its nodes do not get these: {_CURE}."
        )
    kept = [name for name in sorted(read) if name.startswith("AIRFLOW") and name != "AIRFLOW_HOME"]
    if hidden := [name for name in kept if name in os.environ and name not in given]:
        yield (
            f"the file reads the environment variables {', '.join(hidden)}; those whose names begin with AIRFLOW are kept "
            "from it and from its nodes: give them to adopt in environment={...}."
        )


def _is_free(name: str, given: Collection[str]) -> bool:
    # PYTHONPATH and its like belong to the interpreter, not to the file.
    return name not in given and not name.startswith("PYTHON")
