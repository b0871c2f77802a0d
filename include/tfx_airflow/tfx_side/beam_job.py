"""`python -m include.tfx_airflow.tfx_side.beam_job MODULE ARGUMENT...`: runs a Beam program that lives no longer than its task.

Standard input stays open as long as the task lives; when it is closed, the process group is killed. The program itself
gets an empty standard input.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

from include.tfx_airflow.tfx_side import workers


def _end_with_the_task(asking: int) -> None:
    while os.read(asking, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_task, args=[workers.take_standard_input()], daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
