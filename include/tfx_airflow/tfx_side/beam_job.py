"""`python -m include.tfx_airflow.tfx_side.beam_job FD SECONDS MODULE ARGUMENT...`: runs a Beam program no longer than its task lives.

The first line of standard input is the `BeamTarget` as JSON. It stays open as long as the task lives; when it is closed,
the program's jobs are cancelled, for SECONDS, and the process group is killed. The program itself gets an empty standard
input. The jobs that it ran on a cluster are written to file descriptor FD, as JSON.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import threading

from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.contract.errors import BeamError
from include.tfx_airflow.tfx_side import compat, workers
from include.tfx_airflow.tfx_side.beam import arguments, cancel


def _end_with_the_task(asking: int, target: BeamTarget, seconds: float, given: list[str]) -> None:
    while os.read(asking, 1):
        pass
    try:
        if runner := sys.modules.get("include.tfx_airflow.tfx_side.beam.job_server_runner"):
            runner.cancel_all(seconds)
        elif jobs := sys.modules.get("include.tfx_airflow.tfx_side.beam.dataflow_jobs"):
            # A living task's operator does so, too; nobody does for one that was killed.
            jobs.cancel_try(target, given, seconds)
    except BeamError as error:
        print(error, file=sys.stderr, flush=True)
    finally:
        os.killpg(os.getpgrp(), signal.SIGKILL)


def _read_line(file: int) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (block := os.read(file, 1)):
        line += block
    return line


if __name__ == "__main__":
    standard_input = workers.take_standard_input()
    target = BeamTarget(**json.loads(_read_line(standard_input)))
    told, seconds = int(sys.argv[1]), float(sys.argv[2])
    os.set_inheritable(told, False)
    sys.argv = [*sys.argv[3:], *arguments.of_code(target)]
    ending = [standard_input, target, seconds, sys.argv[1:]]
    threading.Thread(target=_end_with_the_task, args=ending, daemon=True).start()
    compat.keep_beam_in_this_process()
    try:
        if target.of.uses_job_server:
            from include.tfx_airflow.tfx_side.beam import job_server_runner  # which others have no use for

            job_server_runner.use(target)
        cancel.cancel_earlier(target, sys.argv[1:])
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except BeamError as error:  # says all that its frames would
        sys.exit(str(error))
    finally:
        if target.of.uses_job_server:
            with open(told, "w", encoding="utf-8") as file:
                json.dump([job.described() for job in job_server_runner.started()], file)
