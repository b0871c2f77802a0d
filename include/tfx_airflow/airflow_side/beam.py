"""Beam programs that are not TFX nodes: the Beam provider's operator, with the TFX interpreter."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow.providers.apache.beam.hooks.beam import BeamHook, beam_options_to_args
from airflow.providers.apache.beam.operators.beam import BeamDataflowMixin, BeamRunPythonPipelineOperator
from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowFailException

from include.tfx_airflow.airflow_side import machines, object_store
from include.tfx_airflow.airflow_side.parameters import is_template
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import ConfigError, ObjectStoreError, TfxAirflowError
from include.tfx_airflow.contract.input_files import LENGTH, PATTERN
from include.tfx_airflow.node_process.process import child_environment, end_of
from include.tfx_airflow.settings import Settings, read_settings

_TAIL_LINES = 40
# Google's libraries warn about Python 3.10 in many lines, at every start of the program and of each Beam worker.
_QUIET = ",".join(
    f"ignore::FutureWarning:google.{module}"
    for module in ("api_core._python_version_support", "auth.transport.grpc")
)


class BeamError(TfxAirflowError):
    """A Beam program ended with an error; a retry may help."""

    headline = "Beam job failed"


@dataclasses.dataclass(frozen=True)
class BeamRunner:
    """A runner that the author of a DAG offers.

    Options choose commands, hosts and files, so they are written in the DAG file and never come from a form.

    Attributes:
        name: Beam's name, such as "DirectRunner".
        options: Beam's options, such as ("--direct_num_workers=4",).
    """

    name: str
    options: tuple[str, ...] = ()


def flink(job_endpoint: str, *options: str) -> BeamRunner:
    """A Flink cluster, through Beam's job server.

    Args:
        job_endpoint: Address of the job server, host:port.
        *options: More options. Without any, Python code runs in the task's own process tree; on a cluster of more than
            this machine, in worker pools beside Flink's: "--environment_type=EXTERNAL",
            "--environment_config=host:port".
    """
    return BeamRunner(
        "PortableRunner", (f"--job_endpoint={job_endpoint}", "--environment_type=LOOPBACK", *options)
    )


# By their names in the trigger form; these need nothing but this machine.
RUNNERS: Mapping[str, BeamRunner] = {
    "in memory": BeamRunner("DirectRunner", ("--direct_running_mode=in_memory",)),
    "several processes": BeamRunner(
        "DirectRunner", ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    ),
}


def runner_param(runners: Mapping[str, BeamRunner] = RUNNERS) -> Param:
    """A Param for the trigger form: one of the runners, by name; the first is the default."""
    return Param(
        next(iter(runners)), type="string", enum=list(runners), description="Where the Beam program runs."
    )


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
        runner: str = "in memory",
        runners: Mapping[str, BeamRunner] = RUNNERS,
        **kwargs: Any,
    ):
        """Makes the task.

        Args:
            module: Run as `python -m module --runner=... --option=...`.
            runner: A name in `runners`, or a template of one, such as "{{ params.runner }}" with `runner_param()`.
            runners: What there is to choose from.
            **kwargs: Of the provider's operator; `pipeline_options` are the program's own. A template of a Param is a
                value that a user may type in, so it must not name a command, an address or a path.

        Raises:
            ConfigError: There is no such runner.
        """
        self.runners = dict(runners)
        if not is_template(runner):
            self._chosen(runner, ConfigError)
        options = {
            f"{name} of {kwargs.get('task_id')!r}": value
            for name, value in (kwargs.get("pipeline_options") or {}).items()
            if isinstance(value, str)
        }
        object_store.check(options, read_settings())
        # A deferred job would run in the triggerer, with the triggerer's environment.
        super().__init__(py_file=module, runner=runner, **kwargs, deferrable=False)

    def _chosen(self, name: str, error: Callable[[str], Exception]) -> BeamRunner:
        if name not in list(self.runners):
            raise error(f"{name!r} is not a runner of this task; choose one of {list(self.runners)}.")
        return self.runners[name]

    def execute(self, context: Context) -> None:
        """Runs the program.

        Raises:
            BeamError: It failed; its last lines are in the message.
            AirflowFailException: There is no such runner, or no usable interpreter.
        """
        chosen = self._chosen(self.runner, AirflowFailException)
        self.runner, self._options = chosen.name, chosen.options
        try:
            super().execute(context)
        except TfxAirflowError as error:
            if isinstance(error, (BeamError, ObjectStoreError)):
                raise
            raise AirflowFailException(str(error)) from None

    def on_kill(self) -> None:
        """Ends the program and all that it started: what is not complete is not marked so."""
        super().on_kill()
        if hook := getattr(self, "beam_hook", None):
            hook.kill()

    def _init_pipeline_options(self, *args: Any, **kwargs: Any) -> Any:
        found = super()._init_pipeline_options(*args, **kwargs)
        self.beam_hook = _Hook(self.runner, self._options, read_settings())
        return found

    def _cast_dataflow_config(self) -> None:
        # This needs Google's provider too.
        if self.runner == "DataflowRunner":
            super()._cast_dataflow_config()


class _Hook(BeamHook):
    """Starts a Beam program as a child with a clean environment, in a process group of its own.

    The provider's hook hands Airflow's environment on, reads one of the child's two pipes to its end before the
    other, which blocks a child that fills it, and leaves the child running when the task is killed.
    """

    def __init__(self, runner: str, options: Sequence[str], settings: Settings):
        super().__init__(runner)
        self._options, self._settings = options, settings
        self._process: subprocess.Popen[bytes] | None = None

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
        arguments = [f"--runner={self.runner}", *beam_options_to_args(variables), *self._options]
        if any(machines.HOME in argument for argument in arguments):
            machines.check_home(self._settings, f"{py_file!r} reads or writes files in it")
        for name, folder in self._settings.roots().items():
            arguments = [argument.replace(f"${{{name}}}", folder) for argument in arguments]
        self.log.info("python -m %s %s", py_file, " ".join(arguments))
        tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        with subprocess.Popen(
            [
                self._settings.interpreter(),
                "-m",
                "include.tfx_airflow.tfx_side.beam_job",
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
        ) as self._process:
            reaper = threading.Thread(target=self._reap, args=(self._process,), daemon=True)
            reaper.start()
            for raw in self._process.stdout or ():
                line = raw.decode(errors="replace").rstrip()
                tail.append(line)
                self.log.info("%s", line)
                if process_line_callback:
                    process_line_callback(line)
            reaper.join()
            code = self._process.returncode
        if code:
            raise BeamError(f"{py_file!r} {end_of(code)}; its last lines:", tail="\n".join(tail))

    def kill(self) -> None:
        """Ends the process group."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        # A worker that is left behind would keep the pipe open.
        process.wait()
        self.kill()
