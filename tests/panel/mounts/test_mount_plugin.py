"""What Airflow's plugin manager makes of plugins/: one light plugin, whatever the panel behind it is like."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.bundle import ROOT
from tests.panel.airflow_home import airflow_environment

_CODE = """
import json, sys, time
import airflow.plugins_manager as manager
import airflow.settings
before = set(sys.modules)
started = time.process_time()
plugins, errors = manager._load_plugins_from_plugin_directory(
    plugins_folder=airflow.settings.PLUGINS_FOLDER, ignore_file_syntax=sys.argv[1])
seconds = time.process_time() - started
print("RESULT" + json.dumps({
    "plugins": [p.name for p in plugins], "errors": errors, "new": sorted(set(sys.modules) - before),
    "seconds": seconds,
    "views": [{k: v for k, v in view.items()} for p in plugins for view in p.external_views],
    "apps": [a["url_prefix"] for p in plugins for a in p.fastapi_apps]}))
"""


def _load(tmp_path: Path, syntax: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", _CODE, syntax],
        env=airflow_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "RESULT" in done.stdout, done.stderr
    return json.loads(done.stdout.rpartition("RESULT")[2])


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
def test_airflow_finds_one_plugin_and_leaves_the_package_alone(tmp_path: Path, syntax: str) -> None:
    found = _load(tmp_path, syntax)
    assert (found["plugins"], found["errors"]) == (["tfx"], {})
    assert found["apps"] == ["/mlmd"]
    stems = {path.stem for path in (ROOT / "plugins").rglob("*.py")}
    assert stems & set(found["new"]) == {"tfx_plugin"}
    assert not [name for name in found["new"] if name.startswith(("mlmd_panel", "fastapi", "igraph"))]
    # Every process of Airflow pays this, each task too.
    assert found["seconds"] < 0.02


def test_views_are_in_all_places_with_routes_of_their_own(tmp_path: Path) -> None:
    views = _load(tmp_path, "glob")["views"]
    assert [view["destination"] for view in views] == ["nav", "dag", "dag_run", "task", "task_instance"]
    assert len({view["url_route"] for view in views}) == len(views)
    assert all(view["href"].startswith("mlmd/") for view in views)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The plugin's application where the panel cannot be imported."""
    import tfx_plugin

    monkeypatch.setitem(sys.modules, "mlmd_panel.airflow3", None)
    return TestClient(tfx_plugin.LazyPanel())


def test_a_panel_that_cannot_be_imported_opens_nothing_and_says_where_to_look(
    broken: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        for path in ("/", "/runs.json", "/static/panel.css"):
            answer = broken.request(method, path)
            assert answer.status_code == 503
            assert method == "HEAD" or "See the log of Airflow's API server." in answer.text
    assert caplog.text.count("cannot be loaded") == 1 and "mlmd_panel.airflow3" in caplog.text


def test_a_wrong_setting_opens_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import tfx_plugin

    monkeypatch.setenv("AIRFLOW__MLMD_PANEL__MAX_BYTES", "much")
    assert TestClient(tfx_plugin.LazyPanel()).get("/runs").status_code == 503
    assert "[mlmd_panel] max_bytes = 'much' is not a positive whole number" in caplog.text


def test_requests_that_come_at_once_make_one_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    import tfx_plugin

    made = []

    async def answer(scope: object, receive: object, send: object) -> None:
        made.append("request")

    def make() -> object:
        time.sleep(0.1)
        made.append("panel")
        return answer

    monkeypatch.setattr(tfx_plugin, "_make", make)

    async def ask() -> None:
        lazy = tfx_plugin.LazyPanel()
        first, *others = [asyncio.ensure_future(lazy({}, None, None)) for _ in range(4)]
        await asyncio.sleep(0.02)
        first.cancel()  # its client went away
        await asyncio.gather(*others)

    asyncio.run(ask())
    assert made == ["panel", "request", "request", "request"]
