"""The node's page says where the time of its Beam pipelines went."""

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
from mlmd_panel.store.records import Execution, Property
from mlmd_panel.web import beam_work
from mlmd_panel.web.app import create_app

from tests.panel.written import FIRST, written

WORK = {
    "pipelines": 1,
    "seconds": 12.5,
    "steps": [["Read/<b>Decode</b>", 8.0], ["…/Merge", 2.0]],
    "steps_left_out": [3, 0.25],
    "counters": [["tfx:rows", 15002]],
    "distributions": [["tfx:size", 3, 1, 2.0, 3]],
    "counters_left_out": 1,
}
Ask = Callable[[Any], tuple[Any, Tag | None]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Gives the Trainer of the first run a record; its JSON and its part of the page, None without one."""
    made = written()
    path = tmp_path / "metadata.db"
    panel = made.panel_on_copy(path)

    def answer(record: Any) -> tuple[Any, Tag | None]:
        text = record if isinstance(record, str) else json.dumps(record)
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute(
                "insert or replace into ExecutionProperty (execution_id, name, is_custom_property, string_value)"
                " values (?, ?, 1, ?)",
                (made.ids[f"{FIRST}/Trainer/1"], beam_work.PROPERTY, text),
            )
        with TestClient(create_app(panel)) as client:
            url = f"/runs/{made.ids[f'run {FIRST}']}/nodes/Trainer"
            page = client.get(url)
            assert page.status_code == 200, page.text[-500:]
            section = BeautifulSoup(page.text, "html.parser").find(
                attrs={"aria-label": "Where the time went"}
            )
            return client.get(f"{url}.json").json()["beam"], section

    return answer


def test_steps_have_bars_and_what_is_cut_is_said(ask: Ask) -> None:
    data, section = ask(WORK)
    assert data["steps"] == [{"name": n, "seconds": s} for n, s in WORK["steps"]]
    assert (data["pipelines"], data["seconds"], data["other_steps"], data["other_seconds"]) == (
        1,
        12.5,
        3,
        0.25,
    )
    assert section
    rows = [
        [cell.get_text() for cell in row.find_all(["th", "td"])][:2] for row in section.select("tbody tr")
    ]
    assert rows[:2] == [["Read/<b>Decode</b>", "8.0 s"], ["…/Merge", "2.0 s"]]
    assert rows[2] == ["tfx:rows", "15,002"]
    assert [bar["width"] for bar in section.select("rect.bar")] == ["100.0", "25.0"]
    text = " ".join(section.get_text().split())
    assert "1 Beam pipeline in 12.5 s" in text
    assert "3 more steps, 250 ms in all, are not in the record." in text
    assert "1 more counter is not in the record." in text


JOB = {
    "name": "tfx-taxi-transform-0a1b2c3d4e-try1-1",
    "id": "tfx-taxi_77",
    "seconds": 9.5,
    "link": "http://flink:8081/#/job/5e/overview",
    "stages": [["CHAIN <i>Read</i>", 7.0]],
}


def test_the_runner_and_its_jobs_are_shown_with_their_page(ask: Ask) -> None:
    data, section = ask({**WORK, "runner": "flink", "jobs": [JOB]})
    assert (data["runner"], data["jobs"]) == (
        "flink",
        [{**JOB, "stages": [{"name": "CHAIN <i>Read</i>", "seconds": 7.0}]}],
    )
    assert section and [link["href"] for link in section.select("a")] == [JOB["link"]]
    text = " ".join(section.get_text().split())
    assert (
        "1 Beam pipeline on flink in 12.5 s" in text
        and "9.5 s tfx-taxi_77" in text
        and "<i>Read</i>7.0 s" in text
    )


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "", "http://user:password@flink/", "//flink/", "data:x"]
)
def test_a_link_that_is_none_is_not_one(ask: Ask, link: str) -> None:
    data, section = ask({**WORK, "runner": "flink", "jobs": [{**JOB, "link": link}]})
    assert data["jobs"][0]["link"] == "" and section and not section.select("a")


@pytest.mark.parametrize(
    "record",
    [
        "", "{", "[]", "null", "[" * 5000, '{"pipelines": NaN, "steps": [], "counters": [], "distributions": []}',
        {**WORK, "steps": [["a", "b"]]}, {**WORK, "steps": [["a", 1, 2]]}, {**WORK, "steps": [[1, 1]]},
        {**WORK, "steps": {"a": 1}}, {**WORK, "counters": [["x" * 501, 1]]}, {**WORK, "seconds": [1]},
        {**WORK, "steps_left_out": [1]}, {**WORK, "pipelines": True}, {"steps": []}, {**WORK, "more": "x" * 70_000},
        {**WORK, "runner": 1}, {**WORK, "jobs": 1}, {**WORK, "jobs": [{**JOB, "name": "x" * 501}]}, {**WORK, "jobs": [{"id": ""}]},
    ],
    ids=range(20),
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_not_shown(record: Any) -> None:
    text = record if isinstance(record, str) else json.dumps(record)
    properties = (Property(beam_work.PROPERTY, text, "string", custom=True),)
    assert beam_work.read(Execution(1, "T", "T", "COMPLETE", 1, 2, None, None, properties)) is None


def test_a_page_without_a_record_has_no_such_part(ask: Ask) -> None:
    assert ask("{") == (None, None)


def test_a_record_without_steps_or_seconds_is_shown(ask: Ask) -> None:
    data, section = ask({"pipelines": 2, "steps": [], "counters": [], "distributions": []})
    assert (data["seconds"], data["steps"], data["counters_left_out"]) == (None, [], 0)
    assert section and "2 Beam pipelines. Beam samples" in section.get_text()
