"""Runs modules of this folder that need TFX and its libraries: they say what the official readers read.

Their imports take most of their time, so that one process of the TFX interpreter, `python -m tests.panel.tfx_child`,
imports them once and runs each call in a fork of itself, as the node server does. Each line of its standard input is
JSON: the `module`, its `arguments`, and files for `stdin`, `stdout` and `stderr`; answered by a line with the exit code.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

from include.tfx_airflow.tfx_side.node_server import forked
from tests.bundle import ROOT, TFX_PYTHON

_SECONDS = 600
# These need no more than ml_metadata.
_LIGHT = ("official_hostile", "official_others", "official_store", "write_executions", "write_runs")


def run(module: str, *arguments: str | Path, text: str = "") -> str:
    """What `python -m tests.panel.<module>` printed, in the TFX interpreter.

    Args:
      module: Its name in this folder.
      *arguments: Of its command line.
      text: Its standard input.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, name) for name in ("stdin", "stdout", "stderr")}
        for file in files.values():
            file.touch()
        files["stdin"].write_text(text)
        asked = {"module": module, "arguments": [*map(str, arguments)]}
        code = _ask({**asked, **{name: str(file) for name, file in files.items()}})
        printed, errors = (files[name].read_text(errors="replace") for name in ("stdout", "stderr"))
    assert code == "0\n", f"{module} ended with {code.strip() or 'no answer'}:\n{errors[-3000:]}"
    return printed


@functools.cache
def _process() -> subprocess.Popen[str]:
    """Ends when its standard input does, and so with this process."""
    return subprocess.Popen(
        [TFX_PYTHON, "-m", "tests.panel.tfx_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
        start_new_session=True,
    )


def _ask(asked: dict[str, Any]) -> str:
    """The answer; empty if the process has ended or takes too long: the next call starts another."""
    process = _process()
    assert process.stdin and process.stdout
    answer = ""
    try:
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        if select.select([process.stdout], [], [], _SECONDS)[0]:
            answer = process.stdout.readline()
    except BrokenPipeError:
        pass
    finally:
        if not answer:
            _process.cache_clear()
            os.killpg(process.pid, signal.SIGKILL)  # with the fork
            process.wait()
    return answer


def _serve() -> NoReturn:
    answers = os.fdopen(os.dup(1), "w")
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            for name, number in (("stdout", 1), ("stderr", 2)):
                _move(os.open(asked[name], os.O_WRONLY | os.O_APPEND), number)
            _import(asked["module"])
            sys.stdout.flush()
            pid = os.fork()
            if not pid:
                forked.end_after(functools.partial(_run_as_main, asked))
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)
    except Exception:
        traceback.print_exc()
    os._exit(0)  # threads of TensorFlow's libraries may block an ordinary exit


def _move(file: int, number: int) -> None:
    os.dup2(file, number)
    os.close(file)


def _import(module: str) -> None:
    """Imports what the module needs, and opens no store and runs no pipeline: their threads would not survive a fork.

    What `tf.keras` means depends on the order of imports, which is therefore always that of `official_pages`.
    """
    gc.disable()  # it takes nearly half the time of these imports, and every fork would copy what it touches
    for name in ("official_store" if module in _LIGHT else "official_pages", module):
        importlib.import_module(f"tests.panel.{name}")
    gc.freeze()
    gc.enable()


def _run_as_main(asked: dict[str, Any]) -> None:
    """Runs the module as the program of this fork."""
    _move(os.open(asked["stdin"], os.O_RDONLY), 0)
    sys.stdin = open(0, closefd=False)  # the old one is in the middle of its lines
    name = f"tests.panel.{asked['module']}"
    del sys.modules[name]  # so that it is run, and not found
    sys.argv[:] = [name, *asked["arguments"]]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve()
