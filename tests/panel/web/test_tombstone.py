"""What retention has deleted has a tombstone: what it was, why and when; its files answer 410."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.web.app import create_app

from tests.panel.written import FIRST, SECOND, written

_MARKED, _DELETED = 3, 4
_WHY = "nothing that is kept was made from it"
Buried = Callable[[int, int], tuple[TestClient, int]]


@pytest.fixture
def buried(tmp_path: Path) -> Buried:
    """A panel on a copy of the store, in which one artifact of the type is in a state, with its files gone."""
    made = written()
    path = tmp_path / "metadata.db"
    panel = made.panel_on_copy(path)

    def bury(artifact: int, state: int) -> tuple[TestClient, int]:
        properties: list[tuple[str, Any, Any]] = [
            ("deleted_reason", None, _WHY),
            ("deletion_marked_at", 1_700_000_000, None),
        ]
        if state == _DELETED:
            properties.append(("deleted_at", 1_700_700_000, None))
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            gone = f"{made.folder}/gone"
            database.execute("update Artifact set state = ?, uri = ? where id = ?", (state, gone, artifact))
            database.executemany(
                "insert into ArtifactProperty (artifact_id, name, is_custom_property, int_value, string_value)"
                f" values ({artifact}, ?, 1, ?, ?)",
                properties,
            )
        return TestClient(create_app(panel)), artifact

    return bury


def _of_type(kind: str, run: str = FIRST) -> int:
    made = written()
    with contextlib.closing(sqlite3.connect(made.folder / "metadata.db")) as database:
        return database.execute(
            "select a.id from Artifact a join Type t on t.id = a.type_id and t.name = ?"
            " join Event e on e.artifact_id = a.id and e.type = 4"
            " join Association s on s.execution_id = e.execution_id and s.context_id = ? order by a.id",
            (kind, made.ids[f"run {run}"]),
        ).fetchone()[0]


@pytest.mark.parametrize("kind", ["Model", "ModelEvaluation", "Examples", "Schema", "TransformGraph"])
@pytest.mark.parametrize(
    ("state", "said"),
    [
        (_DELETED, f" were deleted at 2023-11-23 00:40 UTC, because {_WHY}."),
        (_MARKED, f" were set aside at 2023-11-14 22:13 UTC, because {_WHY}."),
    ],
    ids=["deleted", "marked"],
)
def test_deleted_artifact_says_what_it_was_why_and_when(
    buried: Buried, kind: str, state: int, said: str
) -> None:
    client, id_ = buried(_of_type(kind), state)
    said = f"The files of {kind} #{id_}{said}"
    with client:
        page = client.get(f"/artifacts/{id_}")
        soup = BeautifulSoup(page.text, "html.parser")
        [stone] = soup.find_all(attrs={"aria-label": "Deleted"})
        assert page.status_code == 200 and said in stone.text and kind in soup.h1.text  # type: ignore[union-attr]
        assert ("gc --restore" in stone.text) == (state == _MARKED)
        assert "missing" not in page.text
        data = client.get(f"/artifacts/{id_}.json").json()
        assert data["payload"] is None and data["payload_problem"]["status"] == 410
        assert data["deleted"].startswith(said) and data["payload_problem"]["error"] == data["deleted"]
        listed = client.get("/artifacts", params={"type": kind, "state": data["artifact"]["state"]})
        assert f"/artifacts/{id_}" in listed.text
        assert "deleted" in listed.text if state == _DELETED else "marked for deletion" in listed.text


def test_part_of_deleted_files_answers_410_as_page_and_as_json(buried: Buried) -> None:
    client, id_ = buried(_of_type("Examples"), _DELETED)
    with client:
        page = client.get(f"/artifacts/{id_}", params={"split": "train"})
        assert page.status_code == 410 and "The artifact was deleted" in page.text
        answer = client.get(f"/artifacts/{id_}.json", params={"split": "train"})
        assert answer.status_code == 410 and answer.json()["error"].startswith(
            f"The files of Examples #{id_} were deleted at 2023"
        )
        assert client.get(f"/artifacts/{id_}/lineage").status_code == 200


def test_pages_that_need_a_deleted_evaluation_say_so(buried: Buried) -> None:
    client, id_ = buried(_of_type("ModelEvaluation", SECOND), _DELETED)
    made = written()
    runs = {"candidate": made.ids[f"run {SECOND}"], "baseline": made.ids[f"run {FIRST}"]}
    with client:
        for url in ("/compare", "/compare.json"):
            assert f"The files of ModelEvaluation #{id_} were deleted" in client.get(url, params=runs).text
        assert client.get(f"/runs/{made.ids[f'run {SECOND}']}").status_code == 200


def test_live_artifact_has_no_tombstone() -> None:
    made = written()
    with TestClient(create_app(made.panel)) as client:
        data = client.get(f"/artifacts/{_of_type('Model')}.json").json()
        assert data["deleted"] == "" and data["payload"]
