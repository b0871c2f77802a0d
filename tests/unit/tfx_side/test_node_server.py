"""The node server seen from its socket: what is wrong is refused, and the server goes on."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow.contract import wire
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.node_process import process, server_client
from tests.server import Bench, is_alive, wait_until


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A deployment without a server yet."""
    tmp_path_factory.getbasetemp()  # while the folder of temporary files is still the system's
    folder = Path(tempfile.mkdtemp(prefix="w"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    made = Bench(folder)
    yield made
    made.stop()
    shutil.rmtree(folder)


@pytest.fixture
def server(bench: Bench) -> int:
    """Process id of a running server."""
    assert bench.run(bench.module("nothing", "pass")) == (0, "")
    return bench.status()["pid"]


def _files(server: int) -> int:
    time.sleep(0.05)  # the connection that just had its answer is being closed
    return len(os.listdir(f"/proc/{server}/fd"))


def _connect(bench: Bench) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(15)
    connection.connect(str(bench.socket))
    return connection


def _request(bench: Bench, **changed: Any) -> dict[str, Any]:
    return {
        "ask": "run",
        "protocol": wire.PROTOCOL,
        "home": bench.settings.home,
        "bundle": str(BUNDLE_ROOT),
        "module": "nothing",
        "environment": bench.environment,
        "umask": 0o022,
        "grace": 1.0,
        "detached": False,
        "label": "",
        **changed,
    }


def _answer(bench: Bench, packet: bytes, files: int) -> dict[str, Any] | None:
    null = [os.open("/dev/null", os.O_RDWR) for _ in range(files)]
    try:
        with _connect(bench) as connection:
            socket.send_fds(connection, [packet], null)
            return wire.receive(connection)[0]
    finally:
        for file in null:
            os.close(file)


@pytest.mark.parametrize(
    ("packet", "files", "says"),
    [
        (b"\xff\x00\x01 garbage", 0, "not a JSON object"),
        (b'{"ask": "run", "prot', 3, "not a JSON object"),
        (b"[1, 2]", 3, "not a JSON object"),
        (b"7", 0, "not a JSON object"),
        (b"{}", 3, "does not know the request 'None'"),
        (b'{"ask": "shutdown"}', 0, "does not know the request 'shutdown'"),
        (b'{"ask": {"a": ["b"]}}', 0, "does not know"),
        (b'{"ask": "run"}', 3, "fields ['protocol', 'home'"),
        ({"umask": "022"}, 3, "fields ['umask']"),
        ({"bundle": None}, 3, "fields ['bundle']"),
        ({"grace": True}, 3, "fields ['grace']"),
        ({"protocol": 0}, 3, "protocol 0"),
        ({"home": "/elsewhere"}, 3, "for home '/elsewhere'"),
        ({}, 0, "0 files instead of 3"),
        ({}, 2, "2 files instead of 3"),
        ({}, 5, "5 files instead of 3"),
        ({}, 12, "or 8 files"),
        (b"x" * 150_000, 0, "not a JSON object"),
        (b"[" * 100_000, 0, "not a JSON object"),
    ],
    ids=lambda value: str(value)[:24] if not isinstance(value, int) else str(value),
)
def test_bad_request_is_refused_with_its_reason_and_nothing_leaks(
    bench: Bench, server: int, packet: Any, files: int, says: str
) -> None:
    before = _files(server)
    data = packet if isinstance(packet, bytes) else json.dumps(_request(bench, **packet)).encode()
    answer = _answer(bench, data, files)
    assert answer is not None and says in answer["refused"]
    assert bench.run("nothing") == (0, "")
    assert bench.status()["pid"] == server
    wait_until(lambda: _files(server) == before)


@pytest.mark.slow
def test_connections_that_say_nothing_cost_nothing(bench: Bench, server: int) -> None:
    before = _files(server)
    silent = [_connect(bench) for _ in range(20)]
    for _ in range(20):
        _connect(bench).close()
    assert bench.run("nothing") == (0, "")
    message, _ = wire.receive(silent[0])  # it is told, after ten seconds
    assert message and "asked for nothing" in message["refused"]
    wait_until(lambda: _files(server) == before)
    for connection in silent:
        connection.close()


def test_more_connections_than_the_server_takes_wait_for_their_turn(bench: Bench, server: int) -> None:
    many = [_connect(bench) for _ in range(250)]
    for connection in many:
        connection.close()
    assert bench.run("nothing") == (0, "")
    assert bench.status()["pid"] == server


def test_second_request_on_a_connection_ends_the_first(bench: Bench, server: int) -> None:
    request = json.dumps(_request(bench, module=bench.module("nap", "import time\ntime.sleep(600)"))).encode()
    null = [os.open("/dev/null", os.O_RDWR) for _ in range(3)]
    with _connect(bench) as connection:
        socket.send_fds(connection, [request], null)
        pid = wire.receive(connection)[0]["pid"]
        socket.send_fds(connection, [request], null)
        assert "asked twice" in wire.receive(connection)[0]["refused"]
        wait_until(lambda: not is_alive(pid))
    for file in null:
        os.close(file)


def _fallback(bench: Bench, caplog: pytest.LogCaptureFixture) -> str:
    """Runs a child, which must be a new process; returns why."""
    module = bench.module("works", "import os, sys\nos.write(int(sys.argv[1]), b'yes')")
    assert bench.run(module) == (0, "yes")
    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith("The node server cannot be used, so a new process does the work: ")
    return line


@pytest.mark.parametrize("place", ["upper", "lower"])
@pytest.mark.parametrize("how", ["open-to-others", "link", "file"])
def test_folder_that_others_could_enter_is_not_used(
    bench: Bench, caplog: pytest.LogCaptureFixture, place: str, how: str
) -> None:
    folder = bench.socket.parent
    if place == "upper":
        folder = folder.parent
    else:
        folder.parent.mkdir(mode=0o700)
    if how == "open-to-others":
        folder.mkdir()
        folder.chmod(0o755)
    elif how == "link":
        (bench.folder / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(bench.folder / "elsewhere")
    else:
        folder.write_text("")
    line = _fallback(bench, caplog)
    assert f"{str(folder)!r} must be a folder of user {os.getuid()}" in line and "Remove it." in line
    assert not list(bench.folder.rglob("*.sock"))


def test_folder_of_another_user_is_not_used() -> None:
    theirs = Path(tempfile.mkdtemp(prefix="w"))
    try:
        if os.getuid() == 0:
            os.chown(theirs, 65534, 65534)
            place = theirs
        else:
            place = Path("/root")
        with pytest.raises(wire.WireError, match="must be a folder of user"):
            wire.private_folder(place)
    finally:
        theirs.rmdir()


def test_folder_is_made_for_this_user_alone(bench: Bench, server: int) -> None:
    assert stat.S_IMODE(bench.socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(bench.socket.parent.parent.stat().st_mode) == 0o700


def test_process_of_another_user_is_refused_even_with_the_folder_open(bench: Bench, server: int) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user to try it")
    for path in (bench.folder, bench.socket.parent.parent, bench.socket.parent, bench.socket):
        path.chmod(0o777)
    code = f"""
        import os, socket
        os.setgid(65534); os.setuid(65534)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(15)
        connection.connect({str(bench.socket)!r})
        print(connection.recv(1000).decode())
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert "runs as user 65534" in json.loads(done.stdout)["refused"]


def test_stale_socket_of_a_killed_server_is_replaced(bench: Bench, server: int) -> None:
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not is_alive(server))
    assert bench.socket.exists() and bench.status() is None
    assert bench.run("nothing") == (0, "")
    assert bench.status()["pid"] != server


def test_something_else_in_the_sockets_place_is_replaced(bench: Bench) -> None:
    server_client._connect(bench.socket)  # makes the folders
    bench.socket.write_text("no socket")
    assert bench.run(bench.module("nothing", "pass")) == (0, "")
    assert bench.status()


def test_full_disk_leaves_the_work_to_a_new_process(bench: Bench) -> None:
    """On a file system of its own with no room at all, in a mount namespace of its own."""
    module = bench.module("works", "import os, sys\nos.write(int(sys.argv[1]), b'yes')")
    full = bench.folder / "full"
    full.mkdir()
    code = f"""
        import logging, sys, tempfile
        tempfile.tempdir = {str(full)!r}
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        from tests.server import Child
        from include.tfx_airflow.settings import Settings
        child = Child({bench.settings!r}, {module!r}, b"")
        print(child.process.wait(20), child.said())
        """
    script = f'mount -t tmpfs -o size=4k,nr_inodes=1 none {full} && exec {sys.executable} -c "$CODE"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        env={**os.environ, "CODE": textwrap.dedent(code)},
        cwd=BUNDLE_ROOT,
        capture_output=True,
        text=True,
    )
    if "unshare" in done.stderr:
        pytest.skip(f"this machine lets nobody make a full disk: {done.stderr.strip()}")
    assert "No space left on device" in done.stdout, done.stdout + done.stderr
    assert done.stdout.endswith("0 yes\n")


def test_idle_server_ends_and_leaves_nothing(bench: Bench) -> None:
    bench.settings = bench.settings.__class__(**{**bench.settings.__dict__, "node_server_idle": 0.5})
    assert bench.run(bench.module("nothing", "pass")) == (0, "")
    server = bench.status()["pid"]
    wait_until(lambda: not is_alive(server))
    assert not bench.socket.parent.exists()


@pytest.mark.parametrize("what", ["socket", "home"])
def test_server_whose_place_is_removed_ends(bench: Bench, server: int, what: str) -> None:
    if what == "socket":
        bench.socket.unlink()
    else:
        os.rmdir(bench.settings.home)
    wait_until(lambda: not is_alive(server))


def test_sigterm_sees_through_what_runs(bench: Bench, server: int) -> None:
    go = bench.folder / "go"
    body = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)\nos.write(3, b'done')"
    child = bench.start(bench.module("waits", body))
    os.kill(server, signal.SIGTERM)
    wait_until(lambda: not bench.socket.exists())
    time.sleep(0.2)
    assert is_alive(server) and is_alive(child.process.pid)
    go.write_text("")
    assert (child.process.wait(20), child.said()) == (0, "done")
    wait_until(lambda: not is_alive(server))


def test_second_server_for_one_place_gives_way(bench: Bench, server: int) -> None:
    command = [*server_client.command(bench.settings, bench.socket, 0)]
    done = subprocess.run(command, env=bench.environment, cwd=BUNDLE_ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "another process already serves" in done.stderr
    assert bench.status()["pid"] == server


def test_path_that_is_too_long_for_a_socket_is_said(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = bench.folder / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert "path too long" in _fallback(bench, caplog)


def test_no_environment_variable_is_logged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "pa55-w0rd-of-nobody")
    assert bench.run(bench.module("nothing", "pass")) == (0, "")
    assert _answer(bench, json.dumps(_request(bench, protocol=0)).encode(), 3)
    log = bench.socket.with_suffix(".log").read_text()
    assert "protocol 0" in log and "pa55" not in log
    assert "pa55" not in json.dumps(bench.status())


def test_server_holds_no_more_files_or_processes_after_a_hundred_children(bench: Bench, server: int) -> None:
    before = _files(server)
    for _ in range(100):
        assert bench.start("nothing").process.wait(20) == 0
    assert bench.status()["served"] == 101
    wait_until(lambda: _files(server) == before)
    children = Path(f"/proc/{server}/task/{server}/children").read_text()
    assert children == ""


def test_switched_off_means_no_server(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    settings = bench.settings.__class__(**{**bench.settings.__dict__, "node_server": False})
    child = bench.start(bench.module("nothing", "pass"), settings=settings).process
    assert isinstance(child, process.ColdProcess) and child.wait(20) == 0
    assert not bench.socket.parent.exists() and not caplog.records
