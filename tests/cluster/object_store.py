"""An S3 server for tests, in a process of its own, which can be away for a while.

moto keeps objects in memory, so what goes away is the way to it: a proxy in this process, which answers as a server that
was stopped does.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bundle import STATE

_START_SECONDS = 60.0
KEY, SECRET = "AKIATESTKEY", "s3cr3t/of+tests"
BUCKET = "bucket"


class ObjectStore:
    """A bucket.

    Attributes:
      endpoint: URL of the server.
    """

    def __init__(self, port: int):
        """Takes moto's port."""
        self._target = ("127.0.0.1", port)
        self._proxy = socket.create_server(("127.0.0.1", 0))
        self._address = self._proxy.getsockname()
        self._open: set[socket.socket] = set()
        self.endpoint = f"http://127.0.0.1:{self._address[1]}"
        self._listen()

    def connection(self) -> dict[str, str]:
        """Environment that makes this the store of an Airflow."""
        extra = {"endpoint_url": self.endpoint, "region_name": "eu-west-1"}
        found = {"conn_type": "aws", "login": KEY, "password": SECRET, "extra": extra}
        return {
            "AIRFLOW_CONN_OBJECT_STORE": json.dumps(found),
            "AIRFLOW__TFX_AIRFLOW__OBJECT_STORE_CONN_ID": "object_store",
        }

    def variables(self) -> dict[str, str]:
        """The environment that a node gets."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": "eu-west-1",
        }

    def files(self) -> Any:
        """fsspec's file system."""
        import fsspec

        return fsspec.filesystem(
            "s3",
            key=KEY,
            secret=SECRET,
            client_kwargs={"endpoint_url": f"http://127.0.0.1:{self._target[1]}", "region_name": "eu-west-1"},
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def go_away(self) -> None:
        """Refuses connections, and cuts those that are open."""
        self._proxy.close()
        self._listener.join()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def come_back(self) -> None:
        """Answers again, at the same address."""
        self._proxy = socket.create_server(self._address)
        self._listen()

    def _listen(self) -> None:
        self._proxy.settimeout(0.2)
        self._listener = threading.Thread(target=self._accept, args=(self._proxy,), daemon=True)
        self._listener.start()

    def _accept(self, proxy: socket.socket) -> None:
        while True:
            try:
                client, _ = proxy.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            client.settimeout(None)
            server = socket.create_connection(self._target)
            self._open |= {client, server}
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(1 << 16):
                target.sendall(block)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        source.close()
        self._open -= {source}


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ObjectStore]:
    """Starts moto's server, with one bucket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "moto.log"
    with open(log, "wb") as output:
        server = subprocess.Popen(
            [STATE / "services" / "bin" / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        store = ObjectStore(port)
        store.files().mkdir(BUCKET)
        yield store
    finally:
        server.kill()
        server.wait()
