"""Running a module of `tfx_side` in the TFX interpreter: environment, log stream, kill, result.

A node of a pipeline is asked for with a `NodeRequest` and answers with a `NodeResult`. Here a new
process does the work; whatever else may serve the same request (a warm server) has the same shape:
a start, a stream of log lines, a result record, a kill.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import logging
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

from include.tfx_airflow.settings import BUNDLE_ROOT, Settings

# Exit codes of run_node: what became of the node, also when its record got lost.
EXECUTED, FAILED, CACHED, SKIPPED, REFUSED = 0, 1, 20, 21, 22
STATES = {
    EXECUTED: "executed",
    FAILED: "failed",
    CACHED: "cached",
    SKIPPED: "skipped",
    REFUSED: "refused",
}
_TAIL_LINES = 40
# Written by the child before each line of a log record, so that errors show as errors in Airflow.
LEVEL_MARK = "\x1f"
_RECORD = re.compile(rf"{LEVEL_MARK}(\d{{1,2}}){LEVEL_MARK}")


@dataclasses.dataclass(frozen=True)
class NodeRequest:
    """One attempt at one node of one run.

    Attributes:
      ir: Path of the compiled `pipeline.json`.
      node_id: Node of that pipeline.
      run: Name of the MLMD `pipeline_run` context, `<dag_id>:<run_id>`.
      task: Airflow names of this attempt: dag_id, run_id, task_id, map_index, try_number, key; and
        first_try, the first try after the task was last cleared.
      parameters: Value by runtime parameter.
      mlmd: Address of the store, see `mlmd.py`; may hold a password.
      roots: Machine folders for the `${NAME}`s of the IR.
    """

    ir: str
    node_id: str
    run: str
    task: dict[str, Any]
    parameters: dict[str, Any]
    mlmd: dict[str, Any] = dataclasses.field(repr=False)
    roots: dict[str, str]

    def to_json(self) -> str:
        """The request on one line."""
        return json.dumps(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class NodeResult:
    """What became of a node.

    Attributes:
      state: `executed`, `cached`, `skipped`, `failed` or `refused` (failed, and a retry cannot help).
      execution_id: MLMD id, 0 when nothing was registered.
      outputs: By output key, a list of {id, type, uri, note}.
      summary: Short facts for people and for downstream tasks, such as {"blessed": true}.
      message: Reason of a skip or failure; a failure's traceback.
    """

    state: str
    execution_id: int = 0
    outputs: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    summary: dict[str, Any] = dataclasses.field(default_factory=dict)
    message: str = ""


def child_environment(settings: Settings) -> dict[str, str]:
    """Environment of a child: this one without Airflow's and Python's variables.

    A task's `AIRFLOW__DATABASE__SQL_ALCHEMY_CONN` is poisoned, `AIRFLOW_CONN_*` are secrets, and
    `PYTHONPATH`/`VIRTUAL_ENV` belong to the other interpreter. The TFX interpreter's folder comes
    first on PATH because Beam and TFX start plain `python`.
    """
    drop = ("AIRFLOW", "_AIRFLOW", "PYTHON", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    env = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(BUNDLE_ROOT), settings.pythonpath]))
    env["PYTHONUNBUFFERED"] = "1"
    env["PATH"] = os.path.dirname(settings.python) + os.pathsep + env.get("PATH", os.defpath)
    env.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return env


class NodeProcess:
    """A node running in a new process of the TFX interpreter.

    The request goes through the child's standard input, which stays open: when this process dies,
    however hard, the child reads end-of-file, records the failure and ends its process group.
    """

    def __init__(self, settings: Settings, request: NodeRequest):
        """Starts the child.

        Raises:
          SettingsError: There is no usable interpreter.
        """
        self._settings = settings
        self._request = request
        self._record = b""
        self._result_in, result_out = os.pipe()
        self._process = subprocess.Popen(
            [settings.interpreter(), "-u", "-m", "include.tfx_airflow.tfx_side.run_node", str(result_out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=child_environment(settings),
            cwd=BUNDLE_ROOT,
            pass_fds=[result_out],
            start_new_session=True,
        )
        os.close(result_out)
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request.to_json().encode() + b"\n")
            self._process.stdin.flush()

    def wait(self, log: Callable[[int, str], None]) -> NodeResult:
        """Passes the child's log on until it ends.

        Args:
          log: Takes a `logging` level and a line.

        Returns:
          The result record. Without one (the child was killed or crashed) the state is `failed`,
          the message holds the child's last lines, and MLMD has been told.
        """
        tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        threads = [threading.Thread(target=t, daemon=True) for t in (self._reap, self._read_record)]
        for thread in threads:
            thread.start()
        for level, line in self._lines():
            tail.append(line)
            log(level, line)
        for thread in threads:
            thread.join()
        code = self._process.returncode
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        result = NodeResult(**json.loads(self._record)) if self._record.endswith(b"\n") else None
        if result and STATES.get(code) == result.state:
            return result
        self._abandon()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return NodeResult(
            "failed", message=f"the child was {how} before it could say more\n" + "\n".join(tail)
        )

    def kill(self) -> None:
        """Asks the child to record its failure and end; SIGKILL to its group after the grace.

        Safe in a signal handler: it reads nothing that `wait` reads.
        """
        self._signal(signal.SIGTERM)
        timer = threading.Timer(self._settings.kill_grace, self._signal, [signal.SIGKILL])
        timer.daemon = True
        timer.start()

    def _reap(self) -> None:
        """Ends what the child left behind (Beam workers): they would keep its log open."""
        self._process.wait()
        self._signal(signal.SIGKILL)

    def _read_record(self) -> None:
        with open(self._result_in, "rb") as file:
            self._record = file.readline()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _lines(self) -> Iterator[tuple[int, str]]:
        assert self._process.stdout
        for raw in self._process.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            record = _RECORD.search(line)
            if record is None:
                yield logging.INFO, line
                continue
            if record.start():  # something printed without a newline
                yield logging.INFO, line[: record.start()]
            yield int(record[1]), line[record.end() :]

    def _abandon(self) -> None:
        """Marks what the dead child left RUNNING as FAILED."""
        try:
            subprocess.run(
                [self._settings.python, "-m", "include.tfx_airflow.tfx_side.abandon"],
                input=self._request.to_json().encode() + b"\n",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=child_environment(self._settings),
                cwd=BUNDLE_ROOT,
                timeout=120,
                check=True,
            )
        except subprocess.SubprocessError as error:
            # The next attempt marks it, so the run goes on; but never in silence.
            lines = (getattr(error, "stdout", None) or b"").decode(errors="replace").strip().splitlines()
            logging.getLogger(__name__).warning(
                "Could not mark node %r as FAILED in MLMD: %s", self._request.node_id, lines[-1:] or error
            )
