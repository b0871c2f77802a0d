"""Servers of a cluster end with the process that started them, and say why they do not start."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bundle import ROOT
from tests.cluster.process import Process, ServerError, free_port, listens

_KILLED = """
import os, sys
from pathlib import Path
from tests.cluster.process import Process
print(Process("sleeper", ["sleep", "600"], Path(sys.argv[1])).pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_server_dies_with_a_process_that_is_killed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == -9, done.stderr
    deadline = time.monotonic() + 10
    while _runs(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(int(done.stdout))


def test_the_children_of_a_server_end_with_it(tmp_path: Path) -> None:
    server = Process("parent", ["sh", "-c", "sleep 600 & echo $!; wait"], tmp_path)
    server.wait_until(lambda: server.log.read_text().strip())
    child = int(server.log.read_text())
    server.end()
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


@pytest.mark.parametrize(
    ("command", "told"),
    [(["sh", "-c", "echo no such port; exit 3"], "ended with 3"), (["sleep", "600"], "not ready in 1 s")],
)
def test_a_server_that_does_not_start_says_why(tmp_path: Path, command: list[str], told: str) -> None:
    port = free_port()
    server = Process("server", command, tmp_path)
    with pytest.raises(ServerError, match=told) as raised:
        server.wait_until(lambda: listens(port), seconds=1)
    assert not _runs(server.pid)
    assert told != "ended with 3" or "no such port" in str(raised.value)


def _runs(pid: int) -> bool:
    """Whether a process runs, which a zombie does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
