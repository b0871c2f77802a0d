"""Slow decay begins at the run that is pinned, or is not told, and the page says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.files.allowed import Files
from mlmd_panel.store import address
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.store import Store
from mlmd_panel.web.app import Panel, create_app
from mlmd_panel.web.views.compare import pin_name

from tests.panel.judged import judged


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Without the cookies of other tests."""
    store = Store(make_engine(address.of_file(judged() / "mlmd" / "metadata.db")))
    with TestClient(create_app(Panel(store, Files([str(judged())])))) as client:
        yield client


def _id(client: TestClient, name: str) -> int:
    runs = [row["summary"]["run"] for row in client.get("/runs.json").json()["runs"]]
    return next(run["id"] for run in runs if run["run_id"] == name)


def _json(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/trends.json", params={"pipeline": "taxi", **query})
    assert answer.status_code == 200, answer.text[-500:]
    return answer.json()


def _page(client: TestClient, **query: Any) -> BeautifulSoup:
    answer = client.get("/trends", params={"pipeline": "taxi", **query})
    assert answer.status_code == 200, answer.text[-2000:]
    return BeautifulSoup(answer.text, "html.parser")


def test_decay_begins_at_a_pinned_run_that_can_be_a_baseline(client: TestClient) -> None:
    january = _id(client, "january")
    [one] = _json(client, pinned=january)["decays"]
    assert one["decay"]["baseline"] == january and _json(client, pinned=january)["undecided"] == []


@pytest.mark.parametrize(
    ("name", "slice_", "why"),
    [
        ("march", "Overall", "The model of the pinned baseline, march, was rejected: it never became a"),
        (
            "february",
            "Overall",
            "After the pinned baseline, february, no run has a value and a model that was",
        ),
        (
            "january",
            "payment: +1",
            "The pinned baseline, january, has no value to start from: No such slice. Pin",
        ),
    ],
)
def test_without_a_series_from_the_pinned_run_on_there_is_no_decay_and_the_page_says_why(
    client: TestClient, name: str, slice_: str, why: str
) -> None:
    query = {"pinned": _id(client, name), "slices": slice_, "allowed": 0.01}
    found, page = _json(client, **query), _page(client, **query)
    assert (found["decays"], found["pinned_is_shown"]) == ([], True)
    [one] = found["undecided"]
    assert (one["metric"], one["slice"]) == ("auc", slice_) and one["why"].startswith(why)
    assert one["why"] in page.select_one("[data-undecided]").text
    assert page.select_one("#decay") is None and "enter how much worse" not in page.text


@pytest.mark.parametrize(("name", "label"), [("alone", "alone"), ("", "run 999999")])
def test_a_pinned_run_that_is_not_shown_is_named_and_stays_chosen(
    client: TestClient, name: str, label: str
) -> None:
    pinned = _id(client, name) if name else 999_999
    client.cookies.set(pin_name("taxi"), str(pinned))
    found, page = _json(client), _page(client)
    assert (found["decays"], found["pinned"], found["pinned_is_shown"]) == ([], pinned, False)
    assert f"The pinned baseline, {label}, is not among these runs" in page.text
    assert page.select_one("select[name=pinned] option[selected]")["value"] == str(pinned)
    assert page.select_one("#decay") is None and "enter how much worse" not in page.text


def test_the_oldest_run_can_be_chosen_over_the_one_that_is_pinned(client: TestClient) -> None:
    client.cookies.set(pin_name("taxi"), str(_id(client, "march")))
    assert _json(client)["decays"] == []
    oldest = _page(client).select("select[name=pinned] option")[0]
    found = _json(client, pinned=oldest["value"])
    assert found["pinned"] is None and found["decays"][0]["decay"]["baseline"] == _id(client, "january")


def test_of_several_pipelines_only_that_of_the_pinned_run_has_a_baseline(client: TestClient) -> None:
    found = _json(client, pipeline=["taxi", "other"], pinned=_id(client, "january"), allowed=0.01)
    assert [one["pipeline"] for one in found["decays"]] == ["taxi"]
    [other] = found["undecided"]
    assert other["pipeline"] == "other" and other["why"].endswith("is not among these runs of other.")
