"""The page of trends: lines, gaps, marks, slow decay and features, as page, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.web import trend_charts
from mlmd_panel.web.app import create_app
from mlmd_panel.web.trend_charts import Mark

from tests.panel.evaluation.judged import run
from tests.panel.written import FIRST, SECOND, Written, written


@pytest.fixture(scope="module")
def made() -> Written:
    return written()


@pytest.fixture(scope="module")
def client(made: Written) -> Iterator[TestClient]:
    with TestClient(create_app(made.panel), follow_redirects=False) as client:
        yield client


def _json(client: TestClient, **query: Any) -> dict[str, Any]:
    response = client.get(f"/trends.json?{urlencode(query, doseq=True)}")
    assert response.status_code == 200, response.text[:500]
    return json.loads(response.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def _page(client: TestClient, **query: Any) -> BeautifulSoup:
    response = client.get(f"/trends?{urlencode(query, doseq=True)}")
    assert response.status_code == 200, response.text[-2000:]
    return BeautifulSoup(response.text, "html.parser")


def _figures(page: BeautifulSoup) -> list[dict[str, Any]]:
    return [json.loads(script.string or "") for script in page.select("script[data-chart]")]


def test_points_are_the_values_of_the_runs_and_lead_to_them(client: TestClient, made: Written) -> None:
    data = _json(client, pipeline="judged", metrics="auc of linear")
    [line] = data["lines"]
    assert [point["run"] for point in line["points"]] == sorted(one["id"] for one in data["runs"])
    of_run = {one["id"]: one["label"] for one in data["runs"]}
    known = {of_run[point["run"]]: point for point in line["points"]}
    assert known["judged models"]["value"] is not None
    assert known["judged many"]["gap"] == "No such metric."
    assert known["judged labels"]["gap"] == "No such slice."

    page = _page(client, pipeline="judged", metrics="auc of linear")
    [figure] = _figures(page)
    [trace] = figure["data"]
    assert trace["y"] == [point["value"] for point in line["points"]]
    assert trace["connectgaps"] is False
    assert trace["meta"]["links"] == [f"/runs/{point['run']}" for point in line["points"]]
    assert "5 of 6 runs have no value" in page.text
    cells = {row.th.text.strip(): row.select("td")[-1] for row in page.select("#runs tbody tr")}
    assert cells["judged models"]["data-value"] == str(known["judged models"]["value"])
    assert cells["judged many"]["title"] == "No such metric."


def test_marks_say_without_colour_what_became_of_the_model(client: TestClient, made: Written) -> None:
    page = _page(client, pipeline=["regions", "taxi"])
    text = " ".join(page.select_one("#runs").text.split())
    assert "● blessed" in text and "✕ not blessed" in text and "★ pushed" in text
    symbols = {
        symbol
        for figure in _figures(page)
        for trace in figure["data"]
        for symbol in trace["marker"]["symbol"]
    }
    assert symbols == {trend_charts.PUSHED, trend_charts.REJECTED, trend_charts.NONE}
    dashes = [trace["line"]["dash"] for trace in _figures(page)[0]["data"]]
    assert len(set(dashes)) == len(dashes) > 1


def test_slices_features_and_axes_are_chosen_in_the_address(client: TestClient, made: Written) -> None:
    query = {
        "pipeline": "taxi",
        "metrics": "area",
        "slices": ["Overall", "language: 日本"],
        "axis": "span",
        "statistic": "missing",
    }
    names = _json(client, **query)["available_features"]
    data = _json(client, **query, features=names[:2])
    assert [(line["metric"], line["slice"]) for line in data["lines"]] == [
        ("area", "Overall"),
        ("area", "language: 日本"),
    ]
    assert [line["feature"] for line in data["features"]] == names[:2]
    page = _page(client, **query, features=names[:2])
    metric, feature = _figures(page)
    assert [trace["x"] for trace in metric["data"]] == [["7", "7"], ["7", "7"]]
    assert len(feature["data"]) == 2
    boxes = [box["value"] for box in page.select("#slice-choice input[checked]")]
    assert sorted(boxes) == ["Overall", "language: 日本"]
    times = _figures(_page(client, **{**query, "axis": "time"}))[0]["data"][0]["x"]
    assert all(one.endswith("Z") for one in times)


def test_runs_without_a_span_are_left_out_of_an_axis_of_spans_and_counted(client: TestClient) -> None:
    page = _page(client, pipeline="judged", axis="span", metrics="auc of linear")
    assert _figures(page)[0]["data"][0]["x"] == []
    assert "6 runs without a span are not in the charts" in page.text


def test_slow_decay_is_told_with_what_it_is_of(client: TestClient, made: Written) -> None:
    data = _json(client, pipeline="regions", metrics="area", slices="language: de")
    assert data["decays"] == []  # one run of each branch
    page = _page(client, pipeline="taxi", metrics="nothing")
    assert "Unknown metric" in page.text
    assert client.get("/trends.json?allowed=-1").status_code == 422
    pinned = _json(client, pipeline="taxi", pinned=999_999)
    assert not pinned["pinned_is_shown"]
    assert "not among these runs" in _page(client, pipeline="taxi", pinned=999_999).text


def test_a_table_of_all_points(client: TestClient, made: Written) -> None:
    names = _json(client, pipeline="taxi")["available_features"]
    response = client.get(
        f"/trends.csv?{urlencode({'pipeline': 'taxi', 'metrics': 'area', 'features': names[0]})}"
    )
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert {(row["kind"], row["run_id"]) for row in rows} == {
        (kind, id_) for kind in ("metric", "feature") for id_ in (FIRST, SECOND)
    }
    [first] = [row for row in rows if row["kind"] == "metric" and row["run_id"] == FIRST]
    data = _json(client, pipeline="taxi", metrics="area")["lines"][0]["points"][0]
    assert [float(first[name]) for name in ("value", "lower", "upper", "examples")] == [
        data[name] for name in ("value", "lower", "upper", "examples")
    ]
    [gone] = [row for row in rows if row["kind"] == "metric" and row["run_id"] == SECOND]
    assert (gone["value"], gone["gap"]) == ("", "No such metric.")


def test_without_a_pipeline_the_one_with_most_evaluations_is_shown(client: TestClient) -> None:
    assert _json(client)["pipelines"] == ["judged"]
    assert _json(client, pipeline="nowhere")["runs"] == []
    assert _page(client, pipeline="nowhere").find(string="No runs")


def test_hostile_names_stay_text(client: TestClient, made: Written) -> None:
    hostile = "</script><script>alert(1)</script>\"'&\u202e{{7*7}}"
    for query in (
        {"pipeline": hostile, "slices": [hostile, "Overall"], "features": hostile},
        {"pipeline": hostile, "metrics": hostile, "split": hostile},
    ):
        page = _page(client, **query)
        assert not [
            script
            for script in page.select("script")
            if "alert" in script.text and not script.has_attr("data-chart")
        ]
        assert "49" not in page.select_one("h1").text
        _json(client, **query)


def test_a_figure_has_whiskers_only_where_there_are_intervals() -> None:
    marks = [
        Mark(run(1), "/runs/1", 0.9, 0.8, 1.0),
        Mark(run(2), "/runs/2", None),
        Mark(run(3), "/runs/3", 0.8),
    ]
    [trace] = trend_charts.lines([("auc", marks)], trend_charts.RUN, "auc")["data"]
    assert trace["error_y"]["array"] == [pytest.approx(0.1), 0, 0]
    assert trace["x"] == [0, 1, 2]
    [plain] = trend_charts.lines([("auc", marks[1:])], trend_charts.TIME, "auc")["data"]
    assert "error_y" not in plain
