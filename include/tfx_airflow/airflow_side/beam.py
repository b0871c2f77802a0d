"""Beam programs that are not TFX nodes: the Beam provider's operator, with the TFX interpreter."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Any

from airflow.providers.apache.beam.hooks.beam import BeamHook, beam_options_to_args
from airflow.providers.apache.beam.operators.beam import BeamDataflowMixin, BeamRunPythonPipelineOperator
from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowFailException

from include.tfx_airflow.airflow_side import beam_connection, beam_job_name, beam_work, machines, object_store
from include.tfx_airflow.airflow_side.parameters import is_template
from include.tfx_airflow.contract.beam_runner import BEAM_NAMES, BeamTarget, find, named, table
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import (
    BeamConnectionError,
    BeamError,
    ConfigError,
    ObjectStoreError,
    TfxAirflowError,
)
from include.tfx_airflow.contract.input_files import LENGTH, PATTERN
from include.tfx_airflow.node_process.process import child_environment, end_of
from include.tfx_airflow.settings import Settings, read_settings

_TAIL_LINES = 40
# Google's libraries warn about Python 3.10 in many lines, at every start of the program and of each Beam worker.
_QUIET = ",".join(
    f"ignore::FutureWarning:google.{module}"
    for module in ("api_core._python_version_support", "auth.transport.grpc")
)


def runner_param(*names: str) -> Param:
    """A Param for the trigger form: one of the Beam runners, by name; the first is the default.

    Args:
      *names: Of `include/beam_runners.py`; without any, all of them.

    Raises:
      ConfigError: There is no such runner.
    """
    for name in names:
        find(name, "a name given to runner_param()")
    offered = list(names or table())
    return Param(offered[0], type="string", enum=offered, description="Where the Beam program runs.")


def files_param(folder: str, otherwise: str) -> Param:
    """A Param for the trigger form: files below a folder, and nothing else; None for the program's default.

    Args:
        folder: Folder or URL, chosen by the DAG's author. The program checks that nothing in it leads elsewhere:
            `include.tfx_airflow.tfx_side.input_files.below`.
        otherwise: What is read when nothing is given, shown in the form.
    """
    return Param(
        None,
        type=["null", "string"],
        pattern=PATTERN,
        maxLength=LENGTH,
        description=f"Name or pattern of files below {folder}, such as 2014/*.csv. Empty: {otherwise}",
    )


def _task(operator: Any, context: Context) -> dict[str, Any]:
    """Airflow's names of a try, see `NodeRequest.task`."""
    instance = context["ti"]
    return {
        "dag_id": operator.dag_id,
        "run_id": context["run_id"],
        "task_id": operator.task_id,
        "map_index": instance.map_index if instance.map_index is not None else -1,
        "try_number": instance.try_number,
    }


# Of the provider's operator: how it would start a Python, or leave the job to the triggerer.
_WITHOUT_EFFECT = ("deferrable", "py_interpreter", "py_options", "py_requirements", "py_system_site_packages")
# Of the `DataflowConfiguration` of Google's provider, where nobody gives one.
_PROVIDERS_JOB_NAME = "{{task.task_id}}"


class _WithoutGoogle(BeamDataflowMixin):
    """Replaces the constructor of a class that requires Google's provider even without Dataflow."""

    def __init__(self, **_: Any) -> None:
        pass


class BeamProgramOperator(BeamRunPythonPipelineOperator, _WithoutGoogle):
    """Runs a Python module that is a Beam program in the TFX interpreter.

    Like the provider's operator, but the program has the environment of a TFX node (nothing of Airflow's, the
    bundle importable), its last lines are in the error, and it never outlives its task.
    `${TFX_AIRFLOW_HOME}` and `${BUNDLE_ROOT}` in its options are filled in on the machine that runs it.
    """

    runner: str

    def __init__(
        self,
        *,
        module: str,
        runner: str = "in_memory",
        **kwargs: Any,
    ):
        """Makes the task.

        Args:
            module: Run as `python -m module --runner=... --option=...`.
            runner: A name of `include/beam_runners.py`, or a template of one, such as "{{ params.runner }}" with
                `runner_param()`.
            **kwargs: Of the provider's operator; `pipeline_options` are the program's own. A template of a Param is a
                value that a user may type in, so it must not name a command, an address or a path.

        Raises:
            ConfigError: There is no such runner, `dataflow_config` names the job, or an argument of the provider's operator
                can have no effect here.
        """
        if not is_template(runner):
            find(runner, f"runner of {kwargs.get('task_id')!r}")
        options = {
            f"{name} of {kwargs.get('task_id')!r}": value
            for name, value in (kwargs.get("pipeline_options") or {}).items()
            if isinstance(value, str)
        }
        object_store.check(options, read_settings())
        _refuse_arguments(kwargs)
        _refuse_job_name(kwargs.get("task_id"), kwargs.get("dataflow_config"))
        # A deferred job would run in the triggerer, with the triggerer's environment.
        super().__init__(py_file=module, runner=runner, **kwargs, deferrable=False)

    def execute(self, context: Context) -> Any:
        """Runs the program.

        Returns:
            {"runner", "jobs": [{name, id, seconds, link}]} of a program on Flink or Spark, and what the provider's
            operator tells of one on Dataflow.

        Raises:
            BeamError: It failed; its last lines are in the message.
            BeamConnectionError: The Connection of the runner cannot be read now.
            AirflowFailException: There is no such runner, or no usable interpreter.
        """
        try:
            self._settings = read_settings()
            what = f"runner of {self.task_id!r}"
            states = context["task_state_store"]
            job_name = beam_job_name.of_task(self.runner, what, _task(self, context), states)
            self._target = beam_connection.target(self.runner, what, job_name, self._settings)
            kind = self._target.of.kind
            # As the provider calls it, which has an operator of its own for Dataflow.
            self.runner = BEAM_NAMES[kind].rpartition(".")[2]
            told = super().execute(context)
            return beam_work.in_xcom(self.beam_hook.work)["beam"] if self._target.of.uses_job_server else told
        except TfxAirflowError as error:
            if isinstance(error, (BeamError, BeamConnectionError, ObjectStoreError)):
                raise
            raise AirflowFailException(str(error)) from None

    def on_kill(self) -> None:
        """Ends the program and all that it started: what is not complete is not marked so."""
        super().on_kill()
        if hook := getattr(self, "beam_hook", None):
            hook.end()

    def _init_pipeline_options(self, *args: Any, **kwargs: Any) -> Any:
        found = super()._init_pipeline_options(*args, **kwargs)
        self.beam_hook = _Hook(self.runner, self._target, self._settings)
        return found

    def _cast_dataflow_config(self) -> None:
        # This needs Google's provider too.
        if self.runner == "DataflowRunner":
            super()._cast_dataflow_config()
            config, options = self.dataflow_config, dict(named(self._target.of.options))
            # By its name a later try finds the job; and the provider asks for its end where the runner has put it.
            config.job_name, config.append_job_name = self._target.job_name or config.job_name, False
            config.location = options.get("region", config.location)
            config.project_id = options.get("project", config.project_id)


