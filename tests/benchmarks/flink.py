"""The taxi pipeline on a real Flink, beside the same in memory and TFX's LocalDagRunner; writes FLINK.md.

Usage: python -m tests.benchmarks.flink [--repetitions N], in the Airflow interpreter.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import lane, local, memory
from tests.benchmarks.workload import NAME, REFERENCE, Place
from tests.bundle import ROOT, STATE, TFX_PYTHON, Bundle, made
from tests.cluster import beam_workers, flink, job_server

_PARALLELISM = (1, 2)
# On two cores, by hand and with LocalDagRunner, it took 31 s in memory; on Flink it is to take at most 100 s.
_TARGET = 3.2
LANES = {
    "local": "`LocalDagRunner`",
    "in memory": "**this bundle**, in memory",
    **{f"flink {number}": f"**this bundle**, Flink, parallelism {number}" for number in _PARALLELISM},
}


def measure(folder: Path, repetitions: int) -> dict[str, list[dict[str, Any]]]:
    """Runs the lanes in turn.

    Args:
      folder: An empty one.
      repetitions: How often.

    Returns:
      By lane, rows as of `lane.row`.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    (folder / "airflow").mkdir()
    with (
        flink.running(folder / "flink") as cluster,
        job_server.for_flink(cluster, folder / "job-server") as server,
        made(folder / "airflow", sparing=False) as bundle,
    ):
        bundle.environment["PYTHONPATH"] = str(_copy_with_runners(folder / "bundle"))
        with beam_workers.running(bundle, folder / "beam-workers") as workers:
            address = beam_workers.connection(server, workers, f"http://{cluster.address}")
            bundle.environment["AIRFLOW_CONN_BEAM_FLINK"] = address
            lanes = dict(_lanes(bundle, folder))
            # Compiles the pipeline and starts the node server; on Flink, Java compiles what it will need again.
            for name in list(lanes)[1:]:
                _say(f"{name}, to warm up ...")
                lanes[name]()
            for repetition in range(repetitions):
                for name, run in lanes.items():
                    row = run()
                    found.setdefault(name, []).append(row)
                    work = sum(row["nodes"].values())
                    _say(f"{repetition + 1}/{repetitions} {name}: {work:.1f} s of node work")
    return found


def _copy_with_runners(folder: Path) -> Path:
    """A copy of this bundle whose owner has written down a runner for each parallelism."""
    shutil.copytree(ROOT / "include", folder / "include", ignore=shutil.ignore_patterns("__pycache__"))
    table = folder / "include" / "beam_runners.py"
    rows = [
        f"RUNNERS['flink_{number}'] = BeamRunner('flink', conn_id='beam_flink', options=['--parallelism={number}'])\n"
        for number in _PARALLELISM
    ]
    table.write_text(table.read_text() + "".join(rows))
    return folder


def _lanes(bundle: Bundle, folder: Path) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    yield "local", lambda: local.run(TFX_PYTHON, Place(folder / "local"))
    place = Place(bundle.home / "tfx")
    for name in list(LANES)[1:]:
        dag_id = f"{NAME}_{name.replace(' ', '_')}"
        runner = name.replace(" ", "_")
        bundle.write_dag(dag_id, REFERENCE, f"beam_runner={runner!r}", **place.arguments())
        yield name, lambda dag_id=dag_id: lane.timed(place, lambda: bundle.dags_test(dag_id))  # type: ignore[misc]


def render(found: dict[str, list[dict[str, Any]]]) -> tuple[str, bool]:
    """The page, and whether the target was reached."""
    repetitions = len(found["local"])
    lines = [
        "# The taxi pipeline on Flink",
        "",
        "Written by `make bench-flink`: the taxi pipeline (nine components, 15,002 rows) without cache, into an empty MLMD store, on a",
        "Flink 1.19 of one JobManager and one TaskManager on the same machine, with Beam's job server and this bundle's pool of",
        f"workers. Lanes take turns; figures are medians of {repetitions} in one run, seconds by MLMD from the registration of an execution",
        "to its last update.",
        "",
        f"{datetime.date.today().isoformat()}; {len(os.sched_getaffinity(0))} cores, {platform.platform(terse=True)}",
        "",
        "| node | " + " | ".join(LANES.values()) + " |",
        "|---" * (len(LANES) + 1) + "|",
    ]

    def median(name: str, node: str) -> float:
        return statistics.median(row["nodes"][node] for row in found[name])

    def work(name: str) -> float:
        return statistics.median(sum(row["nodes"].values()) for row in found[name])

    nodes = sorted(found["local"][0]["nodes"], key=lambda node: -median(f"flink {_PARALLELISM[0]}", node))
    for node in nodes:
        lines.append(f"| {node} | " + " | ".join(f"{median(name, node):.1f}" for name in LANES) + " |")
    lines.append("| **all** | " + " | ".join(f"{work(name):.1f}" for name in LANES) + " |")
    ratios = {name: work(name) / work("local") for name in LANES}
    lines.append("| / `LocalDagRunner` | " + " | ".join(f"{ratios[name]:.2f}" for name in LANES) + " |")
    walls = (statistics.median(row["wall"] for row in found[name]) for name in LANES)
    lines.append("| whole command | " + " | ".join(f"{wall:.1f}" for wall in walls) + " |")
    reached = all(ratios[f"flink {number}"] <= _TARGET for number in _PARALLELISM)
    lines += [
        "",
        f"Target: on Flink at most {_TARGET} times `LocalDagRunner`'s node work, at either parallelism: {'reached' if reached else '**missed**'}.",
    ]
    return "\n".join(lines) + "\n", reached


def _say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Measures, writes FLINK.md and returns 1 when the target was missed."""
    parser = argparse.ArgumentParser(prog="make bench-flink", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    memory.adopt_orphans()
    folder = STATE / "bench-flink"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        found = measure(folder, arguments.repetitions)
    finally:
        memory.end_children()
    (folder / "results.json").write_text(json.dumps(found, indent=1))
    text, reached = render(found)
    Path(__file__).with_name("FLINK.md").write_text(text)
    print(text)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
