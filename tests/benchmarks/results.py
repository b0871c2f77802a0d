"""Medians, ratios and targets of a benchmark run, as RESULTS.md."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from importlib import metadata
from typing import Any

from tests.benchmarks import history, ingest

LANES = {
    "local": "`LocalDagRunner`, a process",
    "stock dags test": "TFX's `AirflowDagRunner`, `airflow dags test`",
    "stock scheduled": "TFX's `AirflowDagRunner`, scheduled, LocalExecutor on PostgreSQL",
    "stock scheduled embedded": "TFX's `AirflowDagRunner`, scheduled, SequentialExecutor on SQLite, Airflow 2's default",
    "dags test cold": "**this bundle**, `airflow dags test`, cold: nothing compiled, no server",
    "dags test new processes": "**this bundle**, `airflow dags test`, `node_server = False`",
    "dags test warm": "**this bundle**, `airflow dags test`, warm",
    "scheduled cold": "**this bundle**, scheduled, no server",
    "scheduled warm": "**this bundle**, scheduled, warm",
}


def about(repetitions: int) -> dict[str, Any]:
    """Date, machine and versions of a run that begins now."""
    with open("/proc/cpuinfo") as lines:
        cpu = next((line.split(": ")[1].strip() for line in lines if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = {
        name: metadata.version(name) for name in ("tfx", "tensorflow", "apache-beam", "apache-airflow")
    }
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{len(os.sched_getaffinity(0))} cores of {cpu}, {memory:.0f} GiB, {platform.platform(terse=True)}",
        "versions": versions,
        "repetitions": repetitions,
    }


def median(found: dict[str, Any], lane: str, *keys: str) -> float:
    """Median of a figure over the repetitions of a lane; of `nodes`, their sum."""

    def value(row: Any) -> float:
        for key in keys:
            row = row[key]
        return sum(row.values()) if isinstance(row, dict) else row

    return statistics.median(value(row) for row in found["lanes"][lane])


def ordinary(seconds: dict[str, float]) -> float:
    """Of a side of `history.measure`: the ordinary node that took longer."""
    return max(seconds[name] for name in history.ORDINARY)


def slowest_resolver(seconds: dict[str, float]) -> float:
    """Of a side of `history.measure`."""
    return max(value for name, value in seconds.items() if name not in (*history.ORDINARY, history.SOURCE))


def percentile(values: list[float], share: float) -> float:
    """The value that a share of the values does not exceed."""
    return sorted(values)[max(0, round(share * len(values)) - 1)]


def targets(found: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """What is to be reached: name, target, figure, whether it is."""
    work, local = median(found, "local", "nodes"), median(found, "local", "wall")
    rows = []

    def add(name: str, figure: float, limit: float, unit: str) -> None:
        rows.append((name, f"<= {limit:g}{unit}", f"{figure:.2f}{unit}", figure <= limit))

    add("node start on a warm server, p95", percentile(found["starts"]["forked"], 0.95), 0.3, " s")
    add(
        "node work of `airflow dags test` warm / `LocalDagRunner`'s",
        median(found, "dags test warm", "nodes") / work,
        0.65,
        "",
    )
    add("`airflow dags test` warm / node work", median(found, "dags test warm", "wall") / work, 1.3, "")
    add("`airflow dags test` cold / `LocalDagRunner`", median(found, "dags test cold", "wall") / local, 1, "")
    add("scheduled run warm / node work", median(found, "scheduled warm", "wall") / work, 1.6, "")
    add("parse over an empty DAG file", 1000 * median(found, "parse", "seconds"), 50, " ms")
    empty, full = (found["history"][runs]["bundle"] for runs in ("0", "20000"))
    add("ordinary node at 20,000 runs, over an empty store", ordinary(full) - ordinary(empty), 0.2, " s")
    add("slowest Resolver at 20,000 runs", slowest_resolver(full), 1, " s")
    month = found["retraining"]
    add("`taxi_retraining` at 20,000 runs / in an empty store", month["20000"] / month["0"], 1.05, "")
    for number, sides in found["ingest"].items():
        ratio = sides["bundle"]["seconds"] / sides["tfx"]["seconds"]
        add(f"{int(number):,} rows of CSV, `ArrowExampleGen` / `CsvExampleGen`", ratio, 0.1, "")
    add("memory of that parse", median(found, "parse", "megabytes"), 20, " MB")
    return rows


def _history(found: dict[str, Any]) -> list[str]:
    rows = found["history"]
    lines = [
        "",
        "| a node that does nothing, s | " + " | ".join(f"{int(runs):,} runs" for runs in rows) + " |",
    ]
    lines.append("|---" * (len(rows) + 1) + "|")
    for node in next(iter(rows.values()))["bundle"]:
        cells = (f"{row['bundle'][node]:.2f} / {row['local'][node]:.2f}" for row in rows.values())
        name = f"{node}, {history.ORDINARY[node]}" if node in history.ORDINARY else node
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    month = found["retraining"]
    return [
        *lines,
        "",
        "*this bundle / `LocalDagRunner`*, both on a copy of the same SQLite store, from the driver's first question to the",
        "publisher's last word; a quarter of its runs are of the same pipeline (`tests/panel/scale.py`,",
        f"`tests/pipelines/history.py`). A month of `taxi_retraining` by `airflow dags test`, warm, on average of three: {month['0']:.1f} s in an empty",
        f"store, {month['20000']:.1f} s after 20,000 runs.",
        "",
        "![What a node costs after years of runs](history.svg)",
    ]


def _ingest(found: dict[str, Any]) -> list[str]:
    lines = ["", "| CSV to Examples | rows | s | rows a second | process, MB |", "|---|---|---|---|---|"]
    for rows, sides in found["ingest"].items():
        for side, name in ingest.SIDES.items():
            row = sides[side]
            rate = int(rows) / row["seconds"]
            title = f"**`{name}`**" if side == "bundle" else f"TFX's `{name}`"
            lines.append(
                f"| {title} | {int(rows):,} | {row['seconds']:.1f} | {rate:,.0f} | {row['megabytes']:.0f} |"
            )
    return [
        *lines,
        "",
        "A pipeline of that component alone by `LocalDagRunner`, on the same file, the taxi sample again and again, with the taxi",
        "pipeline's Beam arguments: one in-memory worker. Without imports, which leave a process of some 850 MB.",
        "In all other tables every lane reads CSV by `ArrowExampleGen`, as part of the taxi pipeline.",
        "",
        "![Seconds of CsvExampleGen and ArrowExampleGen](ingest.svg)",
    ]


def render(found: dict[str, Any]) -> tuple[str, bool]:
    """The page, and whether all targets were reached."""
    told, work = found["about"], median(found, "local", "nodes")
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    lines = [
        "# Benchmark",
        "",
        "Written by `make bench`: the taxi pipeline (nine components, 15,002 rows) without cache, into an empty MLMD store",
        "(SQLite), with the same code, data and Beam arguments in every lane. Lanes take turns; figures are medians",
        f"(lowest-highest) of {told['repetitions']} repetitions in one run.",
        "",
        f"- {told['date']}; {told['machine']}",
        f"- TFX's `AirflowDagRunner`: {versions}",
        "- this bundle: the same TFX and Beam, Airflow 3.3.2, LocalExecutor on SQLite",
        "",
        "| lane | seconds | node work, s | / W | processes, MB | largest, MB |",
        "|---|---|---|---|---|---|",
    ]
    for lane, name in LANES.items():
        walls = [row["wall"] for row in found["lanes"][lane]]
        wall = statistics.median(walls)
        lines.append(
            f"| {name} | {wall:.1f} ({min(walls):.1f}-{max(walls):.1f}) | {median(found, lane, 'nodes'):.1f} | "
            f"{wall / work:.2f} | {median(found, lane, 'memory', 'total') - median(found, lane, 'memory', 'idle'):.0f} | "
            f"{median(found, lane, 'memory', 'largest'):.0f} |"
        )
    lines += [
        "",
        f"*W* is the node work of `LocalDagRunner`, {work:.1f} s: by MLMD, from the registration of each execution to its",
        "last update, summed. Nodes that run side by side share two cores, so that a scheduled run's own sum is higher. A scheduled",
        "run is counted from its queueing to its end. Memory is PSS, sampled every 2 s: the highest sum over all processes less what",
        "ran before (Airflow's daemons; on a warm server the server too), and the largest process born in the run.",
        "",
        "| parse of the DAG file over an empty one | ms | MB |",
        "|---|---|---|",
    ]
    for lane, name in (("stock parse", "TFX's `AirflowDagRunner`"), ("parse", "**this bundle**")):
        lines.append(
            f"| {name} | {1000 * median(found, lane, 'seconds'):.0f} | {median(found, lane, 'megabytes'):.0f} |"
        )
    lines += _by_node(found)
    lines += ["", "| start of a node | median, s | p95, s | longest, s | starts |", "|---|---|---|---|---|"]
    starts = {
        "forked by a warm server: asked for, to work": found["starts"]["forked"],
        "a new process: asked for, to work": found["starts"]["new"],
    }
    for lane in ("scheduled warm", "scheduled cold", "stock scheduled", "stock scheduled embedded"):
        name = LANES[lane].replace("`", "").replace("**", "")
        starts[f"{name}: queued, to registered in MLMD"] = [
            seconds for row in found["lanes"][lane] for seconds in row["starts"].values()
        ]
    for name, values in starts.items():
        lines.append(
            f"| {name} | {statistics.median(values):.2f} | {percentile(values, 0.95):.2f} | {max(values):.2f} | {len(values)} |"
        )
    lines += _history(found)
    lines += _ingest(found)
    lines += ["", "| target | | reached | |", "|---|---|---|---|"]
    rows = targets(found)
    lines += [
        f"| {name} | {limit} | {figure} | {'yes' if good else '**no**'} |"
        for name, limit, figure, good in rows
    ]
    return "\n".join(lines) + "\n", all(good for *_, good in rows)


def _by_node(found: dict[str, Any]) -> list[str]:
    """Node work node by node: this bundle's patches of libraries beside the libraries as they are."""
    lines = [
        "",
        "| work of a node, s | `LocalDagRunner` | **this bundle**, warm | ratio |",
        "|---|---|---|---|",
    ]
    names = found["lanes"]["local"][0]["nodes"]
    rows = [
        (name, *(median(found, lane, "nodes", name) for lane in ("local", "dags test warm")))
        for name in names
    ]
    whole = ("all", *(median(found, lane, "nodes") for lane in ("local", "dags test warm")))
    for name, local, ours in [*sorted(rows, key=lambda row: -row[1]), whole]:
        ratio = f"{ours / local:.2f}" if local >= 0.1 else ""
        lines.append(f"| {name} | {local:.2f} | {ours:.2f} | {ratio} |")
    return [
        *lines,
        "",
        "Medians of each node, as above. In one process TensorFlow and Keras begin once, in a node of its own each time; what",
        "this bundle leaves out is in `include/tfx_airflow/tfx_side/patches`.",
    ]
