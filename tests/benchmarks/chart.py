"""The charts of docs/operations.md: seconds of a run by lane, and of a node by the runs before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

from tests.benchmarks import ingest
from tests.benchmarks.results import median, ordinary, slowest_resolver

_LANES = {
    "stock scheduled embedded": "TFX's AirflowDagRunner, scheduled,\nSQLite (Airflow 2's default)",
    "stock scheduled": "TFX's AirflowDagRunner, scheduled,\nPostgreSQL",
    "stock dags test": "TFX's AirflowDagRunner, dags test",
    "local": "LocalDagRunner, a process",
    "dags test cold": "this bundle, dags test, cold",
    "dags test warm": "this bundle, dags test, warm",
    "scheduled warm": "this bundle, scheduled, warm",
}
_STOCK, _OURS = "#9aa5b1", "#e8710a"


def _style() -> None:
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "tfx-on-airflow"


def draw_history(found: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """Draws what a node costs that does nothing, see `history.measure`, as SVG."""
    _style()
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    figure.patch.set_facecolor("white")
    places = range(len(found))
    for side, name, color in (("local", "LocalDagRunner", _STOCK), ("bundle", "this bundle", _OURS)):
        for kind, label, line in (
            (ordinary, "an ordinary node", "-"),
            (slowest_resolver, "the slowest Resolver", "--"),
        ):
            values = [kind(row[side]) for row in found.values()]
            axes.plot(places, values, line, color=color, marker="o", label=f"{name}, {label}")
            axes.annotate(f" {values[-1]:.2g} s", (places[-1], values[-1]), fontsize=9, va="center")
    axes.set_yscale("log")
    axes.set_xticks(list(places), [f"{int(runs):,}" for runs in found])
    axes.set_xlim(-0.1, len(found) - 0.8)
    axes.set_xlabel("runs in the store, a quarter of them of the same pipeline")
    axes.set_ylabel("seconds of a node that does nothing")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path, metadata={"Date": None})


def draw_ingest(found: dict[str, dict[str, dict[str, Any]]], path: Path) -> None:
    """Draws what `ingest.measure` found as SVG."""
    _style()
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 1 + len(found)), layout="constrained")
    figure.patch.set_facecolor("white")
    for place, sides in enumerate(found.values()):
        for shift, side in ((-0.2, "tfx"), (0.2, "bundle")):
            seconds, slower = sides[side]["seconds"], sides["tfx"]["seconds"] / sides[side]["seconds"]
            name = f"{seconds:,.1f} s, {ingest.SIDES[side]}" + (
                f", {slower:.0f} x" if side == "bundle" else ""
            )
            bar = axes.barh(place + shift, seconds, 0.38, color=_STOCK if side == "tfx" else _OURS)
            axes.bar_label(bar, [f" {name}"], fontsize=9)
    axes.set_yticks(range(len(found)), [f"{int(rows):,} rows" for rows in found])
    axes.invert_yaxis()
    axes.set_xlim(0, max(sides["tfx"]["seconds"] for sides in found.values()) * 1.3)
    axes.set_xlabel("seconds from CSV to Examples, one in-memory worker")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def draw(found: dict[str, Any], path: Path) -> None:
    """Draws the figures of a run as SVG; the same figures give the same file."""
    _style()
    from matplotlib import pyplot

    work = median(found, "local", "nodes")
    walls = {lane: median(found, lane, "wall") for lane in _LANES}
    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    figure.patch.set_facecolor("white")
    colors = [_OURS if name.startswith("this") else _STOCK for name in _LANES.values()]
    bars = axes.barh(list(_LANES.values()), list(walls.values()), color=colors)
    labels = [f" {wall:.0f} s, {wall / work:.1f} x the work" for wall in walls.values()]
    axes.bar_label(bars, labels=labels, fontsize=9)
    axes.axvline(work, color="black", linewidth=1, linestyle=":")
    axes.annotate(
        " the nodes' own work",
        (work, -0.6),
        fontsize=8,
        ha="left",
        va="bottom",
        annotation_clip=False,
    )
    axes.invert_yaxis()
    axes.set_xlim(0, max(walls.values()) * 1.25)
    axes.set_xlabel(f"seconds of one run of the taxi pipeline (median of {found['about']['repetitions']})")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
