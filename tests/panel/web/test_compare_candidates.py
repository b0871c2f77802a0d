"""Several candidates beside one baseline: the table, its links and its downloads."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.evaluation.diff import Diff, Options, of_two
from mlmd_panel.evaluation.row import rank
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.store import address
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.store import Store
from mlmd_panel.web.app import Panel, create_app
from mlmd_panel.web.compared_rows import MAX_ROWS, ComparedRows, Shown
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


def _csv(client: TestClient, url: str) -> list[dict[str, str]]:
    path, _, query = url.partition("?")
    answer = client.get(f"{path}.csv?{query}")
    assert answer.status_code == 200, answer.text[-500:]
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize("narrowed", ["", "&slices=cash", "&verdict=worse", "&order=slice"])
def test_the_downloads_have_the_rows_of_every_candidate(client: TestClient, narrowed: str) -> None:
    ids = _ids(client)
    url = f"/compare?candidate={ids['february']}&candidate={ids['march']}{narrowed}"
    found, rows = _json(client, url), _csv(client, url)
    assert [(row["candidate_run"], row["slice"], row["metric"], row["verdict"]) for row in rows] == [
        (str(one["candidate"]["id"]), row["slice"]["name"], row["metric"], row["verdict"])
        for one in found["diffs"]
        for row in one["rows"]
    ]
    assert {row["candidate_run"] for row in rows} == {str(ids[name]) for name in ("february", "march")}
    cells = [
        [cell.text.split()[1:2] for cell in line.select("td")[1:]]
        for line in _page(client, url).select("table.lines")[-1].select("tbody tr")
    ]
    assert len(cells) == found["rows_in_all"]
    assert sum(map(bool, sum(cells, []))) == len(rows)


def test_the_csv_says_which_candidate_could_not_be_compared_and_why(client: TestClient) -> None:
    ids = _ids(client)
    both = f"candidate={ids['march']}&candidate={ids['broken']}"
    rows = _csv(client, f"/compare?baseline={ids['february']}&{both}")
    assert {row["candidate_run"] for row in rows[:-1]} == {str(ids["march"])}
    assert (rows[-1]["candidate_run"], rows[-1]["slice"]) == (str(ids["broken"]), "")
    assert "has no evaluation" in rows[-1]["why"]
    assert "has no evaluation" in client.get(f"/compare.md?baseline={ids['february']}&{both}").text
    [row] = _csv(client, f"/compare?baseline={ids['broken']}&candidate={ids['march']}")
    assert (row["candidate_run"], "has no evaluation" in row["why"]) == (str(ids["march"]), True)


def test_a_csv_that_is_too_large_says_what_to_do(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "MAX_CSV_ROWS", 3)
    ids = _ids(client)
    url = f"/compare.csv?candidate={ids['february']}&candidate={ids['march']}"
    answer = client.get(url)
    assert answer.status_code == 400 and "choose fewer candidates" in answer.json()["error"]
    assert client.get(f"{url}&slices=cash").status_code == 200


def _many(number: int, first: int, last: int, worse: int) -> Diff:
    """A candidate beside run 1, with a slice for each number from first to last, of which one got worse."""
    slices = [Slice((("zip", str(one)),)) for one in range(first, last)]
    baseline = evaluations.evaluated(1, *(evaluations.part(one, auc=0.9) for one in slices))
    candidate = evaluations.evaluated(
        number,
        *(evaluations.part(one, auc=0.2 if one.name == f"zip: {worse}" else 0.9) for one in slices),
    )
    return of_two(baseline, candidate, "run", Options())


def test_a_table_of_several_candidates_has_all_rows_page_by_page() -> None:
    two = [_many(2, 0, 250, worse=7), _many(3, 50, 300, worse=240)]
    table = ComparedRows(two, Shown())
    pages = [table.page(number) for number in (1, 2)]
    assert (pages[0].in_all, pages[0].pages, len(pages[0].rows), len(pages[1].rows)) == (
        300,
        2,
        MAX_ROWS,
        100,
    )
    lines = [cells for page in pages for cells in page.rows]
    assert {line[0].slice.name for line in lines[:2] if line[0]} == {"zip: 7", "zip: 240"}
    best = [min(rank(row) for row in line if row) for line in lines]
    assert best == sorted(best)
    for place, one in enumerate(two):
        column = [line[place] for line in lines if line[place]]
        assert column == list(table.of(place)) and len(column) == len(one.comparison.rows)
    by_slice = ComparedRows(two, Shown(order="slice")).page(1).rows
    assert [(line[0] or line[1]).slice.name for line in by_slice[:60:20]] == ["zip: 0", "zip: 20", "zip: 40"]


def test_the_heading_of_several_candidates_counts_all_rows(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmd_panel.web.compared_rows.MAX_ROWS", 2)
    ids = _ids(client)
    url = f"/compare?candidate={ids['february']}&candidate={ids['march']}"
    page, found = _page(client, url), _json(client, url)
    assert found["rows_in_all"] > 2 and page.select_one("#rows").text == f"{found['rows_in_all']} rows"
    assert f"Rows 1 to 2 of {found['rows_in_all']}" in page.select_one("nav.pager").text
    assert all(len(one["rows"]) <= 2 for one in found["diffs"])


def test_a_level_is_said_with_all_its_digits(client: TestClient) -> None:
    highest = _json(client, f"/compare?candidate={_ids(client)['march']}&level={1 - 2**-53}")
    assert highest["diffs"][0]["method"]["level"] == 1 - 2**-53
    url = f"/compare?candidate={_ids(client)['march']}&level=0.9999"
    page = _page(client, url)
    assert "intervals at 99.99%" in page.select_one("#rows").text
    assert page.select_one("select[name=level] option[selected]").text == "99.99%"
    assert "Intervals at 99.99%" in client.get(url.replace("/compare?", "/compare.md?")).text
