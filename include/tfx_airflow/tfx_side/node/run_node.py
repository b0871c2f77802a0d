"""`python -m include.tfx_airflow.tfx_side.node.run_node FD`: runs one node in a process of its own.

Reads one `NodeRequest` from standard input and keeps reading: end-of-file means that the asking
task is dead. Writes the `NodeResult` to file descriptor FD; the exit code gives its state.
User code finds an empty standard input, and may freely start processes (`workers.py`).
"""

from __future__ import annotations

import dataclasses
import gc
import json
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback

from include.tfx_airflow.contract.node import EXIT_CODES, FAILED, NodeRequest, NodeResult
from include.tfx_airflow.contract.stream import LEVEL_MARK
from include.tfx_airflow.tfx_side import workers
from include.tfx_airflow.tfx_side.node import abandon

# TFX itself logs whole protos at INFO; they are cut to this many lines.
_MAX_INFO_LINES = 3
_frames_to_skip = ("run_node.py", "include/tfx_airflow/tfx_side/node/node.py")


class _Formatter(logging.Formatter):
    """Marks each line of a record with its level, and cuts the proto dumps of TFX."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).splitlines() or [""]
        proto = record.levelno <= logging.INFO and "/site-packages/tfx/" in record.pathname
        if proto and len(lines) > _MAX_INFO_LINES:
            lines = [*lines[:_MAX_INFO_LINES], f"... ({len(lines) - _MAX_INFO_LINES} more lines)"]
        return "\n".join(f"{LEVEL_MARK}{record.levelno}{LEVEL_MARK}{line}" for line in lines)


def configure_logging() -> None:
    """Sends absl, TFX and Beam logs through one handler that the asking task understands."""
    from absl import logging as absl_logging

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    absl_logging.use_python_logging(quiet=True)
    absl_logging.set_verbosity(absl_logging.INFO)
    logging.captureWarnings(True)
    # They log each Beam stage, and every HTTP connection attempt of a cloud library.
    for name in ("apache_beam", "py.warnings", "urllib3", "botocore", "aiobotocore"):
        logging.getLogger(name).setLevel(logging.ERROR if name == "py.warnings" else logging.WARNING)


def end_when_asked(request: NodeRequest, asking: int, terminated: workers.Terminated) -> threading.Event:
    """On SIGTERM, or when the asking task dies, records the failure and then ends the process group.

    Threads do this, because the main thread may be in C++ for minutes.

    Args:
      request: The request of this process.
      asking: File that reaches its end when the asking task is dead.
      terminated: Receives SIGTERM.

    Returns:
      An event, set from that moment on: nothing may be published any more.
    """
    asked = threading.Event()

    def watch() -> None:
        while True:
            readable, _, _ = select.select([asking, terminated.file], [], [])
            if asking in readable and not os.read(asking, 4096):
                break
            if terminated.file in readable and terminated.came():
                break
        asked.set()

    def kill() -> None:
        os.killpg(os.getpgrp(), signal.SIGKILL)

    def end() -> None:
        asked.wait()
        # The main thread may hold the lock of a SQLite store; then the next attempt or the asking task
        # records the failure.
        threading.Timer(request.kill_grace, kill).start()
        try:
            try:
                cancel_beam_jobs(request.kill_grace / 2)
            finally:
                abandon.abandon(request, "the task was killed", last=kill)
        finally:
            kill()

    for target in (watch, end):
        threading.Thread(target=target, daemon=True).start()
    return asked


def cancel_beam_jobs(seconds: float) -> None:
    """Cancels the jobs that this process has started on a cluster, and waits so long for their end."""
    # Without it imported there is none, and an import may wait for the main thread.
    if runner := sys.modules.get("include.tfx_airflow.tfx_side.beam.job_server_runner"):
        runner.cancel_all(seconds)
    if work := sys.modules.get("include.tfx_airflow.tfx_side.node.beam_work"):
        work.cancel_others()


def outcome(request: NodeRequest, given_up: threading.Event | None = None) -> NodeResult:
    """Runs the node; turns an exception into a result that ends with the node's own traceback."""
    started = time.time()
    gc.disable()  # it takes nearly half the time of these imports, and frees nothing
    try:
        from include.tfx_airflow.tfx_side.node import node

        gc.freeze()
        gc.enable()
        started = time.time()
        result = node.run(request, given_up)
    except BaseException as error:  # includes SystemExit in user code, which must be reported too
        from include.tfx_airflow.contract.errors import (
            BeamError,
            ManifestError,
            MlmdError,
            MlmdSchemaError,
            NodeError,
            SettingsError,
        )

        state = "refused" if isinstance(error, (ManifestError, MlmdSchemaError, SettingsError)) else "failed"
        # A failing store or a missing input has a clear message; TFX's frames would not help.
        clear = isinstance(error, (BeamError, MlmdError, NodeError))
        result = NodeResult(state, message=str(error) if clear else _traceback(error))
    return dataclasses.replace(result, started=started, seconds=time.time() - started)


def _traceback(error: BaseException) -> str:
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename.endswith(_frames_to_skip):
        frames = frames.tb_next
    if frames is None:
        return f"{type(error).__name__}: {error}"
    return "".join(traceback.format_exception(type(error), error, frames))


def _read_line(file: int) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (block := os.read(file, 1 << 16)):
        line += block
    return line


def main() -> int:
    """Runs the request from standard input; returns the exit code."""
    result_fd = int(sys.argv.pop())  # TFX passes the rest of argv to executors
    os.set_inheritable(result_fd, False)
    asking = workers.take_standard_input()
    line = _read_line(asking)
    if not line.endswith(b"\n"):
        return FAILED  # the asking task has gone, or gave this child up before it started
    request = NodeRequest(**json.loads(line))
    os.environ.update(request.object_store.get("environment", {}))
    configure_logging()
    terminated = workers.Terminated()
    workers.keep_from_workers(terminated, [asking, result_fd])
    given_up = end_when_asked(request, asking, terminated)
    result = outcome(request, given_up)
    if result.state == "failed" and given_up.is_set():
        threading.Event().wait()  # a killed worker is not the reason for the failure
    sys.stdout.flush()
    with open(result_fd, "w", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(result)) + "\n")
    code = EXIT_CODES[result.state]
    # Beam and TensorFlow leave threads behind that can hang an ordinary exit.
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
