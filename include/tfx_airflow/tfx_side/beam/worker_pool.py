"""`python -m include.tfx_airflow.tfx_side.beam.worker_pool`: Beam's EXTERNAL environment, with TFX imported once.

A cluster's worker asks this pool for a harness, a process that runs the Python code of a job. Beam's own pool starts a new
Python for each, which imports TFX again, 48 times in one taxi pipeline; here a harness is a fork of a process that has
imported it.

Only a process without other threads can be forked safely, and gRPC has many. So gRPC lives in a child that is forked first;
it passes requests to this process, one packet each, with a pipe for the answer.

The first line of standard input is JSON: `host`, `port`, `token` ("" for none), `packages` (a folder) and `preload` (a
module). The pool ends when standard input is closed, and all harnesses with it.
"""

from __future__ import annotations

import contextlib
import gc
import hmac
import importlib
import json
import logging
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from concurrent import futures
from pathlib import Path
from typing import Any, NoReturn

from include.tfx_airflow.contract import wire
from include.tfx_airflow.tfx_side.beam import harness

log = logging.getLogger("beam workers")

TOKEN_PARAMETER = "token"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Importing the packages of a job, and connecting to it.
_START_SECONDS = 120.0


def main() -> int:
    """Serves until standard input is closed or a signal comes; returns the exit code."""
    _configure_logging()
    settings = json.loads(sys.stdin.readline())
    if settings["host"] not in _LOOPBACK and not settings["token"]:
        log.error(
            "the pool would serve %s to everybody, and whoever reaches it can run code: give it a token, or --host 127.0.0.1.",
            settings["host"],
        )
        return 2
    start = time.monotonic()
    gc.disable()
    importlib.import_module(settings["preload"])
    gc.freeze()
    gc.enable()
    ours, services = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    service = os.fork()
    if not service:
        ours.close()
        _serve_grpc(settings, services)
    services.close()
    packages = Path(settings["packages"])
    packages.mkdir(parents=True, exist_ok=True)
    log.info("TFX imported in %.1f s", time.monotonic() - start)
    with tempfile.TemporaryDirectory(prefix="beam-workers-") as folder:
        return _Pool(ours, service, packages, Path(folder)).serve()


class _Pool:
    """The process that forks: one thread, one loop."""

    def __init__(self, requests: socket.socket, service: int, packages: Path, folder: Path):
        self._requests, self._service, self._packages = requests, service, packages
        self._folder = folder
        self._workers: dict[int, str] = {}
        self._ended = False

    def serve(self) -> int:
        wake_in, wake_out = os.pipe()
        os.set_blocking(wake_in, False)
        os.set_blocking(wake_out, False)
        signal.set_wakeup_fd(wake_out, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        while not self._ended:
            readable, _, _ = select.select([self._requests, wake_in, 0], [], [])
            if wake_in in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_in, 4096)
            if 0 in readable and not os.read(0, 4096):
                self._end()
            if self._requests in readable:
                request, files = wire.receive(self._requests)
                if request is None:
                    log.error("the process that serves gRPC has gone")
                    return 1
                self._fork(request, files[0], [wake_in, wake_out])
            self._reap()
        for pid in (self._service, *self._workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return 0

    def _end(self, *_: Any) -> None:
        self._ended = True

    def _fork(self, request: dict[str, Any], answer: int, others: list[int]) -> None:
        pool = os.getpid()
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the pool ends its harnesses
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            self._requests.close()
            for file in (null, *others):
                os.close(file)
            harness.run(request, self._packages, self._folder / str(os.getpid()), answer, pool)
        os.close(answer)
        self._workers[pid] = request["worker_id"]
        log.info("worker %s: process %d, %d at work", request["worker_id"], pid, len(self._workers))

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._service:
                log.error("the process that serves gRPC has ended")
                self._ended = True
            code = os.waitstatus_to_exitcode(status)
            worker = self._workers.pop(pid, "")
            shutil.rmtree(self._folder / str(pid), ignore_errors=True)
            if code:
                log.warning("worker %s: process %d ended with %d", worker, pid, code)


def _serve_grpc(settings: dict[str, Any], pool: socket.socket) -> NoReturn:
    """The child that serves gRPC; imports it only here."""
    code = 1
    try:
        _serve(settings, pool)
        code = 0
    except BaseException as error:
        log.error("cannot serve %s:%s: %s", settings["host"], settings["port"], error)
    finally:
        os._exit(code)


def _serve(settings: dict[str, Any], pool: socket.socket) -> None:
    import grpc
    from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    harness.end_with(os.getppid())
    token = settings["token"].encode()

    class Servicer(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
        def StartWorker(self, request: Any, context: Any) -> Any:
            if token and not hmac.compare_digest(request.params[TOKEN_PARAMETER].encode(), token):
                log.warning(
                    "worker %s refused: its token is not the pool's (%s)", request.worker_id, context.peer()
                )
                return beam_fn_api_pb2.StartWorkerResponse(
                    error="the worker pool refused: the token of the job, worker_pool_token of its Connection, is not the pool's."
                )
            answer, ours = os.pipe()
            with os.fdopen(answer, "rb", buffering=0) as file:
                wire.send(
                    pool,
                    {
                        "worker_id": request.worker_id,
                        "control": request.control_endpoint.url,
                        "logging": request.logging_endpoint.url,
                        "artifact": request.artifact_endpoint.url,
                        "provision": request.provision_endpoint.url,
                    },
                    [ours],
                )
                os.close(ours)
                said = _read_all(file.fileno())
            if said == "ready":
                return beam_fn_api_pb2.StartWorkerResponse()
            error = said or "the worker pool's harness died before it was ready; see the pool's log."
            log.warning("worker %s cannot start: %s", request.worker_id, error.strip().splitlines()[-1])
            return beam_fn_api_pb2.StartWorkerResponse(error=error)

        def StopWorker(self, request: Any, context: Any) -> Any:
            # A harness ends when its job closes the connection. By its id it could be another job's: each counts from 1.
            return beam_fn_api_pb2.StopWorkerResponse()

    server = grpc.server(futures.ThreadPoolExecutor(64), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(Servicer(), server)
    port = server.add_insecure_port(f"{settings['host']}:{settings['port']}")
    server.start()
    log.info("serves Beam workers at %s:%d", settings["host"], port)
    server.wait_for_termination()


def _read_all(file: int) -> str:
    deadline, data = time.monotonic() + _START_SECONDS, b""
    while (left := deadline - time.monotonic()) > 0:
        readable, _, _ = select.select([file], [], [], left)
        if not readable:
            break
        block = os.read(file, 1 << 16)
        if not block:
            return data.decode(errors="replace")
        data += block
    return f"the harness was not ready in {_START_SECONDS:.0f} s"


def _configure_logging() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
