"""The node's page says why it ran, and which run computed what it took from the cache."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from fastapi.testclient import TestClient
from mlmd_panel.web import not_cached
from mlmd_panel.web.app import create_app

from tests.panel.written import FIRST, SECOND, written

Ask = Callable[..., tuple[Any, Tag | None]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Gives the Trainer of the first run a record; its JSON and its part of the page, None without one."""
    made = written()
    path = tmp_path / "metadata.db"
    panel = made.panel_on_copy(path)

    def answer(record: Any, *properties: tuple[str, str, str]) -> tuple[Any, Tag | None]:
        text = record if isinstance(record, str) else json.dumps(record)
        rows = [(FIRST, not_cached.PROPERTY, text), *properties]
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.executemany(
                "insert or replace into ExecutionProperty (execution_id, name, is_custom_property, string_value)"
                " values (?, ?, 1, ?)",
                [(made.ids[f"{run}/Trainer/1"], name, value) for run, name, value in rows],
            )
        with TestClient(create_app(panel)) as client:
            url = f"/runs/{made.ids[f'run {FIRST}']}/nodes/Trainer"
            page = client.get(url)
            assert page.status_code == 200, page.text[-500:]
            section = BeautifulSoup(page.text, "html.parser").find(attrs={"aria-label": "Why it ran"})
            return client.get(f"{url}.json").json()["why"], section

    answer.other = made.ids[f"{SECOND}/Trainer/1"]  # type: ignore[attr-defined]
    return answer


def test_what_differs_from_the_earlier_execution_is_a_table(ask: Ask) -> None:
    record = {
        "reason": "it differs from the earlier execution",
        "compared_with": ask.other,  # type: ignore[attr-defined]
        "run": "flow:other",
        "changes": [["input examples", "Examples #1", "<b>Examples</b> #9"]],
        "left_out": 3,
    }
    files = {
        SECOND: {"flows/model.py": "a" * 16},
        FIRST: {"flows/model.py": "b" * 16, "flows/new.py": "c" * 16},
    }
    properties = [(run, "code_files", json.dumps({"files": f, "left_out": 0})) for run, f in files.items()]
    properties += [(SECOND, "code_fingerprint", "1"), (FIRST, "code_fingerprint", "2")]
    found, section = ask(record, *properties)
    assert found["differences"] == [
        {"what": "input examples", "before": "Examples #1", "now": "<b>Examples</b> #9"}
    ]
    assert section is not None and not section.find("b")
    text = section.get_text(" ", strip=True)
    assert "Not from the cache: it differs from the earlier execution" in text
    assert "3 more differences are not in the record." in text
    links = [link["href"] for link in section.find_all("a")]
    assert f"/executions/{ask.other}" in links  # type: ignore[attr-defined]
    assert {"flows/model.py", "flows/new.py"} <= {row.text for row in section.select("th bdi.mono")}


def test_first_execution_and_one_that_may_not_be_seen(ask: Ask) -> None:
    found, section = ask({"reason": "the node has not run before"})
    assert (found["compared_with"], found["is_hidden"]) == (None, False)
    assert section is not None and "the node has not run before" in section.text
    hidden = {"compared_with": 10**9, "run": "secret", "changes": [["parameter x", "1", "2"]], "left_out": 0}
    found, section = ask({"reason": "it differs", **hidden})
    assert found["is_hidden"] and found["differences"] == []
    assert section is not None and "secret" not in section.text and "may not see" in section.text


@pytest.mark.parametrize(
    "record",
    ["{", "[]", "{}", '{"reason": 1}', '{"reason": "a", "compared_with": "x", "changes": 3}', "[" * 9999],
)
def test_a_record_that_is_none_is_left_out(ask: Ask, record: str) -> None:
    assert ask(record) == (None, None)


def test_a_cached_node_names_the_execution_that_computed_it() -> None:
    made = written()
    with TestClient(create_app(made.panel)) as client:
        for row in client.get("/executions.json?state=CACHED").json()["executions"]:
            if not row["run"]:
                continue
            url = f"/runs/{row['run']['id']}/nodes/{row['node']}"
            by = client.get(f"{url}.json").json()["computed_by"]
            if by:
                assert by["state"] == "COMPLETE" and by["id"] < row["id"]
                page = client.get(url).text
                assert "From the cache: computed by" in page and f"/executions/{by['id']}" in page
                return
    raise AssertionError("no cached execution was shown")
