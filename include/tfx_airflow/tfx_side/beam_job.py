"""`python -m include.tfx_airflow.tfx_side.beam_job MODULE ARGUMENT...`: a Beam program that lives no longer than its task.

Standard input stays open as long as the task lives: end-of-file ends the process group.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _end_with_the_task() -> None:
    # Not sys.stdin: its lock, held here, would abort the interpreter's own end.
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_task, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
