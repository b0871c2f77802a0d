"""The chart of docs/operations.md: seconds of a run by lane, and the work in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

from tests.benchmarks.results import median

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


def draw(found: dict[str, Any], path: Path) -> None:
    """Draws the figures of a run as SVG; the same figures give the same file."""
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "tfx-on-airflow"
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
