"""`python -m tests.benchmarks.panel [--runs 20000]`: how fast the panel is inside Airflow, on each kind of store.

A store as after years of runs (tests/panel/scale.py) on SQLite, MariaDB and PostgreSQL; Airflow's own API server with the
bundle's plugin on top; a browser's requests, with login, one after another. Writes PANEL.md. Runs in the interpreter
of the panel's tests and needs some minutes and nothing else at work.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import servers
from tests.bundle import ROOT, TFX_PYTHON
from tests.panel import large_evaluation
from tests.panel.airflow_home import airflow_environment
from tests.server import wait_until

# ms of p95.
TARGETS = {
    "runs": 100,
    "run": 100,
    "node": 100,
    "artifacts": 100,
    "artifact": 100,
    "lineage": 300,
    "diff": 300,
    "diff, JSON": 300,
    "diff of 20": 500,
}
# Pipelines of the scale store whose last runs have evaluations that are there: two of a thousand slices and twenty
# metrics, and a baseline with twenty candidates of twenty slices and four metrics.
_LARGE, _SEVERAL = "fares", "tips"
_MEGABYTES = 60
_EVERY = 5
_DAGS = "/ui/dags?limit=50"
_AIRFLOW_PAGES = (
    "/ui/config",
    _DAGS,
    "/api/v2/dags/~/dagRuns?limit=10",
    "/api/v2/assets?limit=10",
    "/api/v2/plugins",
)


class Airflow:
    """Airflow's API server with the panel of one store."""

    def __init__(self, folder: Path, connection: str):
        with socket.create_server(("localhost", 0)) as probe:
            port = probe.getsockname()[1]
        self._url = f"http://localhost:{port}"
        environment = airflow_environment(
            folder,
            AIRFLOW_CONN_MLMD_SERVER=connection,
            AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID="mlmd_server",
            AIRFLOW__MLMD_PANEL__ROOTS=str(folder.parent / "evaluations"),
            AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
            AIRFLOW__API__PORT=str(port),
            AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
        )
        with open(folder / "api-server.log", "wb") as log:
            subprocess.run(["airflow", "db", "migrate"], env=environment, stdout=log, stderr=log, check=True)
            self._process = subprocess.Popen(
                ["airflow", "api-server", "--workers", "1"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_up, 120, f"Airflow's API server ({folder}/api-server.log)")
        self._token = json.loads(self._read("/auth/token"))["access_token"]
        for _ in range(
            20
        ):  # Airflow's own pages, which a user opens before the panel and which load Airflow's models
            for path in _AIRFLOW_PAGES:
                self._read(path)

    def _is_up(self) -> bool:
        with contextlib.suppress(OSError):
            self._token = ""
            return bool(self._read("/api/v2/version"))
        return False

    def _read(self, path: str) -> bytes:
        request = urllib.request.Request(self._url + path, headers={"Authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read()

    def seconds(self, path: str) -> float:
        """Time of one request for a page of the panel, all of it read."""
        start = time.perf_counter()
        self._read(f"/mlmd{path}")
        return time.perf_counter() - start

    def own_seconds(self) -> float:
        """Time of what Airflow's own UI asks for to list the DAGs, of which there are none here."""
        start = time.perf_counter()
        self._read(_DAGS)
        return time.perf_counter() - start

    def json(self, path: str) -> Any:
        """The JSON twin of a page."""
        return json.loads(self._read(f"/mlmd{path}"))

    def megabytes(self) -> float:
        """Memory (PSS) of the server and its worker."""
        total = 0
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.getpgid(int(folder.name)) == self._process.pid:
                    lines = (folder / "smaps_rollup").read_text().splitlines()
                    total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total / 1024

    def imported(self, *names: str) -> list[str]:
        """Which of these libraries the server has mapped, by their folder's name."""
        maps = ""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.getpgid(int(folder.name)) == self._process.pid:
                    maps += (folder / "maps").read_text()
        return [name for name in names if f"/{name}/" in maps]

    def stop(self) -> None:
        """Ends the server and its worker."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(30)


def _stores(folder: Path, runs: int) -> Iterator[tuple[str, str]]:
    """Kind and Airflow Connection of each store, while it is there."""

    def scale(*arguments: str) -> None:
        command = [TFX_PYTHON, "-m", "tests.panel.scale", *arguments, "--runs", str(runs)]
        subprocess.run(command, cwd=ROOT, check=True)

    path = folder / "metadata.db"
    _say(f"{runs} runs into SQLite ...")
    scale(f"sqlite:///{path}")
    _write_evaluations(path, folder / "evaluations")
    yield "SQLite", f"sqlite:///{path}"
    for kind, start in (("MariaDB", servers.mariadb), ("PostgreSQL", servers.postgresql)):
        (folder / kind).mkdir()
        with start(folder / kind) as server:
            _say(f"... and into {kind}")
            scale(server.airflow_connection.replace("postgres://", "postgresql://"), "--source", str(path))
            yield kind, server.airflow_connection


def _write_evaluations(store: Path, folder: Path) -> None:
    """Writes evaluations, and has the last runs of two pipelines lead to them."""
    with contextlib.closing(sqlite3.connect(store)) as database, database:
        for pipeline, count, slices, metrics in ((_LARGE, 2, 1000, 20), (_SEVERAL, 21, 19, 4)):
            found = database.execute(
                "select a.id from Artifact a join Type t on t.id = a.type_id and t.name = 'ModelEvaluation'"
                " join Attribution at on at.artifact_id = a.id"
                " join Context c on c.id = at.context_id and c.name like ? || ':%'"
                " order by c.id desc limit ?",
                (pipeline, count),
            ).fetchall()
            for number, (id_,) in enumerate(found):
                made = large_evaluation.write(folder / f"{pipeline}-{number}", slices, number, metrics)
                database.execute("update Artifact set uri = ? where id = ?", (str(made), id_))


def _paths(airflow: Airflow, repetitions: int) -> dict[str, list[str]]:
    """Pages to ask for, by kind: at random over the whole store."""
    chance = random.Random(1)
    newest = airflow.json("/runs.json?limit=1")["runs"][0]["summary"]["run"]["id"]
    last = airflow.json("/artifacts.json?limit=1")["artifacts"][0]["id"]
    large, several = (
        [
            row["summary"]["run"]["id"]
            for row in airflow.json(f"/runs.json?pipeline={name}&limit={count}")["runs"]
        ]
        for name, count in ((_LARGE, 2), (_SEVERAL, 21))
    )
    two = f"baseline={large[1]}&candidate={large[0]}&metrics=*"
    twenty = "&".join([f"baseline={several[-1]}", *(f"candidate={id_}" for id_ in several[:-1])])
    ids = {"runs": [], "run": [], "artifact": []}
    for _ in range(repetitions):
        page = airflow.json(f"/runs.json?limit=1&after={chance.randint(100, newest)}")["runs"]
        ids["run"].append(page[0]["summary"]["run"]["id"])
        ids["artifact"].append(chance.randint(1, last))
    return {
        "runs": [f"/runs?after={chance.randint(100, newest)}" for _ in range(repetitions)],
        "run": [f"/runs/{id_}" for id_ in ids["run"]],
        "node": [f"/runs/{id_}/nodes/Trainer" for id_ in ids["run"]],
        "artifacts": [f"/artifacts?after={chance.randint(10, last)}" for _ in range(repetitions)],
        "artifact": [f"/artifacts/{id_}" for id_ in ids["artifact"]],
        "lineage": [f"/artifacts/{id_}/lineage?depth=6" for id_ in ids["artifact"]],
        "diff": [f"/compare?{two}"] * repetitions,
        "diff, JSON": [f"/compare.json?{two}"] * repetitions,
        "diff of 20": [f"/compare?{twenty}"] * repetitions,
    }


def measure(folder: Path, runs: int, repetitions: int) -> dict[str, Any]:
    """Figures of each kind of store: {kind: {page: [seconds]}, "first", "grown", "heavy"}."""
    found: dict[str, Any] = {}
    for kind, connection in _stores(folder, runs):
        home = folder / f"airflow-{kind}"
        home.mkdir()
        airflow = Airflow(home, connection)
        try:
            before = airflow.megabytes()
            row: dict[str, Any] = {"first": airflow.seconds("/runs"), "pages": {}, "new": {}, "airflow": []}
            for page, paths in _paths(airflow, repetitions).items():
                row["new"][page] = airflow.seconds(paths[0])
                row["pages"][page] = []
                for number, path in enumerate(paths):
                    row["pages"][page].append(airflow.seconds(path))
                    # Among them, so that a slow minute of the machine is seen in both.
                    if number % _EVERY == 0:
                        row["airflow"].append(airflow.own_seconds())
            row["grown"] = airflow.megabytes() - before
            row["heavy"] = airflow.imported("tensorflow", "tfx", "ml_metadata", "apache_beam")
            found[kind] = row
            timed = {**row["pages"], "Airflow's own": row["airflow"]}
            _say(f"{kind}: " + ", ".join(f"{p} {1000 * p95(s):.0f} ms" for p, s in timed.items()))
        finally:
            airflow.stop()
    return found


def p95(seconds: list[float]) -> float:
    """The time that 95 of 100 requests kept to."""
    return sorted(seconds)[max(0, round(0.95 * len(seconds)) - 1)]


def render(found: dict[str, Any], runs: int, counts: dict[str, int], repetitions: int) -> tuple[str, bool]:
    """The page, and whether all targets were reached."""
    lines = [
        "# Benchmark of the panel",
        "",
        f"Written by `make bench`: {runs:,} runs, {counts['Artifact']:,} artifacts, {counts['Event']:,} events; pages as HTML, with "
        "login, from Airflow's own API server (one",
        f"worker) with the bundle's plugin, {repetitions} requests of each kind at random over the whole store, one after another. "
        f"{datetime.date.today().isoformat()}, {len(os.sched_getaffinity(0))} cores.",
        "",
        "| median / p95, ms | "
        + " | ".join(TARGETS)
        + " | Airflow's own | first page, s | new diffs, s | memory, MB |",
        "|---" * (len(TARGETS) + 5) + "|",
    ]
    reached = True
    for kind, row in found.items():
        cells = []
        for page, limit in TARGETS.items():
            cells.append(_times(row["pages"][page]))
            reached = reached and 1000 * p95(row["pages"][page]) < limit
        cells.append(_times(row["airflow"]))
        reached = reached and row["grown"] < _MEGABYTES and not row["heavy"]
        news = f"{row['new']['diff']:.1f}, {row['new']['diff of 20']:.1f}"
        lines.append(
            f"| {kind} | " + " | ".join(cells) + f" | {row['first']:.1f} | {news} | {row['grown']:.0f} |"
        )
    lines += [
        "| to be below | "
        + " | ".join(str(limit) for limit in TARGETS.values())
        + f" | | | | {_MEGABYTES} |",
        "",
        "*diff*: two evaluations of 1,000 slices and 20 metrics, 20,020 comparisons, of which a page has 200; *diff of 20*: a",
        "baseline and twenty candidates; *new diffs*: the first request of each, which reads and compares; later ones are kept.",
        f"*Airflow's own*: what its UI asks this server for to list the DAGs, of which there are none here, {100 // _EVERY} times among",
        "each 100 requests: what this machine can.",
        "*first page*: the first request after the start makes the panel and reads which runs there are; *memory*: what the",
        "server (PSS) has grown by after all these requests, over itself after Airflow's own pages (DAGs, runs, assets); on",
        "PostgreSQL 8 of it are its driver's libraries; no TensorFlow, TFX or ml_metadata in it.",
        "" if reached else "\n**Not all targets were reached.**",
    ]
    return "\n".join(lines).rstrip() + "\n", reached


def _times(seconds: list[float]) -> str:
    return f"{1000 * statistics.median(seconds):.0f} / {1000 * p95(seconds):.0f}"


def _say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Measures, writes PANEL.md and returns 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--repetitions", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = measure(folder, asked.runs, asked.repetitions)
        with contextlib.closing(sqlite3.connect(folder / "metadata.db")) as store:
            counts = {
                t: store.execute(f"select count(*) from {t}").fetchone()[0] for t in ("Artifact", "Event")
            }
    text, reached = render(found, asked.runs, counts, asked.repetitions)
    Path(__file__).with_name("PANEL.md").write_text(text)
    print(text)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
