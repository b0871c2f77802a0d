"""A store that stands still holds the panel's own threads for its own time, and nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from mlmd_panel.files.allowed import Files
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.store import Store
from mlmd_panel.web import links
from mlmd_panel.web.app import Panel, create_app
from mlmd_panel.web.threads import Threads

from tests import servers
from tests.panel import database_servers
from tests.panel.stores import url, written


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found += _family(int(stat.parent.name))
    return found


@contextlib.contextmanager
def _standing_still(server: servers.Server) -> Iterator[None]:
    """The server keeps its connections, takes new ones, and answers none."""
    assert server._process is not None
    stopped = _family(server._process.pid)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("kind", database_servers.KINDS)
def test_a_store_that_stands_still_holds_no_thread_of_the_program_around(kind: str, tmp_path: Path) -> None:
    server = database_servers.empty(kind)
    written(server.address, "tasks")
    store = Store(make_engine(url(server.address)))
    outer = FastAPI()

    @outer.get("/outer")
    def of_outer() -> str:  # on the threads that FastAPI shares
        return "here"

    outer.mount("/mlmd", create_app(Panel(store, Files([str(tmp_path)])), threads=Threads(4, 3.0)))
    asyncio.run(_ask(outer, server))


async def _ask(outer: FastAPI, server: servers.Server) -> None:
    before = set(threading.enumerate())
    transport = httpx.ASGITransport(outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        assert (await client.get("/mlmd/runs.json")).status_code == 200
        with _standing_still(server):
            waiting = [asyncio.ensure_future(client.get("/mlmd/runs.json")) for _ in range(60)]
            await asyncio.sleep(0.5)
            started = time.monotonic()
            assert (await asyncio.wait_for(client.get("/outer"), 2)).json() == "here"
            assert (await client.get("/mlmd/static/panel.css")).status_code == 200
            assert time.monotonic() - started < 2
            assert not any(one.done() for one in waiting)
            answers = await asyncio.gather(*waiting)
            assert {answer.status_code for answer in answers} == {503}
            told = {answer.json()["error"] for answer in answers}
            assert any("did not respond in time" in text for text in told)
            assert any("Too many pages" in text for text in told)
            new = [t for t in threading.enumerate() if t not in before and t.name.startswith("mlmd_panel")]
            assert len(new) == 4
        for _ in range(30):
            answer = await client.get("/mlmd/runs.json")
            if answer.status_code == 200:
                break
            await asyncio.sleep(1)
        assert answer.status_code == 200, answer.text


def test_a_page_that_nobody_has_begun_is_dropped_when_its_time_is_up() -> None:
    threads, go, made = Threads(1, 0.3), threading.Event(), []

    async def ask() -> list[BaseException | None]:
        asked = [threads.run(go.wait, 10), *(threads.run(made.append, number) for number in range(5))]
        return await asyncio.gather(*asked, return_exceptions=True)

    errors = asyncio.run(ask())
    assert [type(error).__name__ for error in errors] == ["TookTooLong"] * 6
    go.set()
    assert asyncio.run(threads.run(str.upper, "a")) == "A"
    assert made == []


def test_an_error_of_a_page_is_its_own() -> None:
    async def fail() -> None:
        await Threads(1, 5.0).run(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(fail())


@pytest.fixture
def empty(tmp_path: Path) -> Panel:
    """A panel without a store."""
    return Panel(Store(make_engine(f"sqlite:///{tmp_path}/none.db")), Files([str(tmp_path)]))


def test_rights_are_worked_out_for_what_shows_the_store_only(empty: Panel) -> None:
    asked = []

    def readable() -> frozenset[str]:
        asked.append(1)
        return frozenset()

    guarded = []
    app = create_app(empty, [Depends(lambda: guarded.append(1))], readable=readable)
    with TestClient(app, follow_redirects=False) as client:
        for path in (
            "/static/panel.css",
            "/static/panel.js",
            "/static/plotly.min.js",
            "/api.json",
            "/nowhere",
        ):
            client.get(path)
        assert (len(asked), len(guarded)) == (0, 5)
        for path in ("/runs", "/runs.json", "/runs.csv", "/", "/contexts/1"):
            client.get(path)
        assert len(asked) == 5


def test_names_of_files_that_are_not_there_are_not_kept(empty: Panel) -> None:
    with TestClient(create_app(empty)) as client:
        assert client.get("/static/panel.css").status_code == 200
        kept = links._static_file.cache_info().currsize
        for number in range(50):
            assert client.get(f"/static/{number}{'x' * 2000}").status_code == 404
        assert client.get("/static/panel.css/").status_code == 404
    assert links._static_file.cache_info().currsize == kept <= 4
    assert not hasattr(links.static_file, "cache_info")
