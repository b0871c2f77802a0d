"""Named Beam runners: where Beam pipelines run, as the bundle's owner writes it in `include/beam_runners.py`.

A runner has Beam options and names an Airflow Connection. Addresses and secrets are in that Connection only, and become
a `BeamTarget` when a task runs. Standard library only; both interpreters use it.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from include.tfx_airflow.contract.errors import ConfigError

TABLE = "include.beam_runners"
# Beam's own runner of each kind; a job server is used by a runner of ours, which subclasses Beam's.
JOB_SERVER_RUNNER = "include.tfx_airflow.tfx_side.beam.job_server_runner.JobServerRunner"
BEAM_NAMES = {
    "in_memory": "DirectRunner",
    "processes": "DirectRunner",
    "flink": JOB_SERVER_RUNNER,
    "spark": JOB_SERVER_RUNNER,
    "dataflow": "DataflowRunner",
}
_SET = {
    "in_memory": ("--direct_running_mode=in_memory",),
    "processes": ("--direct_running_mode=multi_processing",),
    # The job server shows its jobs' options; asking pip for all installed packages takes seconds before each job.
    "flink": (
        "--execution_mode_for_batch=BATCH_FORCED",
        "--experiments=disable_logging_submission_environment",
    ),
    "spark": ("--experiments=disable_logging_submission_environment",),
    "dataflow": (),
}
_JOB_SERVERS = ("flink", "spark")
_WORKERS = ("pool", "task")
_CODE = ("staged", "installed")
# What the runner itself decides, or its Connection.
_PLACE = (
    "runner",
    "job_endpoint",
    "artifact_endpoint",
    "flink_master",
    "spark_master_url",
    "job_name",
    "environment_type",
    "environment_config",
    "environment_options",
    "environment_option",
)
_SECRET = re.compile(r"token|password|passwd|secret|credential|api_?key|private_?key")
_DIRECT = "direct_"
# Each of these adds to a list; any other option has one value.
_REPEATED = (
    "experiments",
    "experiment",
    "extra_package",
    "extra_packages",
    "label",
    "labels",
    "dataflow_service_option",
    "dataflow_service_options",
    "files_to_stage",
    "sdk_harness_log_level_overrides",
)


@dataclasses.dataclass(frozen=True)
class BeamRunner:
    """A runner by its name in the table.

    Attributes:
      kind: `in_memory` (threads of the task's process), `processes` (Beam's workers beside it), `flink`, `spark`
        (clusters, through Beam's job server) or `dataflow`.
      options: Beam's options, such as ("--parallelism=4",). They are shown in Flink's and Spark's pages, so
        addresses and secrets are refused.
      conn_id: Airflow Connection of the job server.
      workers: Where the Python code of a cluster's job runs: `pool`, in the worker pools beside the cluster's own
        workers (`python -m include.tfx_airflow beam-workers`); or `task`, in the task's process, which the cluster
        must be able to reach at localhost.
      code: `staged`, the bundle's code goes to the workers with the job; or `installed`, they have it.

    Raises:
      ConfigError: One of these is something else, or an option is not for this place.
    """

    kind: str
    options: Sequence[str] = ()
    conn_id: str = ""
    workers: str = "pool"
    code: str = "staged"

    def __post_init__(self) -> None:
        for field, allowed in (("kind", tuple(BEAM_NAMES)), ("workers", _WORKERS), ("code", _CODE)):
            if getattr(self, field) not in allowed:
                raise ConfigError(
                    f"BeamRunner.{field} is {getattr(self, field)!r}; it must be one of {list(allowed)}."
                )
        if isinstance(self.options, str) or not all(isinstance(option, str) for option in self.options):
            raise ConfigError(f"BeamRunner.options must be a list of Beam's options, not {self.options!r}.")
        object.__setattr__(self, "options", tuple(self.options))
        for name, _ in named(self.options):
            if name in _PLACE or _SECRET.search(name):
                raise ConfigError(
                    f"option --{name} of a Beam runner of kind {self.kind!r} is an address, a secret, or set by the runner "
                    "itself, and options are shown in logs and on the cluster's pages; addresses and secrets belong in "
                    "the Airflow Connection that conn_id names."
                )
        if self.uses_job_server and not self.conn_id:
            raise ConfigError(
                f"a Beam runner of kind {self.kind!r} needs a conn_id: the Airflow Connection of its job server."
            )
        if self.conn_id and not self.uses_job_server:
            raise ConfigError(
                f"a Beam runner of kind {self.kind!r} uses no job server, so it takes no conn_id ({self.conn_id!r})."
            )

    @property
    def uses_job_server(self) -> bool:
        """Whether its jobs go to Beam's job server."""
        return self.kind in _JOB_SERVERS

    @property
    def runs_elsewhere(self) -> bool:
        """Whether its jobs are run by a service, which goes on with them when the task is dead."""
        return self.uses_job_server or self.kind == "dataflow"

    def arguments(self) -> tuple[str, ...]:
        """Its Beam arguments, the owner's last; of a cluster, without those that its Connection decides."""
        return (f"--runner={BEAM_NAMES[self.kind]}", *_SET[self.kind], *self.options)


@dataclasses.dataclass(frozen=True)
class BeamTarget:
    """A runner with what its Connection says, for one task.

    Attributes:
      name: Its name in the table.
      runner: Fields of the `BeamRunner`.
      job_name: Beginning of the names of the task's jobs, the same for all tries of a task instance up to `-try`.
      job_endpoint: Job server, host:port.
      artifact_endpoint: Where it takes files, host:port; empty for where it says.
      token: Sent to the job server as bearer token; empty for none.
      tls: Whether the job server is reached by TLS.
      worker_pool: Worker pool as the cluster's own workers reach it, host:port.
      worker_pool_token: What that pool asks for.
      ui: Address of Flink's or Spark's pages and REST API; empty if unknown.
      home: [tfx_airflow] home, where the package of the bundle's code is kept.
    """

    name: str
    runner: Mapping[str, Any]
    job_name: str = ""
    job_endpoint: str = ""
    artifact_endpoint: str = ""
    token: str = dataclasses.field(default="", repr=False)
    tls: bool = False
    worker_pool: str = ""
    worker_pool_token: str = dataclasses.field(default="", repr=False)
    ui: str = ""
    home: str = ""

    @property
    def of(self) -> BeamRunner:
        """The runner."""
        return BeamRunner(**self.runner)


def table() -> dict[str, BeamRunner]:
    """The runners that there are, by name.

    Raises:
      ConfigError: The table cannot be imported, or holds something else.
    """
    try:
        found = importlib.import_module(TABLE).RUNNERS
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"the Beam runners in {TABLE.replace('.', '/')}.py cannot be read: {type(error).__name__}: {error}."
        ) from error
    wrong = [name for name, runner in found.items() if not isinstance(runner, BeamRunner)]
    if wrong:
        raise ConfigError(f"{wrong} in RUNNERS of {TABLE.replace('.', '/')}.py are not BeamRunners.")
    return dict(found)


