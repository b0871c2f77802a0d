"""Several candidates beside one baseline: the table, its links and its downloads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.evaluation.diff import Diff, Options, of_two
from mlmd_panel.files.allowed import Files
from mlmd_panel.store import address
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.store import Store
from mlmd_panel.web.app import Panel, create_app
from mlmd_panel.web.links import Urls
from mlmd_panel.web.views import compare
from mlmd_panel.web.views.compare import pin_name

from tests.panel.evaluation import evaluations
from tests.panel.judged import judged


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Without the cookies of other tests."""
    store = Store(make_engine(address.of_file(judged() / "mlmd" / "metadata.db")))
    with TestClient(create_app(Panel(store, Files([str(judged())])))) as client:
        yield client


def _ids(client: TestClient) -> dict[str, int]:
    runs = [row["summary"]["run"] for row in client.get("/runs.json").json()["runs"]]
    return {run["run_id"]: run["id"] for run in runs}


def _json(client: TestClient, url: str) -> dict[str, Any]:
    path, _, query = url.partition("?")
    answer = client.get(f"{path}.json?{query}")
    assert answer.status_code == 200, answer.text[-500:]
    return answer.json()


def _page(client: TestClient, url: str) -> BeautifulSoup:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text[-2000:]
    return BeautifulSoup(answer.text, "html.parser")


def _links(page: BeautifulSoup) -> list[str]:
    return [link["href"] for link in page.select("a") if link.text == "All of it"]


@pytest.mark.parametrize("against", ["", "&against=blessed", "&against=previous", "&against=own"])
def test_a_candidates_link_leads_to_the_numbers_of_its_row(client: TestClient, against: str) -> None:
    ids = _ids(client)
    # The last blessed run before March is February, which is a candidate here, too: both are compared with January.
    url = f"/compare?candidate={ids['february']}&candidate={ids['march']}{against}"
    shown = _json(client, url)["diffs"]
    alone = [_json(client, link)["diffs"][0] for link in _links(_page(client, url))]
    assert len(alone) == 2
    for one, row in zip(alone, shown, strict=True):
        for name in ("sentence", "outcome", "counts", "method", "metrics", "baseline", "candidate"):
            assert one[name] == row[name]


def test_a_candidates_link_keeps_what_was_chosen(client: TestClient) -> None:
    ids = _ids(client)
    chosen = (
        "metrics=auc&level=0.8&scope=all&slices=cash&changed=true&verdict=worse&min_examples=5&order=slice"
    )
    url = f"/compare?candidate={ids['february']}&candidate={ids['march']}&page=1&{chosen}"
    for link in _links(_page(client, url)):
        query = parse_qs(urlsplit(link).query)
        assert parse_qs(chosen).items() <= query.items() and "page" not in query
        assert query["baseline"] == [str(ids["january"])]


def test_a_candidates_link_keeps_a_pin_and_both_branches(client: TestClient) -> None:
    ids = _ids(client)
    client.cookies.set(pin_name("taxi"), str(ids["january"]))
    for link in _links(_page(client, f"/compare?candidate={ids['march']}&candidate={ids['april']}")):
        assert (_json(client, link)["against"], f"baseline={ids['january']}" in link) == ("pinned", True)
    urls = Urls("", "/compare", (("base", "1"), ("other", "2"), ("base_branch", "east"), ("metrics", "auc")))
    query = parse_qs(urlsplit(compare._alone(urls, _diff("north", "south"))).query)
    assert query == {
        "baseline": ["1"],
        "baseline_branch": ["north"],
        "against": ["run"],
        "candidate": ["2"],
        "candidate_branch": ["south"],
        "metrics": ["auc"],
    }


def _diff(baseline: str, candidate: str) -> Diff:
    """Run 2 beside run 1, of these branches."""
    found = of_two(
        evaluations.evaluated(1, evaluations.part(auc=0.9)),
        evaluations.evaluated(2, evaluations.part(auc=0.8)),
        "previous",
        Options(),
    )
    sides = (found.baseline, baseline), (found.candidate, candidate)
    one, two = (dataclasses.replace(side, name=name) for side, name in sides)
    return dataclasses.replace(found, baseline=one, candidate=two)


def test_the_link_of_a_run_leads_to_its_own_baseline_whatever_is_pinned(client: TestClient) -> None:
    ids = _ids(client)
    page = _page(client, f"/runs/{ids['march']}")
    [link] = [link["href"] for link in page.select("a") if "what changed since" in link.text]
    client.cookies.set(pin_name("taxi"), str(ids["january"]))
    [found] = _json(client, link)["diffs"]
    assert found["sentence"] == page.select_one("#sentence").text
    assert found["baseline"]["id"] == ids["february"]
