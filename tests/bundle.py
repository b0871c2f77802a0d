"""An Airflow of its own for tests: writes DAG files, runs commands, reads the two databases by SQL."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.warm_airflow import WarmAirflow, is_read_later

ROOT = Path(__file__).resolve().parents[1]
STATE = Path(os.environ.get("TFX_STATE", ROOT / ".state"))
TFX_PYTHON = str(STATE / "tfx" / "bin" / "python")
# Folder of the TFX interpreter's packages, and which TFX that is: "1.21" or "1.16".
TFX_PACKAGES = next(STATE.glob("tfx/lib/python3.*/site-packages"), STATE)
LANE = next((path.name[4:8] for path in TFX_PACKAGES.glob("tfx-1.*.dist-info")), "")
# Of MLMD: states of an execution, an artifact that is live, an event of an output.
STATES = {0: "UNKNOWN", 1: "NEW", 2: "RUNNING", 3: "COMPLETE", 4: "FAILED", 5: "CACHED", 6: "CANCELED"}
LIVE, OUTPUT = 2, 4
_BUNDLES = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"

# Leaves the processors to the tests. The bundle's scheduler looks for work four times a second, which takes a seventh of a
# processor; DAG files are written before the DAG processor starts, so that it need not parse them again; and more tasks at
# once only wait for one another, for a processor or for SQLite.
_SPARING = {
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
}
# By the folder of a bundle, the process its commands are forked from; threads that need it at once start only one.
_WARM: dict[Path, WarmAirflow] = {}
_STARTING = threading.Lock()

_DAG_FILE = """
from datetime import datetime, timedelta
from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig, NodeConfig
dag = AirflowDagRunner(
    AirflowPipelineConfig(
        airflow_dag_config=dict(dag_id={dag_id!r}, start_date=datetime(2014, 1, 1), schedule=None),
        {config}
    )
).run({reference!r}, **{arguments!r})
"""


def dag_file(dag_id: str, reference: str, config: str = "", **arguments: Any) -> str:
    """Text of a DAG file with one pipeline, and more arguments of its AirflowPipelineConfig."""
    return _DAG_FILE.format(dag_id=dag_id, reference=reference, config=config, arguments=arguments)


def environment(folder: Path) -> dict[str, str]:
    """The environment of `make env`, with Airflow's home and DAG files in a folder of their own."""
    lines = subprocess.run([ROOT / "include/env.sh"], capture_output=True, text=True, check=True).stdout
    found = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW"))}
    for line in lines.splitlines():
        name, value = line.removeprefix("export ").split("=", 1)
        found[name] = value.strip('"').replace("$PATH", found.get("PATH", os.defpath))
    found["AIRFLOW_HOME"] = str(folder / "home")
    found["AIRFLOW__CORE__DAGS_FOLDER"] = str(folder / "dags")
    found["PYTHONPATH"] = str(ROOT)
    return found


