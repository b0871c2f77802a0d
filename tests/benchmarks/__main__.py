"""Runs the lanes one after the other, several times over; writes RESULTS.md and its pictures.

Usage: python -m tests.benchmarks [--repetitions N] [--starts N] [--rows N ...] [--render RESULTS.json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import chart, history, ingest, local, memory, ours, results, retraining
from tests.benchmarks.stock import Stock
from tests.benchmarks.workload import Place
from tests.bundle import environment

STATE = Path(os.environ["TFX_STATE"]) / "bench"
_NEW_STARTS = 5


def _lanes(
    folder: Path, stock: Stock, embedded: Stock, is_last: bool
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """One repetition: its lanes in turn, each with what it measures; in the last one also those that take minutes."""
    python = environment(folder)["AIRFLOW__TFX_AIRFLOW__PYTHON"]
    yield "local", lambda: local.run(python, Place(folder / "local"))
    yield "stock dags test", stock.dags_test
    bundle, place = ours.make(folder / "ours")
    # Nothing is compiled in this new Airflow home, and there is no server.
    yield "dags test cold", lambda: ours.dags_test(bundle, place)
    yield "dags test warm", lambda: ours.dags_test(bundle, place)
    yield "dags test new processes", lambda: ours.dags_test(bundle, place, server=False)
    with ours.scheduler(bundle) as airflow:
        ours.stop_server(bundle)
        yield "scheduled cold", lambda: ours.scheduled(airflow, place)
        yield "scheduled warm", lambda: ours.scheduled(airflow, place)
    yield "parse", lambda: ours.parse(bundle)
    yield "stock parse", stock.parse
    if not is_last:
        return
    with stock.scheduler():
        yield "stock scheduled", stock.scheduled
    with embedded.scheduler():
        yield "stock scheduled embedded", embedded.scheduled


def main() -> int:
    """Measures and renders; returns 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--rows", type=int, nargs="+", default=ingest.ROWS, help="of CSV; more take longer")
    parser.add_argument("--render", type=Path, metavar="RESULTS.json", help="of an earlier run")
    arguments = parser.parse_args()
    if arguments.render:
        found = json.loads(arguments.render.read_text())
    else:
        found = _measure(arguments.repetitions, arguments.starts, tuple(arguments.rows))
    chart.draw(found, Path(__file__).with_name("chart.svg"))
    chart.draw_history(found["history"], Path(__file__).with_name("history.svg"))
    chart.draw_ingest(found["ingest"], Path(__file__).with_name("ingest.svg"))
    text, reached = results.render(found)
    Path(__file__).with_name("RESULTS.md").write_text(text)
    print(text)
    return 0 if reached else 1


def _measure(repetitions: int, starts: int, rows: tuple[int, ...]) -> dict[str, Any]:
    memory.adopt_orphans()
    shutil.rmtree(STATE, ignore_errors=True)
    began = time.monotonic()
    found: dict[str, Any] = {"about": results.about(repetitions), "lanes": {}}
    stock, embedded = Stock(STATE / "stock", embedded=False), Stock(STATE / "embedded", embedded=True)
    try:
        for repetition in range(repetitions):
            folder = STATE / str(repetition)
            is_last = repetition == repetitions - 1
            for name, measure in _lanes(folder, stock, embedded, is_last):
                _say(began, f"{repetition + 1}/{repetitions} {name} ...")
                row = measure()
                found["lanes"].setdefault(name, []).append(row)
                _keep(found)
                _say(
                    began,
                    f"{repetition + 1}/{repetitions} {name}: {row.get('wall', row.get('seconds')):.2f} s",
                )
            if is_last:
                _say(began, f"{starts} node starts ...")
                bundle, _ = ours.make(folder / "starts")
                found["starts"] = ours.starts(bundle, starts, _NEW_STARTS)
                _keep(found)
                python = bundle.environment["AIRFLOW__TFX_AIRFLOW__PYTHON"]
                _say(began, f"CSV of {' and '.join(f'{number:,}' for number in rows)} rows ...")
                found["ingest"] = ingest.measure(python, STATE / "ingest", rows)
                _keep(found)
                _say(began, "stores of up to 20,000 runs ...")
                found["history"] = history.measure(python, STATE / "history")
                _keep(found)
                _say(began, "three months of retraining, with and without them ...")
                old = STATE / "history" / "20000" / "metadata.db"
                found["retraining"] = retraining.measure(STATE / "retraining", {"0": None, "20000": old})
                _keep(found)
            memory.end_children()
    finally:
        stock.close()
        embedded.close()
        memory.end_children()
    return found


def _keep(found: dict[str, Any]) -> None:
    (STATE / "results.json").write_text(json.dumps(found, indent=1))


def _say(began: float, text: str) -> None:
    print(f"[{time.monotonic() - began:5.0f} s] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