def _refuse_arguments(given: Mapping[str, Any]) -> None:
    if found := sorted(set(given) & set(_WITHOUT_EFFECT)):
        raise ConfigError(
            f"{given.get('task_id')!r} has {found}: the program runs in the TFX interpreter, with what is installed there, and "
            "as long as its task; remove them."
        )


def _refuse_job_name(task_id: Any, config: Any) -> None:
    given = config.get("job_name") if isinstance(config, dict) else getattr(config, "job_name", None)
    if given and given != _PROVIDERS_JOB_NAME:
        raise ConfigError(
            f"dataflow_config of {task_id!r} has job_name {given!r}, but a job is named after its task instance and try, by "
            "which a later try finds it; remove job_name."
        )


class _Hook(BeamHook):
    """Starts a Beam program as a child with a clean environment, in a process group of its own.

    The provider's hook hands Airflow's environment on, reads one of the child's two pipes to its end before the
    other, which blocks a child that fills it, and leaves the child running when the task is killed.
    """

    def __init__(self, runner: str, target: BeamTarget, settings: Settings):
        super().__init__(runner)
        self._target, self._settings = target, settings
        self._process: subprocess.Popen[bytes] | None = None
        # As of a node, see `NodeResult.beam`.
        self.work: dict[str, Any] = {"runner": target.name, "jobs": []}

    def start_python_pipeline(
        self,
        variables: dict[str, Any],
        py_file: str,
        *_: Any,
        process_line_callback: Callable[[str], None] | None = None,
        **__: Any,
    ) -> None:
        """Runs module `py_file` to its end; its lines go to the log."""
        if "labels" in variables:
            variables["labels"] = [f"{key}={value}" for key, value in variables["labels"].items()]
        arguments = [*beam_options_to_args(variables), *self._target.of.arguments()]
        if any(machines.HOME in argument for argument in arguments):
            machines.check_home(self._settings, f"{py_file!r} reads or writes files in it")
        for name, folder in self._settings.roots().items():
            arguments = [argument.replace(f"${{{name}}}", folder) for argument in arguments]
        self.log.info("python -m %s %s", py_file, " ".join(arguments))
        tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        told = os.memfd_create("jobs")
        with subprocess.Popen(
            [
                self._settings.interpreter(),
                "-m",
                "include.tfx_airflow.tfx_side.beam_job",
                str(told),
                str(self._settings.kill_grace / 2),
                py_file,
                *arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                **child_environment(self._settings),
                **object_store.environment(self._settings),
                "PYTHONWARNINGS": _QUIET,
            },
            cwd=BUNDLE_ROOT,
            start_new_session=True,
            pass_fds=[told],
        ) as self._process:
            reaper = threading.Thread(target=self._reap, args=(self._process,), daemon=True)
            reaper.start()
            self._send_target(self._process)
            for raw in self._process.stdout or ():
                line = raw.decode(errors="replace").rstrip()
                tail.append(line)
                self.log.info("%s", line)
                if process_line_callback:
                    process_line_callback(line)
            reaper.join()
            code = self._process.returncode
        with open(told, encoding="utf-8") as file:
            file.seek(0)
            self.work["jobs"] = json.loads(file.read() or "[]")
        for job in self.work["jobs"]:
            for line in beam_work.job_lines(job):
                self.log.info("%s", line)
        if code:
            raise BeamError(f"{py_file!r} {end_of(code)}; its last lines:", tail="\n".join(tail))

    def _send_target(self, process: subprocess.Popen[bytes]) -> None:
        """Hands addresses and tokens over, which must not be in a command line."""
        assert process.stdin
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(dataclasses.asdict(self._target)).encode() + b"\n")
            process.stdin.flush()

    def end(self) -> None:
        """Lets the program cancel its jobs on a cluster, and ends it; without a job it ends at once."""
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            timer = threading.Timer(self._settings.kill_grace, self.kill)
            timer.daemon = True
            timer.start()

    def kill(self) -> None:
        """Ends the process group."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        # A worker that is left behind would keep the pipe open.
        process.wait()
        self.kill()
