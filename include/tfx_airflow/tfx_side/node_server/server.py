"""`python -m include.tfx_airflow.tfx_side.node_server.server`: imports TFX once, then forks a process per request.

One thread and one loop, because only a process without other threads can be forked safely. A request
names a module and carries three open files; the child runs that module as its main program
(`forked.py`). This serves nodes and the compiling of pipelines, and anything else that needs TFX imported
(a pool of Beam's SDK harnesses) takes a module and no change here.

The child communicates with the asking task through its own pipes: it survives when this process is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import logging
import os
import resource
import selectors
import signal
import sys
import time
from pathlib import Path
from typing import Any

from include.tfx_airflow.contract import server_key, wire
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.tfx_side.node_server import forked
from include.tfx_airflow.tfx_side.node_server.client import Client, megabytes
from include.tfx_airflow.tfx_side.node_server.listener import Listener, notify_older_servers

# Open files per client: its connection, and the files of its request while it waits.
_FILES_OF_A_CLIENT, _OTHER_FILES, _MOST_FILES = 4, 64, 16384
# A superseded server may still get requests: from tasks of an older commit, or with other variables.
_FOLLOWED_SECONDS = 60.0
_REQUEST_SECONDS = 10.0  # that a connection may take to send its request
_TICK_SECONDS = 2.0

log = logging.getLogger("node server")


class Server:
    """Accepts, forks and reaps, until it is idle for too long, retired or stopped by a signal."""

    def __init__(
        self,
        listener: Listener,
        home: str,
        idle_seconds: float,
        slots: int,
        set_by_imports: dict[str, str],
        files_key: str,
    ):
        """Makes a server that is ready to serve.

        Args:
          listener: Its socket.
          home: [tfx_airflow] home; requests for another one are refused.
          idle_seconds: Time after which a server without requests ends; 0 for never.
          slots: Nodes at the same time.
          set_by_imports: Environment variables that the imported modules have set, for children.
          files_key: Key of what was imported, see `server_key.files_key`.
        """
        self._listener, self._home, self._idle, self._slots = listener, home, idle_seconds, slots
        self._set_by_imports, self._files_key = set_by_imports, files_key
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files[1], self._files[1]))
        most = self._files[1] if self._files[1] != resource.RLIM_INFINITY else _MOST_FILES
        # Further ones wait in the kernel's queue.
        self._most_clients = (min(most, _MOST_FILES) - _OTHER_FILES) // _FILES_OF_A_CLIENT
        self._clients: set[Client] = set()
        self._served = 0
        self._started = self._last = self._ticked = time.monotonic()
        self._wake_in, self._wake_out = os.pipe()
        for end in (self._wake_in, self._wake_out):
            os.set_blocking(end, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._listening = False

    def serve(self) -> None:
        """Serves until it has retired and no child is left."""
        signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        ended: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: ended.append(number))
        while self._listener.open or self._clients:
            self._listen()
            for key, _ in self._selector.select(1.0 if self._clients else _TICK_SECONDS):
                if key.fd == self._wake_in:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_in, 4096)
                elif key.data is None:
                    self._accept()
                elif key.data in self._clients:
                    self._read(key.data)
            if ended and self._listener.open:
                self._retire(f"{signal.Signals(ended[0]).name} was received")
            self._reap()
            self._fork_waiting()
            self._tick()

    def _listen(self) -> None:
        """Waits for connections only while there is room for more; else the selector would return at once, forever."""
        room = self._listener.open and len(self._clients) < self._most_clients
        if room and not self._listening:
            self._selector.register(self._listener.socket, selectors.EVENT_READ)
        elif self._listening and not room:
            self._selector.unregister(self._listener.socket)
        self._listening = room

    def _retire(self, why: str) -> None:
        """Leaves the path to others at once; running children finish."""
        log.info("ends: %s", why)
        if self._listening:
            self._selector.unregister(self._listener.socket)
            self._listening = False
        self._listener.close()

    def _accept(self) -> None:
        while self._listener.open and len(self._clients) < self._most_clients:
            try:
                connection, _ = self._listener.socket.accept()
            except OSError:  # no connection, or no descriptor free: the next round tries again
                return
            connection.setblocking(False)
            client = Client(connection)
            self._clients.add(client)
            self._selector.register(connection, selectors.EVENT_READ, client)
            try:
                wire.check_peer(connection)
            except (wire.WireError, OSError) as error:
                self._refuse(client, str(error))

    def _read(self, client: Client) -> None:
        try:
            message, files = wire.receive(client.connection)
        except BlockingIOError:
            return
        except wire.WireError as error:
            self._refuse(client, f"received {error}")
            return
        except OSError:
            message, files = None, []
        client.files += files
        if message is None:
            self._on_disconnect(client)
        elif client.asked:
            self._refuse(client, "it asked twice on one connection")
        else:
            client.asked = True
            self._serve(client, message)

    def _serve(self, client: Client, message: dict[str, Any]) -> None:
        ask = message.get("ask")
        if ask == "run":
            problem = client.problem(message, self._home)
            if problem:
                self._refuse(client, f"a request was refused: {problem}")
                return
            client.request = message
        elif ask == "status":
            client.answer(self._status())
            self._drop(client)
        elif ask in ("retire", "followed"):
            client.answer({"pid": os.getpid()})
            self._drop(client)
            if self._listener.open and ask == "retire":
                self._retire("it was asked to")
            elif self._listener.open and server_key.files_key(sys.executable) != self._files_key:
                self._retire("what it has imported has changed since, so no task will use it")
            elif self._listener.open:
                log.info("another server has started: this one ends soon, unless it gets requests")
                self._idle = min(self._idle or _FOLLOWED_SECONDS, _FOLLOWED_SECONDS)
        else:
            self._refuse(client, f"the server does not know the request {str(ask)[:50]!r}")

    def _running(self) -> int:
        """Number of running nodes, each in a slot."""
        return sum(1 for client in self._clients if client.pid and client.needs_slot)

    def _fork_waiting(self) -> None:
        """Forks for waiting clients, first come first served, nodes while there are slots; notifies the others."""
        running = self._running()
        for client in sorted((c for c in self._clients if c.waits), key=lambda client: client.since):
            if not client.needs_slot or running < self._slots:
                self._fork(client)
                running = self._running()
            elif not client.notified:
                client.notified = True
                client.answer({"waiting": running})

    def _fork(self, client: Client) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._refuse(client, f"the server cannot fork: {error.strerror}")
            return
        if not pid:
            request, files, client.files = client.request, client.files, []
            self._close_in_child()
            forked.run_as_main(request, files, self._set_by_imports)
        self._served += 1
        client.forked(pid)

    def _close_in_child(self) -> None:
        """Closes what a child must not keep open: others wait for these files to be closed."""
        self._selector.close()
        self._listener.close_in_child()
        for client in self._clients:
            client.close()
        os.close(self._wake_in)
        os.close(self._wake_out)
        resource.setrlimit(resource.RLIMIT_NOFILE, self._files)

    def _reap(self) -> None:
        for client in [client for client in self._clients if client.pid and client.has_ended()]:
            self._drop(client)

    def _on_disconnect(self, client: Client) -> None:
        """The asking task has gone. Its child notices that too and ends itself, and gets time for that."""
        client.gone = True
        if not client.request or client.waits and not client.request["detached"]:
            self._drop(client)
            return
        self._selector.unregister(client.connection)
        if not client.request["detached"]:
            client.kill_at = time.monotonic() + client.request["grace"]

    def _refuse(self, client: Client, reason: str) -> None:
        log.warning("%s", reason)
        client.answer({"refused": reason})
        if client.pid:  # its child ends like that of a task that has gone
            self._on_disconnect(client)
        else:
            self._drop(client)

    def _drop(self, client: Client) -> None:
        self._clients.discard(client)
        with contextlib.suppress(KeyError):
            self._selector.unregister(client.connection)
        client.close()

    def _tick(self) -> None:
        now = time.monotonic()
        for client in list(self._clients):
            if not client.asked and now - client.since > _REQUEST_SECONDS:
                self._refuse(client, f"a connection asked for nothing in {_REQUEST_SECONDS:.0f} s")
            elif client.pid and client.kill_at and now > client.kill_at:
                client.kill_child()
        if self._clients:
            self._last = now
        if not self._listener.open or now - self._ticked < _TICK_SECONDS:
            return
        self._ticked = now
        needed = (self._home, str(BUNDLE_ROOT), sys.executable)
        missing = [path for path in needed if not os.path.exists(path)]
        if self._idle and now - self._last > self._idle:
            self._retire(f"no requests for {self._idle:.0f} s")
        elif not self._listener.is_reachable():
            self._retire("its socket was removed")
        elif missing:
            self._retire(f"{missing[0]} was removed")

    def _status(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "megabytes": megabytes(os.getpid()),
            "seconds": round(time.monotonic() - self._started, 1),
            "served": self._served,
            "slots": self._slots,
            "idle_timeout": self._idle,
            "running": [client.describe() for client in self._clients if client.pid],
            "waiting": sum(1 for client in self._clients if client.waits),
        }


def main() -> int:
    """Serves until idle, retired or stopped; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--home", required=True)
    parser.add_argument("--idle", type=float, default=0.0, help="seconds; 0 for never")
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument(
        "--preload", default="include.tfx_airflow.tfx_side.node_server.preload", help="a module"
    )
    arguments = parser.parse_args()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False  # the root logger is the children's
    try:
        listener = Listener(arguments.socket)
    except (wire.WireError, OSError) as error:
        log.error("cannot start: %s", error)
        return 1
    notify_older_servers(arguments.socket)
    before, start = dict(os.environ), time.monotonic()
    files_key = server_key.files_key(sys.executable)
    # The collector takes nearly half the time of these imports, and in every child it would touch,
    # and so copy, all of their memory.
    gc.disable()
    importlib.import_module(arguments.preload)
    gc.freeze()
    gc.enable()
    set_by_imports = {name: value for name, value in os.environ.items() if before.get(name) != value}
    log.info("serves %s (imported in %.1f s)", arguments.socket, time.monotonic() - start)
    Server(listener, arguments.home, arguments.idle, arguments.slots, set_by_imports, files_key).serve()
    log.info("has ended")
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # threads of TensorFlow's libraries may block an ordinary exit