@dataclasses.dataclass(frozen=True)
class Execution:
    """A row of MLMD: an execution with its node and, of its outputs, (type, state is LIVE, uri)."""

    id: int
    node: str
    state: str
    outputs: tuple[tuple[str, bool, str], ...]

    def uri(self, key: str) -> str:
        """URI of the output of that key; MLMD keeps no order among the keys."""
        [found] = [uri for _, _, uri in self.outputs if f"/{self.node}/{key}/" in uri]
        return found


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A folder with an Airflow home and DAG files, and the environment that makes them Airflow's.

    Attributes:
      folder: The folder.
      environment: The environment.
      sparing: `airflow`, `python` and `dags_test` fork a process that has imported Airflow; a benchmark must not.
    """

    folder: Path
    environment: dict[str, str]
    sparing: bool = False

    @property
    def home(self) -> Path:
        """AIRFLOW_HOME."""
        return self.folder / "home"

    @property
    def mlmd(self) -> Path:
        """The embedded MLMD store."""
        return self.home / "tfx" / "mlmd" / "metadata.db"

    def run(
        self, *command: str, timeout: float = 900, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command; output and errors in `stdout`."""
        return subprocess.run(
            command,
            env={**self.environment, **environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
        )

    def airflow(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs an `airflow` command; output and errors in `stdout`."""
        return self._run_warm(*arguments, **environment)

    def _run_warm(
        self, *airflow: str, python: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs an `airflow` command or Python code, where it may in a fork of a process that has imported Airflow."""
        everything = {**self.environment, **environment}
        with _STARTING:
            if self.sparing and self.folder not in _WARM and is_read_later(environment):
                _WARM[self.folder] = WarmAirflow(self.environment, self.folder)
        warm = _WARM.get(self.folder)
        if warm is None or not warm.fits(everything):
            return self.run(*(("python", "-c", python) if python else ("airflow", *airflow)), **environment)
        request = {"python": python} if python else {"airflow": airflow}
        return warm.run(everything, ROOT, 900, **request)

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs `python -m include.tfx_airflow` with arguments; output and errors in `stdout`."""
        module = "include.tfx_airflow"
        code = f"import runpy, sys; sys.argv[1:] = {arguments!r}; runpy.run_module({module!r}, run_name='__main__')"
        return self._run_warm(python=code, **environment)

    def python(self, code: str, **environment: str) -> str:
        """Runs Python code in a process of its own of the Airflow interpreter; returns what it printed."""
        done = self._run_warm(python=code, **environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def write_dag(self, dag_id: str, reference: str, config: str = "", **arguments: Any) -> Path:
        """Writes a DAG file with one pipeline."""
        path = self.folder / "dags" / f"{dag_id}.py"
        path.write_text(dag_file(dag_id, reference, config, **arguments))
        return path

    def dags_test(self, dag_id: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`airflow dags test`, parsing this DAG's file only."""
        folder = self._only(dag_id)
        return self._run_warm(
            "dags", "test", dag_id, *arguments, AIRFLOW__CORE__DAGS_FOLDER=folder, **environment
        )

    def start_dags_test(
        self, dag_id: str, *arguments: str, log: Path = Path(os.devnull)
    ) -> subprocess.Popen[bytes]:
        """Starts `airflow dags test` and does not wait; output and errors go to the log."""
        with open(log, "wb") as output:
            return subprocess.Popen(
                ["airflow", "dags", "test", dag_id, *arguments],
                env={**self.environment, "AIRFLOW__CORE__DAGS_FOLDER": self._only(dag_id)},
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )

    def _only(self, dag_id: str) -> str:
        dags = self.folder / "only" / dag_id
        dags.mkdir(parents=True, exist_ok=True)
        (dags / f"{dag_id}.py").write_text((self.folder / "dags" / f"{dag_id}.py").read_text())
        return str(dags)

    @contextlib.contextmanager
    def dag_bundles(self, refresh_seconds: int = 300, **folders: Path) -> Iterator[None]:
        """Makes Airflow's DAG bundles those folders, by name, as long as the block takes; how often it looks for new files."""
        local = "airflow.dag_processing.bundles.local.LocalDagBundle"
        bundles = [
            {
                "name": name,
                "classpath": local,
                "kwargs": {"path": str(path), "refresh_interval": refresh_seconds},
            }
            for name, path in folders.items()
        ]
        self.environment[_BUNDLES] = json.dumps(bundles)
        yield
        del self.environment[_BUNDLES]

    def files_with(self, text: str) -> list[Path]:
        """The files of its home that hold a text, with those of `compiled`, which may be a link."""
        read, found = 0, []
        for folder, _, names in os.walk(self.home, followlinks=True):
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(FileNotFoundError):  # gone: another home writes into `compiled`, too
                    if path.is_file():
                        found += [path] if text.encode() in path.read_bytes() else []
                        read += 1
        assert read
        return found

    def import_error(self, text: str, **environment: str) -> str:
        """What Airflow shows for a DAG file that cannot be imported."""
        folder = self.folder / "broken"
        folder.mkdir(exist_ok=True)
        (folder / "broken.py").write_text(text)
        code = (
            "import json, sys\n"
            "from pathlib import Path\n"
            "from airflow.dag_processing.dagbag import DagBag\n"
            f"bag = DagBag(dag_folder={str(folder)!r}, bundle_path=Path({str(folder)!r}))\n"
            "print('RESULT' + json.dumps(list(bag.import_errors.values())))\n"
        )
        output = self.python(code, **environment)
        errors = json.loads(output.rpartition("RESULT")[2])
        return errors[0] if errors else ""

    def executions(self, dag_id: str, run_id: str = "%") -> list[Execution]:
        """The executions of a DAG's runs, oldest first."""
        with self._connect(self.mlmd) as rows:
            found = rows(
                "select distinct e.id, n.name, e.last_known_state from Execution e"
                " join Association a on a.execution_id = e.id join Context r on r.id = a.context_id"
                " join Type rt on rt.id = r.type_id and rt.name = 'pipeline_run'"
                " join Association b on b.execution_id = e.id join Context n on n.id = b.context_id"
                " join Type nt on nt.id = n.type_id and nt.name = 'node'"
                " where r.name like ? order by e.id",
                f"{dag_id}:{run_id}",
            )
            return [
                Execution(
                    id_,
                    node.split(".", 1)[1],
                    STATES[state],
                    tuple(
                        (type_, live == LIVE, uri)
                        for type_, live, uri in rows(
                            "select t.name, a.state, a.uri from Event e join Artifact a on a.id = e.artifact_id"
                            " join Type t on t.id = a.type_id where e.execution_id = ? and e.type = ?"
                            " order by a.id",
                            id_,
                            OUTPUT,
                        )
                    ),
                )
                for id_, node, state in found
            ]

    def properties(self, execution_id: int) -> dict[str, Any]:
        """Properties of an execution."""
        with self._connect(self.mlmd) as rows:
            return {
                name: next((v for v in values if v is not None), None)
                for name, *values in rows(
                    "select name, int_value, double_value, string_value from ExecutionProperty"
                    " where execution_id = ?",
                    execution_id,
                )
            }

    def airflow_rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Rows of Airflow's own database, where that is SQLite."""
        with self._connect(self.home / "airflow.db") as rows:
            return rows(query, *arguments)

    @contextlib.contextmanager
    def _connect(self, path: Path) -> Iterator[Any]:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            yield lambda query, *arguments: connection.execute(query, arguments).fetchall()


@dataclasses.dataclass(frozen=True)
class Demo:
    """What `make demo`'s command leaves behind: its Airflow, the run of the taxi pipeline, and what it printed."""

    bundle: Bundle
    run_id: str
    said: str


def run_demo(bundle: Bundle) -> str:
    """Runs that command, on the bundle's own DAG files; returns what it printed."""
    command = ("python", "-m", "include.tfx_airflow", "demo", "taxi")
    done = bundle.run(*command, AIRFLOW__CORE__DAGS_FOLDER=str(ROOT))
    print(done.stdout)
    assert done.returncode == 0
    return done.stdout


def migrate(bundle: Bundle) -> None:
    """Makes the tables of Airflow's own database."""
    done = bundle.run("airflow", "db", "migrate")
    assert done.returncode == 0, done.stdout


def _copy_migrated(bundle: Bundle) -> None:
    """As `migrate`, for SQLite: takes eight seconds once for each lock of Airflow, and none later."""
    locked = (STATE / "airflow" / "locked").read_bytes()
    kept = STATE / "test-airflow" / f"{hashlib.sha256(locked).hexdigest()[:16]}.db"
    database = bundle.home / "airflow.db"
    if not kept.exists():
        migrate(bundle)
        kept.parent.mkdir(exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")  # others may make it at the same time
        shutil.copy(database, new)
        new.rename(kept)
        return
    bundle.home.mkdir()
    shutil.copy(kept, database)


def share_compiled(home: Path) -> None:
    """Lets a [tfx_airflow] home have its compiled pipelines in the folder that COMPILED names, which all tests share.

    A pipeline is found there by its content, wherever it was compiled.
    """
    if shared := os.environ.get("COMPILED"):
        home.mkdir(parents=True, exist_ok=True)
        (home / "compiled").symlink_to(shared)


@contextlib.contextmanager
def made(folder: Path, database: str = "", sparing: bool = True) -> Iterator[Bundle]:
    """A migrated Airflow with an empty DAG folder, as `make env` sets it up but in a folder of its own.

    Args:
      folder: Holds its home and DAG files.
      database: SQLAlchemy address of Airflow's own database; SQLite in its home when empty.
      sparing: See `Bundle`; not where time is measured.
    """
    (folder / "dags").mkdir()
    own = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database} if database else {}
    bundle = Bundle(folder, {**environment(folder), **(_SPARING if sparing else {}), **own}, sparing)
    if database or not sparing:
        migrate(bundle)
    else:
        _copy_migrated(bundle)
    if sparing:
        share_compiled(bundle.home / "tfx")
    yield bundle
    if folder in _WARM:
        bundle.command("serve", "--stop")
        _WARM.pop(folder).stop()
    else:
        bundle.run("python", "-m", "include.tfx_airflow", "serve", "--stop")
