"""The verdict page says why, and judges past runs again by thresholds that its form edits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.web.app import create_app

from tests.panel.written import FIRST, SECOND, Written, written

NAMES = ("models", "rivals", "outputs", "labels", "many", "no_thresholds")


@pytest.fixture(scope="module")
def made() -> Written:
    return written()


@pytest.fixture(scope="module")
def client(made: Written) -> Iterator[TestClient]:
    with TestClient(create_app(made.panel), follow_redirects=False) as client:
        yield client


def _json(client: TestClient, path: str, **query: Any) -> dict[str, Any]:
    response = client.get(f"{path}.json?{urlencode(query, doseq=True)}")
    assert response.status_code == 200, response.text[:500]
    return json.loads(response.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def _page(client: TestClient, path: str, **query: Any) -> BeautifulSoup:
    response = client.get(f"{path}?{urlencode(query, doseq=True)}")
    assert response.status_code == 200, response.text[-2000:]
    return BeautifulSoup(response.text, "html.parser")


def _path(made: Written, name: str) -> str:
    return f"/runs/{made.ids[f'run {name}']}/verdict"


def _sent(page: BeautifulSoup) -> list[tuple[str, str]]:
    """What the form sends as it stands; panel.js leaves empty fields out."""
    form = page.select_one("form[data-by-button]")
    assert form is not None
    found = []
    for field in form.select("input, select"):
        if field.name == "select":
            chosen = field.select_one("option[selected]") or field.select_one("option")
            value = chosen["value"] if chosen else ""
        elif field.get("type") == "checkbox" and not field.has_attr("checked"):
            continue
        else:
            value = field.get("value", "")
        if field.get("name") and value != "":
            found.append((field["name"], value))
    return found


@pytest.mark.parametrize("name", [*(f"judged {name}" for name in NAMES), FIRST, SECOND, "odd/1?a=b#c"])
def test_each_run_has_a_verdict_in_words_and_a_form_that_changes_nothing(
    name: str, client: TestClient, made: Written
) -> None:
    path = _path(made, name)
    page, data = _page(client, path), _json(client, path)

    sentence = page.select_one("#sentence")
    assert sentence is not None and sentence.text == data["sentence"]
    assert data["sentence"].split()[0] in ("Blessed:", "Not", "Passed:")
    form = page.select_one("form[data-by-button]")
    assert form is not None
    sent = _json(client, path, **dict(_sent(page)))
    assert sent["thresholds"]["text"] == data["thresholds"]["text"]
    assert not any(row["changed"] for row in sent["thresholds"]["rows"])
    assert sent["rejudged"] == data["rejudged"]
    pre = page.select_one("#eval-config")
    assert pre is not None and pre.text == data["thresholds"]["text"]
    assert page.select_one("button[data-copies=eval-config]")
    own = [one for one in data["rejudged"] if one["run"]["run"]["id"] == made.ids[f"run {name}"]]
    assert [one["recorded"] for one in own] == [one["by_rule"] == "passed" for one in own]


def test_each_bound_stands_with_interval_margin_and_both_outcomes(client: TestClient, made: Written) -> None:
    data = _json(client, _path(made, FIRST))
    page = _page(client, _path(made, FIRST))
    rows = data["verdict"]["rows"]
    assert len(rows) == data["validation"]["checks_in_all"] > 20
    table = page.select("h2#verdict ~ .table")[0]
    shown = [[cell.text.strip() for cell in row.select("th, td")] for row in table.select("tbody tr")]
    assert len(shown) == len(rows)
    for cells, row in zip(shown, rows, strict=True):
        assert cells[0] == row["check"]["slice"]["name"]
        assert cells[8] == {True: "✓ pass", False: "✗ fail"}[row["check"]["passed"]]
        assert row["evidence"]["outcome"] in cells[9]
    assert {row["evidence"]["outcome"] for row in rows} == {"passed", "failed", "inconclusive"}
    assert "By the intervals: ✗ failed" in " ".join(page.text.split())
    # Cross slices are there, whatever TFMA says.
    assert data["verdict"]["overlooked"] == ["Overall against language: de"]
    assert "TFMA calls each cross slice that has thresholds missing" in page.text


def test_edited_thresholds_change_what_is_said_of_past_runs(client: TestClient, made: Written) -> None:
    path = _path(made, "judged many")
    added = {
        "a0.metric": "sparse_categorical_accuracy",
        "a0.slice": "Overall",
        "a0.kind": "value at least",
        "a0.bound": "0.5",
    }
    data = _json(client, path, **added)
    by_run = {one["run"]["run"]["run_id"]: one for one in data["rejudged"]}
    own = by_run["judged many"]
    assert (own["recorded"], own["by_rule"], own["same"]) == (False, "passed", False)
    assert own["deciding"]["check"]["limit"] == 0.5
    assert by_run["judged labels"]["by_rule"] == "unknown"
    assert data["counts"]["runs"] == 6
    assert data["counts"]["by_rule"] == 1
    assert data["counts"]["flipped"] == 1
    stricter = _json(client, path, **{**added, "a0.bound": "0.99"})
    assert stricter["counts"]["by_rule"] == 0

    page = _page(client, path, **added)
    assert "lower_bound {\n" in page.select_one("#eval-config").text
    counts = " ".join(page.select_one("#counts").text.split())
    assert "Of 6 runs" in counts and "1 would have passed by TFMA's rule" in counts
    links = [link["href"] for link in page.select("#rejudged tbody th a")]
    assert {client.get(link).status_code for link in links} == {200}
    assert ("a0.bound", "0.5") in _sent(page)
    # The address is all there is: nothing was kept.
    assert _json(client, path)["thresholds"]["added"] == []


def test_inconclusive_runs_pass_or_not_as_asked(client: TestClient, made: Written) -> None:
    path = _path(made, SECOND)
    found = {
        policy: [
            one["passes"]
            for one in _json(client, path, inconclusive=policy)["rejudged"]
            if one["by_intervals"] == "inconclusive"
        ]
        for policy in ("pass", "fail")
    }
    assert found["pass"] and set(found["pass"]) == {True}
    assert len(found["fail"]) == len(found["pass"]) and set(found["fail"]) == {False}
    assert client.get(f"{path}?inconclusive=perhaps").status_code == 422


def test_a_bound_that_is_no_number_is_an_error_that_names_it(client: TestClient, made: Written) -> None:
    response = client.get(f"{_path(made, FIRST)}.json?edited=1&0.lower=much")
    assert response.status_code == 400
    assert response.json()["error"].startswith("0.lower is 'much'; it must be a number")


def test_branches_have_verdicts_of_their_own(client: TestClient, made: Written) -> None:
    path = _path(made, "both")
    data = _json(client, path)
    assert [one["name"] for one in data["branches"]] == ["north", "south", "each [0]", "each [1]"]
    other = _json(client, path, branch="each [1]")
    assert (data["branch"], other["branch"]) == ("north", "each [1]")
    assert data["thresholds"]["text"] != other["thresholds"]["text"]
    assert {one["run"]["name"] for one in other["rejudged"]} == {"each [1]"}
    page = _page(client, path)
    links = [link["href"] for link in page.select("table a") if "branch=" in link["href"]]
    assert {client.get(link).status_code for link in links} == {200}
    assert client.get(f"{path}?branch=nowhere").status_code == 404


def test_a_run_without_an_evaluation_says_so(client: TestClient, made: Written) -> None:
    page = _page(client, _path(made, "small 1"))
    assert page.select_one("#sentence").text == "No verdict: this run has no evaluation."
    assert not page.select("form[data-by-button]")


def test_the_number_of_past_runs_is_that_asked_for(client: TestClient, made: Written) -> None:
    data = _json(client, _path(made, "judged models"), runs=2)
    ids = [one["run"]["run"]["run_id"] for one in data["rejudged"]]
    # The newest two, and the run itself.
    assert ids == ["judged no_thresholds", "judged many", "judged models"]
    assert client.get(f"{_path(made, 'judged models')}?runs=101").status_code == 422
