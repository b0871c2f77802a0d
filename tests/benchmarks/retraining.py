"""Three months of `taxi_retraining` with and without years of other runs in the store."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import statistics
import time
from pathlib import Path

from tests.benchmarks.lane import checked
from tests.bundle import ROOT, Bundle, environment

# The first month has nothing to train on before it; those after it are measured.
_EVALUATOR = ("tfx.components.evaluator.component.Evaluator", 3)  # COMPLETE
_FIRST, _MONTHS = "2014-01-01", ("2014-02-01", "2014-03-01", "2014-04-01")


def measure(folder: Path, stores: dict[str, Path | None]) -> dict[str, float]:
    """Seconds of `airflow dags test taxi_retraining`, one month on average, on a warm server, by name of the store.

    Args:
      folder: Empty.
      stores: An MLMD store that is copied, or None for an empty one.
    """
    bundles = {}
    for name, store in stores.items():
        bundle = bundles[name] = _make(folder / name)
        if store is not None:
            bundle.mlmd.parent.mkdir(parents=True)
            shutil.copy(store, bundle.mlmd)
        checked(bundle.dags_test("taxi_ingest"))
        checked(bundle.dags_test("taxi_retraining", _FIRST))
    seconds: dict[str, list[float]] = {name: [] for name in bundles}
    for month in _MONTHS:  # each in all stores, one after the other: the machine's speed varies over minutes
        for name, bundle in bundles.items():
            start = time.perf_counter()
            checked(bundle.dags_test("taxi_retraining", month))
            seconds[name].append(time.perf_counter() - start)
    for name, bundle in bundles.items():
        assert _EVALUATOR in _newest(bundle.mlmd), name
        checked(bundle.run("python", "-m", "include.tfx_airflow", "serve", "--stop"))
    return {name: statistics.fmean(times) for name, times in seconds.items()}


def _newest(store: Path) -> set[tuple[str, int]]:
    """Types and states of the executions of about a run."""
    with contextlib.closing(sqlite3.connect(store)) as database:
        return set(
            database.execute(
                "select t.name, e.last_known_state from Execution e join Type t on t.id = e.type_id order by e.id desc limit 20"
            )
        )


def _make(folder: Path) -> Bundle:
    (folder / "dags").mkdir(parents=True)
    for name in ("taxi_ingest", "taxi_retraining"):
        shutil.copy(ROOT / "dags" / f"{name}.py", folder / "dags")
    bundle = Bundle(folder, environment(folder))
    checked(bundle.run("airflow", "db", "migrate"))
    return bundle
