"""`python -m mlmd_panel`: a real server on a free port, its errors and its guards."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlmd_panel.commands.store_options import default_roots, store_url
from mlmd_panel.errors import SettingsError
from mlmd_panel.store import address

from tests.bundle import ROOT
from tests.panel import tfx_child


def _start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mlmd_panel", *arguments],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT / "plugins"), "HOME": "/", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _fails(*arguments: str, code: int = 2, **environment: str) -> str:
    process = _start(*arguments, **environment)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    assert "Traceback" not in output
    return output


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployment")
    path = folder / "mlmd" / "metadata.db"
    path.parent.mkdir()
    tfx_child.run("write_runs", path, folder / "pipelines", "taxi=a+b:c")
    return path


@pytest.fixture(scope="module")
def panel(store: Path) -> Iterator[tuple[int, str]]:
    """Port and what was printed."""
    process = _start("--mlmd", f"sqlite:///{store}", "--port", "0")
    assert process.stdout
    lines = ""
    for line in process.stdout:
        lines += line
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            break
    else:
        raise AssertionError(lines)
    yield int(found[1]), lines
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=20)[0]
    assert process.returncode == 0 and "Traceback" not in rest, rest


def _get(port: int, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()})
    response: Any = connection.getresponse()
    return response, response.read()


def test_it_says_where_it_is_and_what_it_reads(panel: tuple[int, str], store: Path) -> None:
    port, lines = panel
    assert f"Artifact files are read from {store.parents[1]}.\n" in lines
    response, body = _get(port, "/runs.json")
    assert response.status == 200 and b"taxi" in body
    response, body = _get(port, "/artifacts/1.json")
    assert response.status == 200 and b"value_of_taxi" in body


def test_pages_are_compressed_and_airflow_has_no_links(panel: tuple[int, str]) -> None:
    response, body = _get(panel[0], "/runs/2", accept_encoding="gzip")
    assert response.status == 200 and response.getheader("content-encoding") == "gzip"
    assert body[:2] == b"\x1f\x8b"
    assert b"/dags/taxi" not in _get(panel[0], "/runs/2")[1]


@pytest.mark.parametrize(
    ("host", "status"), [("localhost", 200), ("127.0.0.1:1", 200), ("evil.example", 400)]
)
def test_a_name_that_is_not_this_machines_is_refused(panel: tuple[int, str], host: str, status: int) -> None:
    assert _get(panel[0], "/runs", host=host)[0].status == status


def test_other_machines_need_a_flag_and_are_warned_about(store: Path) -> None:
    told = _fails("--mlmd", f"sqlite:///{store}", "--host", "0.0.0.0", "--port", "0")
    assert "has no login: add --without-login" in told
    process = _start("--mlmd", f"sqlite:///{store}", "--host", "0.0.0.0", "--port", "0", "--without-login")
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert lines[1].startswith("WARNING: there is no login") and lines[2].startswith("http://0.0.0.0:")


def test_what_cannot_be_served_is_one_sentence(panel: tuple[int, str], store: Path, tmp_path: Path) -> None:
    assert "No store given: use --mlmd" in _fails()
    assert "cannot be read" in _fails("--mlmd", f"sqlite:///{tmp_path}/absent.db", code=4)
    told = _fails("--mlmd", str(store), "--port", str(panel[0]))
    assert f"Cannot listen on port {panel[0]} of 127.0.0.1: " in told and "Choose another --port." in told
    assert "max_bytes = 'much'" in _fails("--mlmd", str(store), "--max-bytes", "much")
    told = _fails("--mlmd", "mysql://tfx@127.0.0.1:1/mlmd", MLMD_PASSWORD="hidden", code=4)
    assert "hidden" not in told and "The store's server cannot be reached" in told


def test_help_has_every_setting_and_examples() -> None:
    told, _ = _start("--help").communicate(timeout=60)
    for part in ("--mlmd", "--roots", "--max-bytes", "--title", "--port", "MLMD_PASSWORD", "examples:"):
        assert part in told


def test_the_address_comes_from_the_option_or_the_environment() -> None:
    environment = {"MLMD_URL": "postgresql://tfx@db/mlmd", "MLMD_PASSWORD": "sec/ret"}
    url = store_url("", environment)
    assert url.render_as_string(hide_password=False) == "postgresql://tfx:sec%2Fret@db/mlmd"
    assert store_url("a/b.db", environment) == address.of_file(Path("a/b.db").absolute())
    with pytest.raises(SettingsError, match="MLMD_URL"):
        store_url("", {})


@pytest.mark.parametrize(
    ("path", "roots"),
    [
        ("/srv/tfx/mlmd/metadata.db", ("/srv/tfx",)),
        ("/srv/work/metadata/taxi/metadata.db", ("/srv/work",)),
        ("/srv/work/tfx_metadata/taxi/metadata.db", ("/srv/work",)),
        ("/srv/work/metadata.db", ()),
        ("/metadata/metadata.db", ()),
        (str(Path.home() / "metadata" / "metadata.db"), ()),
    ],
)
def test_places_are_guessed_where_the_layout_says_so(path: str, roots: tuple[str, ...]) -> None:
    assert default_roots(address.of_file(path)) == roots


def test_no_place_is_guessed_for_servers() -> None:
    assert default_roots(address.of_text("mysql://u@h/mlmd")) == ()
