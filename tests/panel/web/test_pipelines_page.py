"""The list of pipelines says of which it did not read the latest run."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.files.allowed import Files
from mlmd_panel.store import address
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.store import Store
from mlmd_panel.web.app import Panel, create_app
from mlmd_panel.web.views import pipelines

from tests.panel.judged import judged


@pytest.fixture
def client() -> TestClient:
    store = Store(make_engine(address.of_file(judged() / "mlmd" / "metadata.db")))
    return TestClient(create_app(Panel(store, Files([str(judged())]))))


def test_pipelines_whose_latest_run_is_not_read_are_counted(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = client.get("/pipelines.json").json()
    assert found["latest_left_out"] == 0 and all(row["latest"] for row in found["pipelines"])
    assert "not read" not in client.get("/pipelines").text

    monkeypatch.setattr(pipelines, "MAX_LATEST", 1)
    found = client.get("/pipelines.json").json()
    assert [bool(row["latest"]) for row in found["pipelines"]] == [True, False, False]
    assert found["latest_left_out"] == 2
    page = BeautifulSoup(client.get("/pipelines").text, "html.parser")
    assert "for the first 1 pipelines. For the other 2, open" in page.text
    first, *others = page.select("tbody tr")
    assert "not read" not in first.text and all(row.text.count("not read") == 4 for row in others)
