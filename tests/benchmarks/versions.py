"""TFX 1.21 beside TFX 1.16 on one machine: start, node work, memory; writes VERSIONS.md.

Usage: python -m tests.benchmarks.versions [--repetitions N], as root on a machine with TFX 1.16, in the Airflow interpreter: TFX 1.21
runs in the Debian 13 of tests/debian13.sh, whose processes are ordinary ones of this machine. What one of them measures:

       python -m tests.benchmarks.versions --one FOLDER
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks import lane, local, memory, ours
from tests.benchmarks.workload import Place
from tests.bundle import LANE, ROOT, STATE, TFX_PYTHON

_FORKED, _NEW = 30, 3
_PRELOAD = """
import resource
import include.tfx_airflow.tfx_side.node_server.preload
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
# What is shown of a measurement, with its unit.
_ROWS: tuple[tuple[str, str, Callable[[dict[str, Any]], float]], ...] = (
    ("the node server imports TFX", "s", lambda found: found["import"]["seconds"]),
    ("... and is then", "MB", lambda found: found["import"]["megabytes"]),
    ("a node forked from it starts, median", "s", lambda found: statistics.median(found["starts"]["forked"])),
    ("a node in a new process starts, median", "s", lambda found: statistics.median(found["starts"]["new"])),
    ("node work of `LocalDagRunner`", "s", lambda found: sum(found["local"]["nodes"].values())),
    ("node work of this bundle", "s", lambda found: sum(found["ours"]["nodes"].values())),
    ("`airflow dags test`, whole", "s", lambda found: found["ours"]["wall"]),
    ("... and its largest node", "MB", lambda found: found["ours"]["memory"]["largest"]),
)


def measure(folder: Path) -> dict[str, Any]:
    """Measures the installed TFX.

    Args:
      folder: An empty one.
    """
    began = time.monotonic()
    done = subprocess.run([TFX_PYTHON, "-c", _PRELOAD], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {"seconds": time.monotonic() - began, "megabytes": float(done.stdout)}
    bundle, place = ours.make(folder / "ours")
    ours.dags_test(bundle, place)  # compiles the pipeline, and starts the node server
    return {
        "tfx": LANE,
        "import": imported,
        "starts": ours.starts(bundle, _FORKED, _NEW),
        "local": local.run(TFX_PYTHON, Place(folder / "local")),
        "ours": ours.dags_test(bundle, place),
    }


def _child(command: list[str], folder: Path) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    module = ["-m", "tests.benchmarks.versions", "--one", str(folder)]
    return lane.result(
        subprocess.run([*command, *module], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    )


def render(found: dict[str, list[dict[str, Any]]]) -> str:
    """The page."""
    older, newer = found["1.16"], found["1.21"]
    lines = [
        "# TFX 1.21 beside TFX 1.16",
        "",
        f"Written by `python -m tests.benchmarks.versions`: the taxi pipeline without cache on one machine, the versions in turn, medians of {len(older)}.",
        "",
        f"{datetime.date.today().isoformat()}; {len(os.sched_getaffinity(0))} cores, {platform.platform(terse=True)}",
        "",
        "| | TFX 1.16, Python 3.10 | TFX 1.21, Python 3.13 | 1.21 / 1.16 |",
        "|---|---|---|---|",
    ]
    for name, unit, value in _ROWS:
        before, after = (statistics.median(map(value, rows)) for rows in (older, newer))
        digits = 0 if unit == "MB" else 2 if before < 10 else 1
        lines.append(
            f"| {name} | {before:.{digits}f} {unit} | {after:.{digits}f} {unit} | {after / before:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measures both and writes VERSIONS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--one", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    memory.adopt_orphans()
    try:
        if arguments.one:
            print("RESULT" + json.dumps(measure(arguments.one)))
            return 0
        debian = [str(ROOT / "tests/debian13.sh")]
        subprocess.run([*debian, "include/bootstrap.sh"], check=True)
        commands = {
            "1.16": [sys.executable],
            "1.21": [*debian, str(STATE / "debian13-state/airflow/bin/python")],
        }
        found: dict[str, list[dict[str, Any]]] = {}
        for repetition in range(arguments.repetitions):
            for version, command in commands.items():
                print(
                    f"==> {repetition + 1}/{arguments.repetitions} TFX {version}", file=sys.stderr, flush=True
                )
                found.setdefault(version, []).append(_child(command, STATE / "bench-versions" / version))
                assert found[version][-1]["tfx"] == version, found[version][-1]["tfx"]
    finally:
        memory.end_children()
    text = render(found)
    Path(__file__).with_name("VERSIONS.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
