"""Runs a module of `tfx_side` in the TFX interpreter: forked by the node server, or as a new process."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.progress import PREFIX
from include.tfx_airflow.node_process import server_client
from include.tfx_airflow.settings import Settings

log = logging.getLogger(__name__)


class Process(Protocol):
    """A child in a session and process group of its own."""

    pid: int

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for its end, then kills what it left in its process group.

        Returns:
          The exit code, negative for a signal; None if it cannot be known.

        Raises:
          subprocess.TimeoutExpired: It has not ended in time.
        """

    def signal(self, number: int) -> None:
        """Sends a signal to the child, SIGKILL to its group; does nothing once it has ended.

        The child itself ends what it has started: its failing workers must not look like its own failure.
        """


def child_environment(settings: Settings, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment of a child: this one without Airflow's and Python's variables, and with the child's own.

    A task's `AIRFLOW__DATABASE__SQL_ALCHEMY_CONN` is poisoned, `AIRFLOW_CONN_*` are secrets, and
    `PYTHONPATH`/`VIRTUAL_ENV` belong to the other interpreter. The TFX interpreter's folder comes
    first on PATH because Beam and TFX start plain `python`.
    """
    drop = ("AIRFLOW", "_AIRFLOW", "__AIRFLOW", "PYTHON", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    env = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(BUNDLE_ROOT), settings.pythonpath]))
    env["PYTHONUNBUFFERED"] = "1"
    env["PATH"] = os.path.dirname(settings.python) + os.pathsep + env.get("PATH", os.defpath)
    env.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    env.setdefault("GLOG_minloglevel", "3")  # ml-metadata logs every connection
    return {**env, **(own or {})}


def ask(
    settings: Settings, module: str, *arguments: str, question: Any, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a module of the TFX side that answers a question and ends.

    Args:
      settings: Say which interpreter.
      module: Its name below `include.tfx_airflow.tfx_side`.
      *arguments: Of its command line.
      question: Written as JSON to its standard input: an address may contain a password.
      timeout: Seconds; None for no limit.

    Raises:
      SettingsError: There is no usable interpreter.
    """
    return subprocess.run(
        [settings.interpreter(), "-m", f"include.tfx_airflow.tfx_side.{module}", *arguments],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        env=child_environment(settings),
        cwd=BUNDLE_ROOT,
        timeout=timeout,
    )


def ask_and_tell(
    settings: Settings, module: str, *, question: Any, tell: Callable[[str], None]
) -> subprocess.CompletedProcess[str]:
    """As `ask`, of what may take minutes.

    Args:
      settings: Say which interpreter.
      module: Its name below `include.tfx_airflow.tfx_side`.
      question: Written as JSON to its standard input.
      tell: Is given each line that says how far it has come, when it comes.

    Raises:
      SettingsError: There is no usable interpreter.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as answer,
        subprocess.Popen(
            [settings.interpreter(), "-m", f"include.tfx_airflow.tfx_side.{module}"],
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=subprocess.PIPE,
            text=True,
            env=child_environment(settings),
            cwd=BUNDLE_ROOT,
        ) as child,
    ):
        assert child.stdin and child.stderr
        lines = []
        try:
            with contextlib.suppress(BrokenPipeError), child.stdin:
                json.dump(question, child.stdin)
            for line in child.stderr:
                if line.startswith(PREFIX):
                    tell(line.rstrip())
                else:
                    lines.append(line)
            code = child.wait()
        except BaseException:
            child.kill()
            raise
        answer.seek(0)
        return subprocess.CompletedProcess(child.args, code, answer.read(), "".join(lines))


def last_lines(done: subprocess.CompletedProcess[str]) -> str:
    """The end of what a process wrote to standard error."""
    return "\n".join(done.stderr.strip().splitlines()[-5:])


def end_of(code: int) -> str:
    """How a process ended, for people; `code` is negative for a signal."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


class ColdProcess:
    """A new process, which imports everything it needs."""

    def __init__(
        self, settings: Settings, module: str, files: tuple[int, int, int], environment: Mapping[str, str]
    ):
        """Starts it.

        Raises:
          SettingsError: There is no usable interpreter.
        """
        stdin, output, extra = files
        self._popen = subprocess.Popen(
            [settings.interpreter(), "-u", "-m", module, str(extra)],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=BUNDLE_ROOT,
            pass_fds=[extra],
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self._ended = False

    def wait(self, timeout: float | None = None) -> int:
        """See `Process`."""
        code = self._popen.wait(timeout)
        self.signal(signal.SIGKILL)
        self._ended = True
        return code

    def signal(self, number: int) -> None:
        """See `Process`."""
        if self._ended:
            return
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if number == signal.SIGKILL else os.kill)(self.pid, number)


def start(
    settings: Settings,
    module: str,
    make_files: Callable[[], tuple[int, int, int]],
    label: str,
    detached: bool = False,
    timeout: float | None = None,
    own_environment: Mapping[str, str] | None = None,
) -> Process:
    """Starts a module in a child.

    Args:
      settings: `node_server` says whether to ask the server first.
      module: Runs as `python -m module FD`.
      make_files: Makes the child's standard input, its standard output and error, and the extra
        file FD. They are closed here. Called again if the server fails: a child that it may still fork,
        too late, must not share them with the one that does the work.
      label: What the child is for, for people.
      detached: The child outlives this process.
      timeout: Seconds in which a detached child must have started.
      own_environment: Variables of this child only.

    Raises:
      SettingsError: There is no usable interpreter.
      subprocess.TimeoutExpired: A detached child has not started in time; it still will.
    """
    settings.interpreter()
    environment = child_environment(settings, own_environment)
    for last in (False, True) if settings.node_server else ():
        files = make_files()
        try:
            return server_client.fork(
                settings,
                environment,
                module,
                files,
                label,
                detached=detached,
                timeout=timeout,
            )
        except server_client.UnavailableError as error:
            if isinstance(error, server_client.EndedError) and not last:
                continue  # idle for too long, or killed, at this very moment
            log.warning("The node server cannot be used, so a new process does the work: %s", error)
            break
        finally:
            _close(files)
    files = make_files()
    try:
        return ColdProcess(settings, module, files, environment)
    finally:
        _close(files)


def _close(files: tuple[int, ...]) -> None:
    for file in files:
        os.close(file)