def find(name: str, what: str) -> BeamRunner:
    """The runner of a name.

    Args:
      name: In the table.
      what: Who asks for it, for the error.

    Raises:
      ConfigError: There is none.
    """
    runners = table()
    if not isinstance(name, str) or name not in runners:
        raise ConfigError(
            f"{what} is {name!r}, which is not a Beam runner; {TABLE.replace('.', '/')}.py has {sorted(runners)}."
        )
    return runners[name]


def named(arguments: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields (name, value) of Beam arguments, written --name=value or --name value; a flag's value is ""."""
    name = ""
    for argument in arguments:
        if argument.startswith("--"):
            if name:
                yield name, ""
            name, sign, value = argument[2:].partition("=")
            if sign:
                yield name, value
                name = ""
        elif name:
            yield name, argument
            name = ""
    if name:
        yield name, ""


def contradictions(runner: BeamRunner, given: Iterable[str]) -> list[str]:
    """Beam arguments of a pipeline that want something else than a named runner.

    Args:
      runner: The runner.
      given: The pipeline's `beam_pipeline_args` for one node.

    Returns:
      Those of them that choose another runner or place, or give one of the runner's options another value. Options of
      Beam's direct runner say nothing about a cluster and are not among them.
    """
    own = dict(named(runner.arguments()))
    found = []
    for name, value in named(given):
        if name in _REPEATED or (name.startswith(_DIRECT) and own["runner"] != "DirectRunner"):
            continue
        if (name in own and own[name] != value) or (name in _PLACE and name not in own):
            found.append(f"--{name}={value}" if value else f"--{name}")
    return found


def joined(runner: BeamRunner, given: Iterable[str]) -> list[str]:
    """The Beam arguments of a node: the pipeline's that apply, then the runner's."""
    direct = runner.arguments()[0] == "--runner=DirectRunner"
    kept = [
        f"--{name}={value}" if value else f"--{name}"
        for name, value in named(given)
        if name != "runner" and (direct or not name.startswith(_DIRECT))
    ]
    return [*kept, *runner.arguments()]
