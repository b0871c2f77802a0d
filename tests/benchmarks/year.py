"""`python -m tests.benchmarks.year`: a year of hourly runs, twenty-four real ones on top, and retention at its end.

The year (8,760 runs of one pipeline) is written into a SQLite store by tests/panel/scale.py, with a file for each artifact;
then the pipeline of `tests/pipelines/history.py` runs for a day. Compared are what its nodes cost on an empty store, the
panel's pages inside Airflow's API server before and after `gc`, and the disk. Writes YEAR.md. Runs in the interpreter of the
panel's tests.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import panel
from tests.bundle import ROOT, TFX_PYTHON, environment

_RUNS, _DAY = 8_760, 24
_KEEP = (
    "--keep-runs",
    "48",
    "--keep-days",
    "0",
    "--keep-pushed",
    "10",
    "--keep-blessed",
    "10",
    "--grace",
    "0",
)
_LIVE = 2  # state of an artifact
_OUTPUT = 4  # type of an event


def measure(folder: Path) -> dict[str, Any]:
    """All figures; the folder is empty."""
    home = folder / "home"
    store = home / "tfx/mlmd/metadata.db"
    store.parent.mkdir(parents=True)
    _say("a day on an empty store ...")
    found: dict[str, Any] = {"empty": _day(folder / "empty.db", folder / "empty")}
    _say(f"a year of {_RUNS:,} hourly runs ...")
    _tfx("tests.panel.scale", f"sqlite:///{store}", "--runs", str(_RUNS), "--hourly")
    _make_old(store)
    _make_files(store, home / "tfx")
    _say("a day on top ...")
    found["year"] = _day(store, home)
    found["before"] = _state(store, home)
    found["pages before"] = _pages(folder / "airflow-before", store)
    _say("retention ...")
    found["gc"] = _collect(folder, home)
    found["after"] = _state(store, home)
    found["pages after"] = _pages(folder / "airflow-after", store)
    return found


def _day(store: Path, home: Path) -> list[dict[str, float]]:
    home.mkdir(parents=True, exist_ok=True)
    text = _tfx("tests.benchmarks.history", "several", str(store), str(home), str(_DAY))
    return json.loads(text.rpartition("RESULT")[2])


def _tfx(*arguments: str) -> str:
    done = subprocess.run(
        [TFX_PYTHON, "-m", *arguments],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def _make_files(store: Path, home: Path) -> None:
    """Gives each artifact a file, in the folder that TFX gives to outputs of the execution that made it."""
    with contextlib.closing(sqlite3.connect(store)) as database, database:
        made = database.execute(
            f"select a.id, a.uri, min(e.execution_id) from Artifact a join Event e on e.artifact_id = a.id and e.type = {_OUTPUT}"
            " group by a.id"
        ).fetchall()
        for id_, uri, execution in made:
            place = (home / uri.removeprefix("/srv/tfx/")).with_name(str(execution))
            place.mkdir(parents=True, exist_ok=True)
            (place / "data").write_bytes(b"x" * 1000)
            database.execute("update Artifact set uri = ? where id = ?", (str(place), id_))


def _make_old(store: Path) -> None:
    """Gives what was just written the times of its hours: run by run, the last one a day ago."""
    now = int(1000 * time.time())
    with contextlib.closing(sqlite3.connect(store)) as database, database:
        for table, number in (
            ("Execution", "cast(name as integer)"),  # <run>-<node>
            ("Artifact", "cast(replace(uri, rtrim(uri, '0123456789'), '') as integer)"),  # .../<run>
        ):
            when = f"{now} - 3600000 * ({_RUNS} + 24 - {number})"
            database.execute(
                f"update {table} set create_time_since_epoch = {when}, last_update_time_since_epoch = {when}"
            )


def _state(store: Path, home: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(store)) as database:
        counts = dict(database.execute("select state, count(*) from Artifact group by state").fetchall())
    used = subprocess.run(
        ["du", "-sk", str(home / "tfx/pipelines")], capture_output=True, text=True, check=True
    )
    return {
        "live": counts.get(_LIVE, 0),
        "kB": int(used.stdout.split()[0]),
    }


def _pages(folder: Path, store: Path) -> dict[str, float]:
    """p95 of the panel's pages, in seconds."""
    folder.mkdir()
    airflow = panel.Airflow(folder, f"sqlite:///{store}")
    try:
        newest = airflow.json("/runs.json?limit=1")["runs"][0]["summary"]["run"]["id"]
        last = airflow.json("/artifacts.json?limit=1")["artifacts"][0]["id"]
        paths = {
            "runs": "/runs",
            "run": f"/runs/{newest}",
            "artifacts": "/artifacts",
            "artifact": f"/artifacts/{last}",
            "lineage": f"/artifacts/{last}/lineage?depth=6",
        }
        return {name: panel.p95([airflow.seconds(path) for _ in range(50)]) for name, path in paths.items()}
    finally:
        airflow.stop()


