"""Pages about evaluations show every metric of every model, say what they leave out, and lead to it."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.evaluation import key_metrics
from mlmd_panel.evaluation import table as evaluation_table
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import eval_config, evaluation
from mlmd_panel.payloads.evaluation.metric_names import metric_names
from mlmd_panel.payloads.evaluation.metrics import Metric, MetricKey
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.store.records import Artifact
from mlmd_panel.web import charts, compared_rows, pages, sparklines
from mlmd_panel.web.app import create_app

from tests.panel.written import Written, written

EVALUATIONS = ("compared", "classes", "bootstrap", "models", "rivals", "outputs", "labels", "many")


@pytest.fixture(scope="module")
def made() -> Written:
    return written()


@pytest.fixture(scope="module")
def client(made: Written) -> Iterator[TestClient]:
    with TestClient(create_app(made.panel), follow_redirects=False) as client:
        yield client


def _json(client: TestClient, path: str, *pairs: tuple[str, Any]) -> dict[str, Any]:
    response = client.get(f"{path}.json?{urlencode(pairs)}")
    assert response.status_code == 200, response.text[:500]
    return json.loads(response.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def _page(client: TestClient, path: str, *pairs: tuple[str, Any]) -> BeautifulSoup:
    response = client.get(f"{path}?{urlencode(pairs)}")
    assert response.status_code == 200, response.text[-2000:]
    return BeautifulSoup(response.text, "html.parser")


def _headers(page: BeautifulSoup, of: str = "Slice") -> list[str]:
    """Headers of the last table whose first column is that."""
    found = [[cell.text.strip() for cell in table.select("thead th")] for table in page.select("table")]
    return [headers for headers in found if headers[0] == of][-1]


def _run(made: Written, name: str) -> int:
    return made.ids[f"run judged {name}"]


@pytest.mark.parametrize("name", EVALUATIONS)
def test_each_metric_of_an_evaluation_can_be_chosen_alone(
    name: str, client: TestClient, made: Written
) -> None:
    path = f"/artifacts/{made.ids[name]}"
    payload = _json(client, path)["payload"]
    available = payload["table"]["available"]

    assert (
        len(available)
        == len(set(available))
        == len({json.dumps(m["key"]) for m in payload["slices"][0]["metrics"]})
    )
    first = {json.dumps(m["key"]): m["value"] for m in payload["slices"][0]["metrics"]}
    seen = {}
    for chosen in available:
        table = _json(client, path, ("metrics", chosen), ("metric", chosen))["payload"]["table"]
        assert (table["names"], table["unknown"], table["left_out"]) == ([chosen], [], [])
        metric = table["page"]["rows"][0]["metrics"][chosen]
        seen[json.dumps(metric["key"])] = metric["value"]
    assert seen == first


def test_a_page_offers_boxes_of_metrics_and_shows_those_ticked(client: TestClient, made: Written) -> None:
    path = f"/artifacts/{made.ids['outputs']}"
    boxes = [box["value"] for box in _page(client, path).select("input[type=checkbox][name=metrics]")]
    available = _json(client, path)["payload"]["table"]["available"]
    assert boxes == ["*", *available]

    two = [name for name in available if "classId:1" in name][:2]
    page = _page(client, path, *(("metrics", name) for name in two))

    assert _headers(page) == ["Slice", "Examples", *two]
    ticked = page.select("input[type=checkbox][name=metrics][checked]")
    assert [box["value"] for box in ticked] == two
    # Other choices of the page keep them.
    kept = _page(client, path, *(("metrics", name) for name in two), ("plot", "language: de"))
    hidden = kept.select("form[action='#plots'] input[type=hidden][name=metrics]")
    assert [field["value"] for field in hidden] == two


def test_all_metrics_are_all_columns(
    client: TestClient, made: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/artifacts/{made.ids['outputs']}"
    available = _json(client, path)["payload"]["table"]["available"]
    assert len(available) > 20
    assert _headers(_page(client, path, ("metrics", "*")))[2:] == available

    monkeypatch.setattr(evaluation_table, "MAX_COLUMNS", 5)
    page, table = (
        _page(client, path, ("metrics", "*")),
        _json(client, path, ("metrics", "*"))["payload"]["table"],
    )

    assert (table["names"], table["left_out"]) == (available[:5], available[5:])
    assert f"no room for {len(available) - 5} selected metrics" in page.text
    assert [box["value"] for box in page.select("input[type=checkbox][name=metrics]")][1:] == available


def test_a_metric_that_is_not_there_is_told(client: TestClient, made: Written) -> None:
    for path in (f"/artifacts/{made.ids['outputs']}", "/runs", f"/runs/{_run(made, 'outputs')}"):
        page = _page(client, path, ("metrics", "recall, precision"), ("metrics", "nothing"))
        [note] = [note for note in page.select(".note.warn") if "Unknown metric" in note.text]
        assert "recall, precision, nothing. Choose" in note.text


def test_pages_of_slices_hold_each_slice_once(
    client: TestClient, made: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_table, "MAX_ROWS", 20)
    path = f"/artifacts/{made.ids['labels']}"
    payload = _json(client, path)["payload"]
    assert payload["slices_in_all"] == 72
    names = []
    for number in range(1, 5):
        page = _json(client, path, ("page", number))["payload"]["table"]["page"]
        assert (page["in_all"], page["pages"], page["first"]) == (72, 4, 20 * (number - 1) + 1)
        names += [row["slice"]["name"] for row in page["rows"]]
    assert names == [part["slice"]["name"] for part in payload["slices"]]
    shown = _page(client, path, ("page", 2))
    pager = shown.select_one("nav[aria-label='Pages of slices']")
    assert "Slices 21 to 40 of 72" in pager.text
    links = [link["href"] for link in pager.select("a")]
    assert [client.get(link).status_code for link in links] == [200, 200]
    assert "page=1" in links[0] and "page=3" in links[1]
    # A page beyond the last is the last.
    assert _json(client, path, ("page", 99))["payload"]["table"]["page"]["page"] == 4


def test_plots_of_every_slice_can_be_chosen(client: TestClient, made: Written) -> None:
    path = f"/artifacts/{made.ids['labels']}"
    page = _page(client, path)
    offered = [option["value"] for option in page.select("#plot-slices option")]
    assert len(offered) == 72 and "72 slices have plots" in page.text
    for name in (offered[0], offered[-1]):
        chosen = _page(client, path, ("plot", name))
        assert chosen.select_one("#plots .soft").text == name
        assert chosen.find("summary", string="Labels, threshold 0.5")
    twin = _json(client, path)["payload"]["plots"]
    assert (twin["plots_in_all"], len(twin["plots"]), twin["cut"]) == (72, 60, True)
    assert _page(client, path, ("plot", "nowhere")).find(string="No plots for this slice")


def test_each_model_is_named_wherever_its_metrics_are(client: TestClient, made: Written) -> None:
    models = ["linear", 'deep, "wide"', "木"]
    path, run = f"/artifacts/{made.ids['models']}", _run(made, "models")
    payload = _json(client, path)["payload"]
    overall = {(m["key"]["name"], m["key"]["model"]): m["value"] for m in payload["slices"][0]["metrics"]}
    names = [f"auc of {model}" for model in models]

    page = _page(client, path)
    assert [name for name in _headers(page) if name.startswith("auc")] == names
    assert [h.text for h in page.select("h3") if h.text.startswith("Plots of")] == [
        f"Plots of {m}" for m in models
    ]
    bounds = {row.select("td")[0].text for row in page.select("#verdict ~ .table")[0].select("tbody tr")}
    assert bounds == {*names, "mean_prediction of 木"}

    listed = {
        row["summary"]["run"]["id"]: row for row in _json(client, "/runs", ("pipeline", "judged"))["runs"]
    }
    assert {name: listed[run]["metrics"][name] for name in names} == {
        f"auc of {model}": overall["auc", model] for model in models
    }
    assert set(names) <= set(_headers(_page(client, "/runs", ("pipeline", "judged")), of="Run"))
    own = _page(client, f"/runs/{run}")
    assert set(names) <= {term.text for term in own.select(".card dt")}
    assert bounds == {row.select("td")[0].text for row in own.select("table")[0].select("tbody tr")}

    [compared] = _json(client, "/compare", ("baseline", run), ("candidate", run), ("metrics", "*"))["diffs"]
    assert {row["metric"] for row in compared["rows"]} >= set(names)
    assert {(row["verdict"], row["why"]) for row in compared["rows"]} == {("unchanged", "same evaluation")}
    [several] = [one for one in compared["comparability"]["differences"] if one["kind"] == "models"]
    assert several["baseline"] == several["candidate"] == ", ".join(models)


def test_changes_and_the_baseline_are_there_to_be_chosen(client: TestClient, made: Written) -> None:
    path = f"/artifacts/{made.ids['rivals']}"
    table = _json(client, path)["payload"]["table"]
    expected = [
        f"mean_prediction{end}"
        for end in (" of one", " of other", "_diff of one", "_diff of other", " of before")
    ]
    assert [name for name in table["available"] if name.startswith("mean_pred")] == expected
    assert not [name for name in table["names"] if "_diff" in name or "before" in name]
    listed = _json(client, "/runs", ("pipeline", "judged"))["available_metrics"]
    assert not [name for name in listed if "_diff" in name or "before" in name]


def test_weights_are_not_headed_as_examples(client: TestClient, made: Written) -> None:
    page = _page(client, f"/artifacts/{made.ids['labels']}")
    assert _headers(page)[:3] == ["Slice", "Examples", "Sum of weights"]
    [row] = [r for r in page.select("tbody tr") if r.th and r.th.text == "language: fr"]
    assert [cell.text.strip() for cell in row.select("td")][:2] == ["–", "3,500"]
    many = _page(client, f"/artifacts/{made.ids['labels']}", ("min_examples", 1000))
    assert "TFMA did not count the examples" in many.text


def test_labels_that_cannot_be_drawn_are_a_table(client: TestClient, made: Written) -> None:
    page = _page(client, f"/artifacts/{made.ids['labels']}", ("plot", "language: de"))
    [plot] = [
        plot
        for plot in _json(client, f"/artifacts/{made.ids['labels']}")["payload"]["plots"]["plots"]
        if plot["slice"]["name"] == "language: de"
    ]
    [table] = [t for t in page.select("table") if "True positives" in t.thead.text]
    rows = [[float(cell["data-value"]) for cell in row.select("td")[2:]] for row in table.select("tbody tr")]
    assert rows == [cell[2:] for cell in plot["classes"][0]["cells"]]
    assert len(rows) > 10


def test_without_a_slice_of_all_examples_none_is_drawn_as_it(client: TestClient, made: Written) -> None:
    def colours(name: str) -> list[str]:
        page = _page(client, f"/artifacts/{made.ids[name]}", ("metric", "example_count, weighted"))
        figure = json.loads(page.select("script[data-chart]")[0].string)
        return figure["data"][0]["marker"]["color"]

    assert set(colours("labels")) == {"var(--c1)"}
    assert colours("compared")[:2] == ["var(--c2)", "var(--c1)"]
    page = _page(client, f"/artifacts/{made.ids['labels']}")
    assert page.select_one("#plots .soft").text == "language: de"
    assert "The chart shows the first 60 slices" in page.text
    run = _run(made, "labels")
    assert "no slice of all examples" in _page(client, f"/runs/{run}").text
    assert _json(client, f"/runs/{run}")["metric_values"] == {}


def test_no_threshold_is_no_failure(client: TestClient, made: Written) -> None:
    for path in (f"/artifacts/{made.ids['no_thresholds']}", f"/runs/{_run(made, 'no_thresholds')}"):
        page = _page(client, path)
        assert "Nothing was checked." in page.text
        assert "Not passed" not in page.text and "0 of 0" not in page.text
        assert not page.select(".note.bad")


def test_what_is_not_finite_is_shown_as_it_is(client: TestClient, made: Written) -> None:
    path, run = f"/artifacts/{made.ids['rivals']}", _run(made, "rivals")
    for target in (path, f"/runs/{run}", "/runs", f"/compare?base={run}&other={run}"):
        pairs = [("metrics", "mean_prediction of other"), ("metrics", "precision of one")]
        query = f"{'&' if '?' in target else '?'}{urlencode(pairs)}"
        text = BeautifulSoup(client.get(target + query).text, "html.parser").find("main").text
        assert "NaN" in text and "∞" in text, target
        assert " nan" not in text and " inf" not in text
    page = _page(client, path, *pairs)
    cells = page.select_one("#metrics ~ .table tbody tr").select("td.num")
    assert [cell["data-value"] for cell in cells] == ["60.0", "Infinity", "NaN"]
    assert "NaN to NaN" in cells[1].text and cells[2].find("span")["title"] == "NaN"
    verdict = page.select("#verdict ~ .table")[0].text
    assert "at least −∞" in verdict and "at most ∞" in verdict and "at least NaN" in verdict
    rows = _json(client, "/compare", ("base", run), ("other", run), *pairs)["diffs"][0]["rows"]
    values = {(row["slice"]["name"], row["metric"]): row["candidate"]["value"] for row in rows}
    assert values["Overall", "mean_prediction of other"] == "Infinity"
    assert values["Overall", "precision of one"] == "NaN"


def test_a_list_of_runs_as_csv_holds_what_is_not_finite(client: TestClient) -> None:
    query = urlencode(
        [("pipeline", "judged"), ("metrics", "mean_prediction of other"), ("metrics", "precision of one")]
    )
    rows = list(csv.DictReader(io.StringIO(client.get(f"/runs.csv?{query}").text, newline="")))
    found = {(row["mean_prediction of other"], row["precision of one"]) for row in rows}
    assert ("Infinity", "NaN") in found


def test_a_negative_infinity_is_no_formula_of_a_spreadsheet() -> None:
    from mlmd_panel.csv_text import cell

    assert (cell(-math.inf), cell(-1.5), cell("-1+1")) == ("-Infinity", -1.5, "'-1+1")


def test_charts_name_what_cannot_be_drawn() -> None:
    rows = [
        (Slice((("f", str(value)),)), Metric(MetricKey("auc"), "number", value))
        for value in (0.5, math.nan, math.inf)
    ]
    figure = json.loads(pages._script_json(charts.slices(rows, "auc")))
    [trace] = figure["data"]
    assert trace["x"] == [0.5, None, None]
    assert figure["layout"]["yaxis"]["ticktext"] == ["f: 0.5", "f: nan: NaN", "f: inf: ∞"]


def test_a_sparkline_marks_what_is_not_finite() -> None:
    line = sparklines.sparkline([1.0, math.nan, 2.0, math.inf, -math.inf, None], "auc")
    assert line.count('class="odd"') == 3 and "3 of 5 NaN or infinite" in line
    assert "nan" not in line.lower().replace("nan or", "") and "inf" not in line.replace("infinite", "")
    assert sparklines.sparkline([math.nan, math.inf], "auc").count('class="odd"') == 2
    assert "nan" not in sparklines.sparkline([-1.7e308, 1.7e308], "auc")


def test_rows_of_a_comparison_are_in_pages(
    client: TestClient, made: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(made, "outputs")
    query = [("base", run), ("other", run), ("metrics", "*")]
    whole = _json(client, "/compare", *query)
    whole["rows"] = whole["diffs"][0]["rows"]
    assert (whole["pages"], len(whole["rows"])) == (1, whole["rows_in_all"])
    monkeypatch.setattr(compared_rows, "MAX_ROWS", 7)
    rows, pages = [], -(-whole["rows_in_all"] // 7)
    for number in range(1, pages + 1):
        page = _json(client, "/compare", *query, ("page", number))
        assert (page["rows_in_all"], page["pages"]) == (whole["rows_in_all"], pages)
        rows += page["diffs"][0]["rows"]
    assert rows == whole["rows"]
    shown = _page(client, "/compare", *query, ("page", 2))
    assert f"Rows 8 to 14 of {whole['rows_in_all']}" in shown.text


def test_bounds_of_a_verdict_are_in_pages(client: TestClient, made: Written) -> None:
    path, run = f"/artifacts/{made.ids['rivals']}", _run(made, "rivals")
    checks = _json(client, path)["payload"]["validation"]["checks"]
    assert len(checks) == 48
    page = _page(client, f"/runs/{run}")
    [more] = [link for link in page.select("a") if "more bounds" in link.text]
    assert more.text == "36 more bounds" and more["href"].startswith(path)
    assert len(_page(client, path).select("#verdict ~ .table")[0].select("tbody tr")) == 48


def test_a_run_list_tells_the_metrics_it_leaves_out(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_metrics, "MAX_COLUMNS", 4)
    query = [("pipeline", "judged"), ("metrics", "*")]
    data = _json(client, "/runs", *query)
    assert (data["metrics"], data["metrics_left_out"]) == (
        data["available_metrics"][:4],
        data["available_metrics"][4:],
    )
    assert (
        f"no room for {len(data['metrics_left_out'])} selected metrics" in _page(client, "/runs", *query).text
    )


def test_names_are_distinct_whatever_they_hold() -> None:
    keys = [
        MetricKey("auc", weighted=False),
        MetricKey("auc", weighted=True),
        MetricKey("auc", weighted=None),
        MetricKey("auc", output="x, classId:0", weighted=False),
        MetricKey("auc", output="x", class_id=0, weighted=False),
        MetricKey("auc (x, classId:0)", weighted=False),
        MetricKey("auc of b", weighted=False),
        MetricKey("auc", model="b", weighted=False),
        MetricKey("auc_diff", weighted=False),
        MetricKey("auc", is_diff=True, weighted=False),
        MetricKey("auc", aggregation="macro", is_diff=True, weighted=False),
        MetricKey("macro_auc", weighted=False),
        MetricKey("auc", aggregation="macro", weighted=False),
    ]
    names = metric_names(keys)
    assert list(names) == keys and len(set(names.values())) == len(keys)
    assert names[keys[1]] == "auc, weighted" and names[keys[2]] == "auc, weighting unknown"
    assert metric_names([keys[0]]) == {keys[0]: "auc"}
    assert metric_names([keys[7]], sole="b") == {keys[7]: "auc"}


def test_a_configuration_that_is_too_large_leaves_the_page_of_its_metrics(
    made: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.folder / "evaluation" / "compared", tmp_path / "e")
    artifact = Artifact(1, "ModelEvaluation", "", str(tmp_path / "e"), "LIVE", 0, 0)
    whole = evaluation.read(artifact, Files([str(tmp_path)]))
    monkeypatch.setattr(eval_config, "MAX_BYTES", 10)
    cut = evaluation.read(artifact, Files([str(tmp_path)]))
    choice = evaluation_table.Choice(metrics=("*",))
    tables = [evaluation_table.table(payload, choice) for payload in (whole, cut)]
    assert tables[0].names == tables[1].names and "area" in tables[1].names
    assert repr(tables[0].page) == repr(tables[1].page)  # NaN is there, which equals nothing
