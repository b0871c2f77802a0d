"""`python -m include.tfx_airflow.tfx_side.draw FILE METRIC`: draws a metric over the runs of a DAG, as SVG.

Reads a JSON list of {"label", "value", "lower", "upper", "blessed", "contradicted", "pushed"} from standard input;
"contradicted" says that the verdict which does not decide, TFMA's or that with evidence, is another one.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

_BLESSED, _REJECTED, _OTHER = "#1f8a70", "#c8553d", "#52606d"


def draw(points: list[dict[str, Any]], metric: str, path: str) -> None:
    """Writes the chart: a line with its 95 % intervals, a filled mark where a model was pushed."""
    figure, axes = pyplot.subplots(figsize=(9, 3.2), layout="constrained")
    places = range(len(points))
    values = [point["value"] for point in points]
    axes.plot(places, values, color="#9aa5b1", linewidth=1.5, zorder=1)
    if points and all("lower" in point for point in points):
        lower, upper = ([point[side] for point in points] for side in ("lower", "upper"))
        axes.fill_between(
            places, lower, upper, color="#9aa5b1", alpha=0.25, linewidth=0, label="95 % interval"
        )
    kinds = (
        ("blessed, pushed", _BLESSED, _BLESSED, lambda point: point["blessed"] and point["pushed"]),
        ("blessed, not pushed", _BLESSED, "white", lambda point: point["blessed"] and not point["pushed"]),
        ("not blessed", _REJECTED, "white", lambda point: not point["blessed"]),
    )
    for label, edge, face, fits in kinds:
        chosen = [place for place in places if fits(points[place])]
        if chosen:
            marks = [values[place] for place in chosen]
            axes.scatter(
                chosen, marks, s=60, facecolor=face, edgecolor=edge, linewidth=2, label=label, zorder=2
            )
    contradicted = [place for place in places if points[place].get("contradicted")]
    if contradicted:
        marks = [values[place] for place in contradicted]
        label = "other verdict differs"
        axes.scatter(
            contradicted,
            marks,
            s=180,
            facecolor="none",
            edgecolor=_OTHER,
            linestyle=":",
            label=label,
            zorder=2,
        )
    axes.set_xticks(places, [point["label"] for point in points], rotation=45, ha="right")
    axes.set_ylabel(metric)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    if points:
        axes.legend(frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.5, 1.2))
    # No date and a fixed salt: the same runs give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "history"
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(json.load(sys.stdin), sys.argv[2], sys.argv[1])
