"""Beam programs that are no TFX nodes: the Beam provider's operator, with the TFX interpreter."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any

from airflow.providers.apache.beam.hooks.beam import BeamHook, beam_options_to_args
from airflow.providers.apache.beam.operators.beam import BeamDataflowMixin, BeamRunPythonPipelineOperator

from include.tfx_airflow.compat import AirflowFailException, Context, Param
from include.tfx_airflow.errors import TfxAirflowError
from include.tfx_airflow.process import child_environment, end_of
from include.tfx_airflow.settings import BUNDLE_ROOT, Settings, read_settings

# Name in the trigger form -> Beam's runner and its options.
RUNNERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "in memory": ("DirectRunner", ("--direct_running_mode=in_memory",)),
    "several processes": (
        "DirectRunner",
        ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
    ),
    # By way of Beam's job server. LOOPBACK: Python code runs in the task's own process tree.
    "Flink": ("PortableRunner", ("--environment_type=LOOPBACK",)),
}
_TAIL_LINES = 40
# Google's libraries about Python 3.10: many lines at every start, of each of Beam's workers too.
_QUIET = ",".join(
    f"ignore::FutureWarning:google.{module}"
    for module in ("api_core._python_version_support", "auth.transport.grpc")
)


class BeamError(TfxAirflowError):
    """A Beam program ended with an error; a retry may help."""

    headline = "Beam job failed"


# Arguments of `BeamProgramOperator` that take the runner from the DAG's `runner_params()`.
FROM_PARAMS = {
    "runner": "{{ params.runner }}",
    "job_endpoint": "{{ params.job_endpoint }}",
    "beam_options": "{{ params.beam_options | tojson }}",
}


def runner_params() -> dict[str, Param]:
    """Params `runner`, `job_endpoint` and `beam_options`: the runner is chosen in the trigger form."""
    return {
        "runner": Param(
            "in memory",
            type="string",
            enum=list(RUNNERS),
            description="Where the plan is run: in one process, in several on this machine, or by a Flink cluster.",
        ),
        "job_endpoint": Param(
            "localhost:8099", type="string", description="Flink: address of Beam's job server, host:port."
        ),
        "beam_options": Param(
            [],
            type="array",
            items={"type": "string"},
            description="More Beam options, one a line, such as --direct_num_workers=8 or, on a cluster of more than "
            "this machine, --environment_type=EXTERNAL. They come last and so win over all others, --runner too.",
        ),
    }


class _WithoutGoogle(BeamDataflowMixin):
    """Takes the place of a class that refuses to be made without Google's provider, Dataflow or not."""

    def __init__(self) -> None:
        pass


class BeamProgramOperator(BeamRunPythonPipelineOperator, _WithoutGoogle):
    """Runs a Python module that is a Beam program in the TFX interpreter.

    As the provider's operator, except that the program has the environment of a TFX node (nothing of
    Airflow's, the bundle importable), that its last lines are in the error, and that it never outlives its task.
    `${TFX_AIRFLOW_HOME}` and `${BUNDLE_ROOT}` in its options are filled in on the machine that runs it.
    """

    template_fields: Sequence[str] = (
        *BeamRunPythonPipelineOperator.template_fields,
        "job_endpoint",
        "beam_options",
    )

    def __init__(
        self,
        *,
        module: str,
        runner: str = "in memory",
        job_endpoint: str = "localhost:8099",
        beam_options: str | Sequence[str] = (),
        **kwargs: Any,
    ):
        """Makes the task.

        Args:
            module: Run as `python -m module --runner=... --option=...`.
            runner: One of `RUNNERS` or the name of a Beam runner.
            job_endpoint: Address of a job server, for a PortableRunner.
            beam_options: More options, or a template of a JSON list of them.
            **kwargs: Of the provider's operator; `pipeline_options` are the program's own.
        """
        # A deferred job would run in the triggerer, with the triggerer's environment.
        super().__init__(py_file=module, runner=runner, **kwargs, deferrable=False)
        self.job_endpoint = job_endpoint
        self.beam_options = beam_options

    def execute(self, context: Context) -> None:
        """Runs the program.

        Raises:
            BeamError: It failed; its last lines are in the message.
            AirflowFailException: There is no usable interpreter, or the options are no list of texts.
        """
        more = self.beam_options
        if isinstance(more, str):
            with contextlib.suppress(ValueError):
                more = json.loads(more)
        if not isinstance(more, (list, tuple)) or not all(isinstance(option, str) for option in more):
            raise AirflowFailException(f"beam_options {self.beam_options!r} is not a list of texts.")
        self.runner, options = RUNNERS.get(self.runner, (self.runner, ()))
        if self.runner == "PortableRunner":
            options = (f"--job_endpoint={self.job_endpoint}", *options)
        self._options = [*options, *more]
        try:
            super().execute(context)
        except TfxAirflowError as error:
            if isinstance(error, BeamError):
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
            env={**child_environment(self._settings), "PYTHONWARNINGS": _QUIET},
            cwd=BUNDLE_ROOT,
            start_new_session=True,
        ) as self._process:
            reaper = threading.Thread(target=self._reap, daemon=True)
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

    def _reap(self) -> None:
        # A worker that is left behind would keep the pipe open.
        self._process.wait()
        self.kill()
