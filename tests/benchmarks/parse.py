"""Time and memory of parsing a DAG file, or a folder of them, over an empty one that imports the same of Airflow.

Usage: python -m tests.benchmarks.parse PATH EMPTY_FOLDER; runs on Airflow 2 and 3, prints RESULT and JSON.
"""

from __future__ import annotations

import ast
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

EMPTY = "from datetime import datetime\nfrom airflow.providers.common.compat.sdk import DAG\nwith DAG('empty', start_date=datetime(2014, 1, 1)):\n    pass\n"
# Tells how fast the machine is: Airflow's own work for such a file, which no code of ours changes.
PLAIN = """from datetime import datetime
from airflow.providers.common.compat.sdk import DAG, Param
try:
    from airflow.providers.standard.operators.empty import EmptyOperator
except ImportError:  # Airflow 2
    from airflow.operators.empty import EmptyOperator
with DAG("plain", start_date=datetime(2014, 1, 1), params={"number": Param(1, type="integer")}):
    tasks = [EmptyOperator(task_id=f"task_{number}") for number in range(30)]
    for before, after in zip(tasks, tasks[1:]):
        before >> after
"""
_HEAVY = ("tensorflow", "tfx", "apache_beam", "ml_metadata")


def _bag(folder: str) -> Any:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 2
        from airflow.models.dagbag import DagBag

        return DagBag(dag_folder=folder, include_examples=False)
    path = Path(folder)
    return DagBag(dag_folder=folder, bundle_path=path if path.is_dir() else path.parent)


def _parse(folder: str) -> tuple[float, Any]:
    start = time.perf_counter()
    bag = _bag(folder)
    assert not bag.import_errors, bag.import_errors
    return time.perf_counter() - start, bag


def _import_of_airflow(path: Path) -> None:
    """Imports what a DAG file, or each of a folder, imports of Airflow: that is Airflow's time, not the pipeline's."""
    for file in [path] if path.is_file() else sorted(path.glob("*.py")):
        for statement in ast.parse(file.read_text()).body:
            if isinstance(statement, ast.ImportFrom) and (statement.module or "").split(".")[0] == "airflow":
                exec(ast.unparse(statement), {})


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def warm(empty: str) -> None:
    """Parses an empty file, written below a folder: what a DAG processor has done before it parses yours."""
    Path(empty).mkdir(exist_ok=True)
    Path(empty, "dag.py").write_text(EMPTY)
    _parse(empty)


def main(folder: str, empty: str) -> dict[str, Any]:
    """Parses; returns seconds and megabytes over the empty folder, and what was imported for it.

    Also the seconds of a plain file of 30 tasks, `PLAIN`: how fast this machine is now.
    """
    warm(empty)
    plain = f"{empty}_plain"
    Path(plain).mkdir(exist_ok=True)
    Path(plain, "dag.py").write_text(PLAIN)
    _parse(plain)
    _import_of_airflow(Path(folder))
    before = _megabytes()
    nothing = min(_parse(empty)[0] for _ in range(5))
    seconds, bag = _parse(folder)
    return {
        "plain": min(_parse(plain)[0] for _ in range(5)) - nothing,
        "seconds": seconds - nothing,
        "megabytes": _megabytes() - before,
        "heavy": [name for name in _HEAVY if name in sys.modules],
        "dags": sorted(bag.dags),
        "bag": bag,
    }


if __name__ == "__main__":
    found = main(*sys.argv[1:])
    bag = found.pop("bag")
    print("RESULT" + json.dumps(found))
