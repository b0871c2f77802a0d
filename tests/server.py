"""A node server for tests, in the Airflow interpreter: the real one, with nothing much imported."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from include.tfx_airflow.contract import wire
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.node_process import process, server_client
from include.tfx_airflow.settings import Settings

# Stands as TFX interpreter: the server imports `learned` instead of TFX.
_PYTHON = """#!/bin/sh
case "$*" in
  *node_server.server*) exec {python} "$@" --preload {preload} ;;
  *) exec {python} "$@" ;;
esac
"""


class Bench:
    """A deployment below one folder, whose children run modules that a test writes."""

    def __init__(self, folder: Path, preload: str = "learned", **values: Any):
        """Writes interpreter and preloaded module."""
        self.folder = folder
        python = folder / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(_PYTHON.format(python=sys.executable, preload=preload))
        python.chmod(0o755)
        (folder / "modules").mkdir()
        (folder / "home").mkdir()
        (folder / "modules" / "learned.py").write_text("import os\nos.environ['LEARNED'] = 'yes'\n")
        self.settings = Settings(
            python=str(python),
            home=str(folder / "home"),
            pythonpath=str(folder / "modules"),
            **{"node_server_idle": 60.0, **values},
        )

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the children."""
        return process.child_environment(self.settings)

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return server_client.socket_path(self.settings, self.environment)

    def module(self, name: str, body: str) -> str:
        """Writes a module; returns its name."""
        (self.folder / "modules" / f"{name}.py").write_text(textwrap.dedent(body))
        return name

    def start(
        self, module: str, stdin: bytes = b"", settings: Settings | None = None, **options: Any
    ) -> Child:
        """Starts a module in a child, through `process.start`."""
        return Child(settings or self.settings, module, stdin, **options)

    def run(
        self, module: str, stdin: bytes = b"", settings: Settings | None = None, seconds: float = 20
    ) -> tuple[int | None, str]:
        """Runs a module; returns its exit code and what it wrote to its extra file."""
        child = self.start(module, stdin, settings)
        return child.process.wait(seconds), child.said()

    def status(self) -> dict[str, Any] | None:
        """Of the server; None when there is none."""
        return server_client.ask(self.settings, self.environment, "status")

    def stop(self) -> None:
        """Ends the server and what it runs."""
        with contextlib.suppress(OSError, wire.WireError):
            status = self.status() or {"running": []}
            for pid in [child["pid"] for child in status["running"]] + [status.get("pid", 0)]:
                if pid:
                    os.kill(pid, 9)


class Child:
    """A child with the asking ends of its pipes."""

    def __init__(self, settings: Settings, module: str, stdin: bytes, **options: Any):
        """Starts it."""
        self.ends: list[int] = []
        self.process = process.start(settings, module, self._make_files, f"test of {module}", **options)
        os.write(self.ends[0], stdin)
        self._texts = [b"", b""]
        self._readers = [threading.Thread(target=self._read, args=[index], daemon=True) for index in range(2)]
        for reader in self._readers:
            reader.start()

    def _make_files(self) -> tuple[int, int, int]:
        for end in self.ends:
            os.close(end)
        (stdin, ours), (output_in, output), (extra_in, extra) = os.pipe(), os.pipe(), os.pipe()
        self.ends = [ours, output_in, extra_in]
        return stdin, output, extra

    def _read(self, index: int) -> None:
        with open(self.ends[1 + index], "rb", buffering=0) as file:
            while block := file.read(65536):
                self._texts[index] += block

    def said(self) -> str:
        """What it wrote to its extra file, all of it."""
        self._readers[1].join(60)
        return self._texts[1].decode()

    def printed(self) -> str:
        """What it printed, all of it."""
        self._readers[0].join(60)
        return self._texts[0].decode()


def wait_until(
    condition: Callable[[], Any], seconds: float = 15, what: str = "it", every: float = 0.02
) -> Any:
    """Waits for a condition; returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(every)
    return value


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def client_process(code: str, bench: Bench, bundle: Path = BUNDLE_ROOT) -> subprocess.Popen[bytes]:
    """A process of its own, with the code of that bundle, that asks the server; dies with the test at the latest."""
    head = (
        "import os, sys, time, json, tempfile\n"
        f"tempfile.tempdir = {str(bench.folder)!r}\n"
        "from tests.server import Child, is_alive\n"
        "from include.tfx_airflow.settings import Settings\n"
        f"settings = {bench.settings!r}\n"
    )
    command = [sys.executable, "-c", head + textwrap.dedent(code)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=bundle)
