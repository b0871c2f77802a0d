"""The picture of a DAG's history."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from include.tfx_airflow.tfx_side import draw

POINTS: list[dict[str, Any]] = [
    {"label": "2014-01", "value": 0.93, "lower": 0.91, "upper": 0.95, "blessed": True, "pushed": True},
    {"label": "2014-02", "value": 0.94, "lower": 0.92, "upper": 0.96, "blessed": False, "pushed": False},
    {"label": "2014-03", "value": 0.95, "lower": 0.93, "upper": 0.97, "blessed": True, "pushed": False},
]


def _comments(path: Path) -> str:
    """Texts are drawn as paths; matplotlib keeps each as a comment."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    return " ".join(
        node.text or "" for node in ElementTree.parse(path, parser).iter() if node.tag is ElementTree.Comment
    )


def test_picture_has_each_run_and_the_legend_of_what_became_of_models(tmp_path: Path) -> None:
    draw.draw(POINTS, "auc", str(tmp_path / "a.svg"))
    text = _comments(tmp_path / "a.svg")
    for word in (
        "2014-01",
        "2014-03",
        "auc",
        "95 % interval",
        "blessed, pushed",
        "blessed, not pushed",
        "not blessed",
    ):
        assert word in text


def test_same_runs_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw.draw(POINTS, "auc", str(tmp_path / name))
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_metric_without_intervals_and_no_runs_at_all_are_drawn(tmp_path: Path) -> None:
    bare = [{key: point[key] for key in ("label", "value", "blessed", "pushed")} for point in POINTS]
    for name, points in (("bare", bare), ("none", [])):
        draw.draw(points, "auc", str(tmp_path / f"{name}.svg"))
        assert "95 % interval" not in _comments(tmp_path / f"{name}.svg")


def test_other_verdict_that_differs_has_a_mark_of_its_own(tmp_path: Path) -> None:
    agreed = [{**point, "contradicted": False} for point in POINTS]
    draw.draw(agreed, "auc", str(tmp_path / "agreed.svg"))
    draw.draw([{**agreed[0], "contradicted": True}, *agreed[1:]], "auc", str(tmp_path / "differs.svg"))
    assert "other verdict differs" not in _comments(tmp_path / "agreed.svg")
    assert "other verdict differs" in _comments(tmp_path / "differs.svg")
