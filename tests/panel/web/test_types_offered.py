"""Which types the forms of lists offer to users who may see one of two DAGs, and to those who may see all."""

from __future__ import annotations

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

_TYPES = {"/artifacts": ["Notes_of_{}", "String"], "/executions": ["tests.pipelines.{}.Write"]}
_LISTS = [
    "/runs",
    "/executions",
    "/artifacts",
    "/contexts",
    "/pipelines",
    "/search?q=Write",
    "/search?q=Notes",
]


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    folder = tmp_path_factory.mktemp("types")
    tfx_child.run("write_runs", folder / "metadata.db", folder / "files", "open_dag", "secret_dag")
    return Panel(Store(make_engine(address.of_file(Path(folder / "metadata.db")))), Files([str(folder)]))


def _client(panel: Panel, *dags: str) -> TestClient:
    return TestClient(create_app(panel, readable=lambda: frozenset(dags)))


@pytest.mark.parametrize("path", _LISTS)
@pytest.mark.parametrize(("dag", "hidden"), [("open_dag", "secret_dag"), ("secret_dag", "open_dag")])
def test_no_page_names_a_type_of_what_is_hidden(panel: Panel, path: str, dag: str, hidden: str) -> None:
    answer = _client(panel, dag).get(path)
    assert answer.status_code == 200 and hidden not in answer.text


@pytest.mark.parametrize("path", _TYPES)
def test_who_sees_a_part_writes_the_type_and_finds_those_of_the_rows_shown(panel: Panel, path: str) -> None:
    client = _client(panel, "open_dag")
    mine = sorted(type_.format("open_dag") for type_ in _TYPES[path])
    page = BeautifulSoup(client.get(path).text, "html.parser")
    field = page.select_one("input[name=type]")
    assert [one["value"] for one in page.select(f"#{field['list']} option")] == mine
    kind = path.strip("/")
    for type_ in mine:
        found = client.get(f"{path}.json", params={"type": type_}).json()[kind]
        assert {one["type"] for one in found} == {type_}
        again = BeautifulSoup(client.get(path, params={"type": type_}).text, "html.parser")
        assert again.select_one("input[name=type]")["value"] == type_
    assert client.get(f"{path}.json", params={"type": mine[0].replace("open", "secret")}).json()[kind] == []


@pytest.mark.parametrize("path", _TYPES)
def test_who_sees_everything_chooses_of_all_types(panel: Panel, path: str) -> None:
    page = BeautifulSoup(TestClient(create_app(panel)).get(path).text, "html.parser")
    offered = [option["value"] for option in page.select("select[name=type] option")]
    assert offered == [
        "",
        *sorted({type_.format(dag) for type_ in _TYPES[path] for dag in ("open_dag", "secret_dag")}),
    ]
