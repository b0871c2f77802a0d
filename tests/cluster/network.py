"""Machines for tests: network namespaces on a bridge, each with a host name of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

_BRIDGE = "tfxtest0"
_NETWORK = "10.213.47"  # of 256 addresses; the first is this machine's


class Network:
    """A bridge of this machine, and namespaces at it.

    Attributes:
      address: Of this machine, as its namespaces reach it.
    """

    address = f"{_NETWORK}.1"

    def __init__(self) -> None:
        """Makes the bridge."""
        self._names: list[str] = []
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{self.address}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")

    def add(self, name: str) -> list[str]:
        """Makes a namespace; returns what stands before a command to run it there, under that host name."""
        namespace, number = f"tfxtest-{name}", len(self._names) + 2
        _ip("netns", "add", namespace)
        self._names.append(name)
        _ip("link", "add", f"{_BRIDGE}-{number}", "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _ip("link", "set", f"{_BRIDGE}-{number}", "master", _BRIDGE, "up")
        for command in (f"addr add {_NETWORK}.{number}/24 dev eth0", "link set eth0 up", "link set lo up"):
            _ip("-n", namespace, *command.split())
        return [
            *(shutil.which("ip") or "ip", "netns", "exec", namespace, "unshare", "--uts"),
            *("sh", "-c", 'hostname "$0" && exec "$@"', name),
        ]

    def pids(self, name: str) -> list[int]:
        """The processes of a namespace."""
        return [int(pid) for pid in _ip("netns", "pids", f"tfxtest-{name}").split()]

    def kill(self, name: str) -> None:
        """SIGKILL to all processes of a namespace, as to those of a machine that loses its power."""
        while pids := self.pids(name):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def remove(self) -> None:
        """Ends what runs in the namespaces, and removes them and the bridge."""
        for name in self._names:
            self.kill(name)
            _ip("netns", "delete", f"tfxtest-{name}")
        _ip("link", "delete", _BRIDGE)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


@contextlib.contextmanager
def made() -> Iterator[Network]:
    """The network, where this machine can have one; else the test is skipped."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("needs root and `ip` (Debian: apt-get install iproute2) for network namespaces")
    probe = subprocess.run(["unshare", "--net", "--uts", "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no network namespaces here: {probe.stderr.strip()}")
    network = Network()
    try:
        yield network
    finally:
        network.remove()