def _collect(folder: Path, home: Path) -> dict[str, Any]:
    """Plans and carries out."""
    variables = {**environment(folder), "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}

    def gc(*arguments: str) -> tuple[str, float]:
        start = time.monotonic()
        done = subprocess.run(
            ["python", "-m", "include.tfx_airflow", "gc", *arguments],
            env=variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout, time.monotonic() - start

    text, planned = gc(*_KEEP)
    [hash_] = re.findall(r"--apply (\S+)", text)
    _, set_aside = gc("--apply", hash_)
    # With no time of grace the next plan deletes what this one has set aside.
    text, _ = gc(*_KEEP)
    deleted = 0.0
    if again := re.findall(r"--apply (\S+)", text):
        _, deleted = gc("--apply", again[0])
    return {"plan": planned, "set aside": set_aside, "delete": deleted}


def render(found: dict[str, Any]) -> tuple[str, bool]:
    """The page, and whether the day cost what it costs on an empty store and pages kept to their limits."""
    nodes = list(found["year"][0])
    lines = [
        "# A year of hourly runs",
        "",
        f"Written by `make bench`: a SQLite store with {_RUNS:,} runs of one pipeline, and {_DAY} real ones on top, whose executors do",
        f"nothing. {datetime.date.today().isoformat()}, {len(os.sched_getaffinity(0))} cores.",
        "",
        "| seconds of a node, median | on an empty store | after the year | first 6 runs after it | last 6 |",
        "|---|---|---|---|---|",
    ]

    def median(rows: list[dict[str, float]], name: str) -> float:
        return statistics.median(row[name] for row in rows)

    reached = True
    for name in nodes:
        empty, year = median(found["empty"][1:], name), median(found["year"], name)
        first, last = median(found["year"][:6], name), median(found["year"][-6:], name)
        lines.append(f"| {name} | {empty:.2f} | {year:.2f} | {first:.2f} | {last:.2f} |")
        reached = reached and year - empty < (
            1.0 if name not in ("SpanExampleGen", "Train", "Judge") else 0.2
        )
    before, after = found["before"], found["after"]
    took = found["gc"]
    lines += [
        "",
        "An ordinary node is to take at most 0.2 s more than on an empty store, a Resolver at most 1 s.",
        "",
        "| | after the year | after `gc` |",
        "|---|---|---|",
        f"| artifacts that are there | {before['live']:,} | {after['live']:,} |",
        f"| disk, MB | {before['kB'] / 1000:,.0f} | {after['kB'] / 1000:,.0f} |",
    ]
    for name, seconds in found["pages before"].items():
        after_gc = found["pages after"][name]
        limit = panel.TARGETS[name]
        reached = reached and 1000 * max(seconds, after_gc) < limit
        lines.append(
            f"| page *{name}*, p95 in ms (limit {limit}) | {1000 * seconds:.0f} | {1000 * after_gc:.0f} |"
        )
    lines += [
        "",
        f"`gc {' '.join(_KEEP)}`: {took['plan']:.0f} s to plan, {took['set aside']:.0f} s to set aside, {took['delete']:.0f} s to delete.",
        "" if reached else "\n**Not all targets were reached.**",
    ]
    return "\n".join(lines).rstrip() + "\n", reached


def _say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Measures, writes YEAR.md and returns 1 when a target was missed."""
    with tempfile.TemporaryDirectory() as name:
        text, reached = render(measure(Path(name)))
    Path(__file__).with_name("YEAR.md").write_text(text)
    print(text)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
