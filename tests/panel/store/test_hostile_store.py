"""A store written by somebody who means harm: nothing escapes, nothing fails, memory stays bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.files.allowed import Files
from mlmd_panel.store import address
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.store import Store
from mlmd_panel.web.app import Panel, create_app

from tests.panel import tfx_child

_SECRETS = ("the secret that lies beside", "root:x:0:0")
_MEGABYTES = 200
_ATTRIBUTES = {"onerror", "onload", "onclick"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "store"
    tfx_child.run("official_hostile", folder)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    panel = Panel(
        Store(make_engine(address.of_file(folder / "metadata.db"))), Files([str(folder / "artifacts")])
    )
    with TestClient(create_app(panel), follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


def _ids(client: TestClient, table: str) -> list[int]:
    found: list[int] = []
    after = ""
    while True:
        page = client.get(f"/{table}.json?limit=200{after}").json()
        found += [row["id"] if "id" in row else row["summary"]["run"]["id"] for row in page[table]]
        if not page["after"]:
            return found
        after = f"&after={page['after']}"


def _peak() -> int:
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text()).group(1)) // 1024  # type: ignore[union-attr]


def test_no_page_fails_shows_a_secret_or_lets_markup_through(client: TestClient, folder: Path) -> None:
    paths = ["/pipelines", "/runs", "/executions", "/artifacts", "/search?q=script"]
    for table in ("runs", "executions", "artifacts"):
        paths += [f"/{table}/{id_}" for id_ in _ids(client, table)]
    paths += [f"/artifacts/{id_}/lineage" for id_ in _ids(client, "artifacts")[:30]]
    assert len(paths) > 300
    client.get("/runs")
    before = _peak()
    for path in paths:
        for answer in (client.get(path), client.get(re.sub(r"(\?|$)", r".json\1", path, count=1))):
            assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
            assert not [secret for secret in _SECRETS if secret in answer.text], path
            if "html" in answer.headers["content-type"]:
                page = BeautifulSoup(answer.text, "html.parser")
                assert "alert(1)" not in "".join(
                    script.get_text() for script in page("script", type=False)
                ), path
                assert not [tag for tag in page(True) if _ATTRIBUTES & set(tag.attrs)], path
                links = [tag["href"] for tag in page("a", href=True)]
                assert not [link for link in links if not link.startswith(("/", "#", "?"))], path
    assert _peak() - before < _MEGABYTES


@pytest.mark.parametrize("table", ["runs", "executions", "artifacts"])
def test_a_table_in_csv_starts_no_program(client: TestClient, table: str) -> None:
    text = client.get(f"/{table}.csv?limit=200").text
    assert not re.search(r"(^|,)\"?[=+@]", text, re.MULTILINE)


def test_a_payload_that_cannot_be_read_says_so(client: TestClient) -> None:
    kinds = {"huge", "bomb", "garbage", "fifo", "deep", "links", "link", "passwd", "parent", "outside", "nul"}
    told: dict[str, str] = {}
    for id_ in _ids(client, "artifacts"):
        page = client.get(f"/artifacts/{id_}.json").json()
        kind, _, type_ = page["artifact"]["name"].partition(" ")
        if type_.startswith("ExampleStatistics"):
            told[kind] = page["payload_problem"] or page["payload"].get("problem", "")
    assert kinds <= set(told)
    assert all(told[kind] for kind in kinds), told
