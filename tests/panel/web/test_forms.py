"""The forms of the pages: whatever they offer is answered."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from bs4 import BeautifulSoup, Tag
from fastapi.testclient import TestClient
from mlmd_panel.evaluation import verdicts
from mlmd_panel.files.allowed import Files
from mlmd_panel.store import address
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.store import Store
from mlmd_panel.web.app import Panel, create_app

from tests.panel.judged import judged


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    store = Store(make_engine(address.of_file(judged() / "mlmd" / "metadata.db")))
    with TestClient(create_app(Panel(store, Files([str(judged())])))) as client:
        yield client


def _page(client: TestClient, path: str) -> BeautifulSoup:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[-2000:]
    return BeautifulSoup(answer.text, "html.parser")


def _run(client: TestClient, name: str) -> int:
    return next(
        row["summary"]["run"]["id"]
        for row in client.get("/runs.json").json()["runs"]
        if row["summary"]["run"]["run_id"] == name
    )


def _filled(form: Tag) -> list[tuple[str, str]]:
    """What the browser sends of a form that nobody changed; the page's script leaves out what is empty."""
    sent = [
        (field["name"], field.get("value", ""))
        for field in form.select("input[name]")
        if field.get("type") not in ("checkbox", "radio") or field.has_attr("checked")
    ]
    for select in form.select("select[name]"):
        options = select.select("option")
        chosen = [option["value"] for option in options if option.has_attr("selected")]
        if not select.has_attr("multiple"):
            chosen = chosen[-1:] or [option["value"] for option in options[:1]]
        sent += [(select["name"], value) for value in chosen]
    return [(name, value) for name, value in sent if value]


def _offered(form: Tag) -> list[tuple[str, str]]:
    found = [
        (select["name"], option["value"])
        for select in form.select("select[name]")
        for option in select.select("option")
    ]
    boxes = [(box["name"], box["value"]) for box in form.select("input[type=checkbox][name]")]
    return [(name, value) for name, value in [*found, *boxes] if value]


@pytest.mark.parametrize(
    "path",
    [
        "/runs",
        "/executions",
        "/artifacts",
        "/contexts",
        "/compare",
        "/compare?candidate={march}",
        "/compare?candidate={march}&candidate={april}",
        "/trends?pipeline=taxi",
        "/runs/{march}/verdict",
    ],
)
def test_everything_that_a_form_offers_is_answered(client: TestClient, path: str) -> None:
    page = path.format(march=_run(client, "march"), april=_run(client, "april"))
    forms = [form for form in _page(client, page).select("form") if form.select("select")]
    assert forms
    for form in forms:
        filled = _filled(form)
        for name, value in _offered(form):
            query = [*(pair for pair in filled if pair[0] != name), (name, value)]
            answer = client.get(f"{form['action'].partition('#')[0] or page}?{urlencode(query)}")
            assert answer.status_code == 200, (name, value, answer.text[-500:])


@pytest.mark.parametrize("verdict", verdicts.ORDER)
def test_rows_of_each_verdict_can_be_asked_for(client: TestClient, verdict: str) -> None:
    march = _run(client, "march")
    found = client.get("/compare.json", params={"candidate": march, "verdict": verdict})
    assert found.status_code == 200, found.text
    [one] = found.json()["diffs"]
    assert {row["verdict"] for row in one["rows"]} <= {verdict}
    assert len(one["rows"]) == one["counts"][verdict]


def test_a_slice_of_statistics_may_have_a_name_as_long_as_one_of_an_evaluation(client: TestClient) -> None:
    [artifact] = client.get("/artifacts.json?limit=1").json()["artifacts"]
    for name in ("slice", "plot"):
        assert client.get(f"/artifacts/{artifact['id']}.json", params={name: "x" * 600}).status_code == 200


def test_what_are_too_few_examples_is_chosen_said_and_kept_by_every_link(client: TestClient) -> None:
    march = _run(client, "march")
    usual, strict = (
        client.get("/compare.json", params={"candidate": march, **least}).json()["diffs"][0]
        for least in ({}, {"least": 401})
    )
    assert usual["outcome"] == "worse" and usual["method"]["min_examples"] == 30
    assert {row["why"] for row in strict["rows"] if row["total"]} == {"too few examples"}
    page = _page(client, f"/compare?candidate={march}&least=401")
    assert "fewer than 401 examples" in page.text and "fewer than 30 examples" not in page.text
    assert page.select_one("input[name=least]")["value"] == "401"
    links = [link["href"] for link in page.select("a") if link["href"].startswith("/compare")]
    assert len(links) >= 4 and all("least=401" in link for link in links if "candidate=" in link)
    assert "fewer than" not in _page(client, f"/compare?candidate={march}&least=0").text


def test_runs_that_cannot_be_judged_again_are_counted_in_a_sentence(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmd_panel.evaluation.rejudge.MAX_CHECKS", 0)
    page = _page(client, f"/runs/{_run(client, 'february')}/verdict")
    assert "For 5 runs this cannot be told; the last column says why." in page.select_one("#counts").text
