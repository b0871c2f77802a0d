"""The page that compares evaluations: its baselines, candidates, words and downloads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.evaluation.compare import SCOPES
from mlmd_panel.web.app import create_app
from mlmd_panel.web.views.compare import pin_name

from tests.panel.written import FIRST, SECOND, Written, written


@pytest.fixture(scope="module")
def made() -> Written:
    return written()


@pytest.fixture
def client(made: Written) -> Iterator[TestClient]:
    """Without the cookies of other tests."""
    with TestClient(create_app(made.panel), follow_redirects=False) as client:
        yield client


def _json(client: TestClient, query: str) -> dict[str, Any]:
    response = client.get(f"/compare.json?{query}")
    assert response.status_code == 200, response.text[:500]
    return response.json()


def _page(client: TestClient, query: str) -> BeautifulSoup:
    response = client.get(f"/compare?{query}")
    assert response.status_code == 200, response.text[-2000:]
    return BeautifulSoup(response.text, "html.parser")


def test_the_effect_of_the_model_on_the_same_examples_is_tfmas_paired_difference(
    client: TestClient, made: Written
) -> None:
    answers = json.loads((made.folder / "evaluation" / "answers.json").read_text())["compared"]
    expected = {
        (json.dumps(slice_), key[0]): interval
        for slice_, key, interval in answers["errors"]
        if key[-1] and "standardError" in interval
    }
    [found] = _json(client, f"candidate={made.ids[f'run {FIRST}']}&against=own&metrics=*")["diffs"]

    compared = 0
    for row in found["rows"]:
        effect = row["model_effect"]
        if effect is None or effect["interval"] is None or row["slice"]["baseline"] is not None:
            continue
        assert effect["method"] == "paired" and row["data_effect"]["value"] == 0
        assert row["candidate"]["value"] - row["baseline"]["value"] == pytest.approx(
            effect["value"], abs=1e-9
        )
        theirs = expected[json.dumps(row["slice"]["pairs"]), row["metric"]]
        ends = [theirs[name]["doubleValue"] for name in ("lowerBound", "upperBound")]
        # TFMA's interval is around the mean of its samples, this one around the difference itself.
        reach = effect["interval"]["upper"] - effect["value"]
        assert reach == pytest.approx((ends[1] - ends[0]) / 2, rel=1e-6)
        compared += 1
    assert compared >= 10


def test_airflow_names_the_candidate_by_dag_and_run(client: TestClient, made: Written) -> None:
    by_id = _json(client, f"candidate={made.ids[f'run {SECOND}']}")
    response = client.get("/compare.json", params={"dag_id": "taxi", "run_id": SECOND})
    assert response.json() == by_id and by_id["diffs"]


def test_a_pinned_baseline_is_kept_until_it_is_unpinned(client: TestClient, made: Written) -> None:
    first, second = made.ids[f"run {FIRST}"], made.ids[f"run {SECOND}"]
    client.get(f"/compare?candidate={second}&against=pinned&baseline={first}")
    assert client.cookies[pin_name("taxi")] == str(first)
    kept = _json(client, f"candidate={second}")
    assert (kept["against"], kept["diffs"][0]["baseline"]["id"]) == ("pinned", first)
    page = _page(client, f"candidate={second}")
    unpin = next(link["href"] for link in page.select("a.button") if link.text == "Unpin")
    client.get(unpin)
    assert _json(client, f"candidate={second}")["against"] == "blessed"


@pytest.mark.parametrize("value", ["999999", "no number", "-1", ""])
def test_a_pin_that_leads_nowhere_is_said(client: TestClient, made: Written, value: str) -> None:
    client.cookies.set(pin_name("taxi"), value)
    found = _json(client, f"candidate={made.ids[f'run {SECOND}']}")
    if value == "":
        assert found["against"] == "blessed"
    else:
        assert found["diffs"] == [] and "hoose" in found["note"] + (found["problem"] or "")


def test_several_candidates_stand_beside_each_other(client: TestClient, made: Written) -> None:
    runs = [made.ids[f"run judged {name}"] for name in ("rivals", "models", "outputs")]
    query = "&".join([f"baseline={runs[0]}", *(f"candidate={id_}" for id_ in runs[1:])])
    found = _json(client, query)
    assert [one["candidate"]["id"] for one in found["diffs"]] == runs[1:]
    assert {one["baseline"]["id"] for one in found["diffs"]} == {runs[0]}
    page = _page(client, query)
    assert len(page.select("td.wraps")) == 2
    too_many = "&".join(f"candidate={number}" for number in range(1, 22))
    assert client.get(f"/compare.json?{too_many}").status_code == 422


def test_a_candidate_that_cannot_be_read_does_not_hide_the_others(client: TestClient, made: Written) -> None:
    first, second, small = (made.ids[f"run {name}"] for name in (FIRST, SECOND, "small 1"))
    found = _json(client, f"baseline={first}&candidate={second}&candidate={small}")
    assert len(found["diffs"]) == 1 and "has no evaluation" in found["problems"][1]
    page = _page(client, f"baseline={first}&candidate={second}&candidate={small}")
    assert page.select_one("#sentence") and "has no evaluation" in page.text


@pytest.mark.parametrize("query", ["against=luck", "scope=none", "order=up", "verdict=bad"])
def test_a_choice_that_there_is_not_is_refused_with_those_there_are(client: TestClient, query: str) -> None:
    response = client.get(f"/compare.json?{query}")
    assert response.status_code == 400 and "is one of" in response.json()["error"]


def test_the_method_is_chosen_and_said(client: TestClient, made: Written) -> None:
    run = made.ids[f"run {FIRST}"]
    narrow, wide = (
        _json(client, f"candidate={run}&against=own&metrics=*&level={level}")["diffs"][0]
        for level in (0.8, 0.99)
    )
    reach = [
        next(
            row["model_effect"]["interval"]
            for row in one["rows"]
            if (row["model_effect"] or {}).get("interval")
        )
        for one in (narrow, wide)
    ]
    assert reach[0]["upper"] - reach[0]["lower"] < reach[1]["upper"] - reach[1]["lower"]
    for scope, words in SCOPES.items():
        page = _page(client, f"candidate={run}&against=own&scope={scope}")
        assert words in page.select_one("#rows").text


def test_rows_are_narrowed_and_ordered_but_not_judged_anew(client: TestClient, made: Written) -> None:
    query = f"candidate={made.ids[f'run {FIRST}']}&against=own&metrics=*"
    [whole] = _json(client, query)["diffs"]
    for narrowing in ("slices=language", "min_examples=40", "slices=language&changed=true"):
        [some] = _json(client, f"{query}&{narrowing}")["diffs"]
        assert some["counts"] == whole["counts"] and 0 < len(some["rows"]) < len(whole["rows"])
    [by_change] = _json(client, f"{query}&order=change")["diffs"]
    values = [row["total"]["value"] for row in by_change["rows"] if row["total"]]
    sizes = [abs(value) for value in values if isinstance(value, float)]
    assert len(sizes) > 5 and sizes == sorted(sizes, reverse=True)


def test_the_diff_is_csv_and_markdown_too(client: TestClient, made: Written) -> None:
    query = f"candidate={made.ids[f'run {FIRST}']}&against=own&metrics=*"
    [found] = _json(client, query)["diffs"]
    rows = list(csv.DictReader(io.StringIO(client.get(f"/compare.csv?{query}").text, newline="")))
    assert len(rows) == found["rows_in_all"]
    assert [row["slice"] for row in rows] == [row["slice"]["name"] for row in found["rows"]]
    markdown = client.get(f"/compare.md?{query}")
    assert markdown.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "comparisons worse" in markdown.text and "| Slice" in markdown.text


def test_the_page_of_a_run_begins_with_the_sentence(client: TestClient, made: Written) -> None:
    run = made.ids[f"run {SECOND}"]
    page = BeautifulSoup(client.get(f"/runs/{run}").text, "html.parser")
    data = client.get(f"/runs/{run}.json").json()
    assert page.select_one("#sentence").text == data["diff"]["sentence"]
    assert len(page.select("table.lines tbody tr")) == len(data["diff"]["rows"]) > 0
    first = client.get(f"/runs/{made.ids[f'run {FIRST}']}.json").json()
    assert first["diff"] is None and "nothing to compare" in first["diff_problem"]
