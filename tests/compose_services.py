"""The services of a compose file by hand: each one's own command, environment and health check, without an engine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests import compose
from tests.bundle import ROOT, STATE
from tests.servers import Postgresql


class Services:
    """Docker Compose, as far as this file needs it: no images, no networks, no namespaces."""

    def __init__(
        self,
        folder: Path,
        file: dict[str, Any],
        variables: dict[str, str],
        postgres_port: int,
        address: str = "127.0.0.1",
        more_places: dict[str, str] | None = None,
    ):
        """Makes the folders that stand for the image's and the volumes'.

        Args:
          folder: For all of it.
          file: What Compose reads: `compose.read()`.
          variables: Those of `.env`.
          postgres_port: Where PostgreSQL listens.
          address: Of this machine, where the services find each other.
          more_places: Texts of the file, and what stands there instead.
        """
        self.folder = folder
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._user = folder / "user"
        self._user.mkdir()
        places = {
            "/opt/airflow": str(folder / "airflow"),
            "/opt/bundle": str(folder / "bundle"),
            "/opt/state/airflow": str(STATE / "panel"),  # which has all that the image's Airflow has
            "/opt/state": str(STATE),
            "@postgres:5432": f"@{address}:{postgres_port}",
            "//api-server:": f"//{address}:",
            "8080": str(self.port),
            "8974": str(free_port()),
            **(more_places or {}),
        }

        def here(text: str) -> str:
            for place, replacement in places.items():
                text = text.replace(place, replacement)
            return text

        # Places first: a secret may hold any text.
        placed = compose.walk(file, here)
        self.file = compose.walk(placed, lambda text: compose.fill_in(text, variables))
        self.services: dict[str, Any] = self.file["services"]

    def build(self, **dags: str) -> None:
        """Copies what .dockerignore lets into the image, with these DAG files, by name, instead of the bundle's own."""
        bundle = self.folder / "bundle"
        bundle.mkdir()
        for line in (ROOT / ".dockerignore").read_text().splitlines():
            source = ROOT / line.removeprefix("!")
            if line.startswith("!") and source.is_dir():
                shutil.copytree(source, bundle / source.name, ignore=shutil.ignore_patterns("__pycache__"))
            elif line.startswith("!") and source.exists():
                shutil.copy(source, bundle)
        shutil.rmtree(bundle / "dags")
        (bundle / "dags").mkdir()
        for name, text in dags.items():
            (bundle / "dags" / f"{name}.py").write_text(text)
        shutil.copytree(ROOT / "tests" / "pipelines", bundle / "tests" / "pipelines")
        (bundle / "tests" / "__init__.py").touch()
        for volume in self.services["init"]["volumes"]:
            Path(volume.split(":")[1]).mkdir(parents=True)

    def environment(self, name: str) -> dict[str, str]:
        """A container inherits nothing."""
        return {**self.services[name]["environment"], "HOME": str(self._user)}

    def start(
        self,
        name: str,
        instance: str = "",
        prefix: Sequence[str] = (),
        more: Sequence[str] = (),
        **environment: str,
    ) -> None:
        """Starts a service in a session of its own.

        Args:
          name: Of the service.
          instance: Name of the process, where there are several of one service.
          prefix: What starts the command.
          more: Arguments behind it.
          **environment: Variables that differ from the service's.
        """
        service = self.services[name]
        with open(self.folder / f"{instance or name}.log", "ab") as log:
            self.processes[instance or name] = subprocess.Popen(
                [*prefix, *service["command"], *more],
                env={**self.environment(name), **environment},
                cwd=service["working_dir"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_completed(self, name: str) -> None:
        """Waits until a service has ended well."""
        assert self.processes[name].wait(180) == 0, self.log(name)

    def wait_until_healthy(self, name: str) -> None:
        """Waits until a service's own health check succeeds, in its own environment."""
        check = self.services[name]["healthcheck"]
        deadline = time.monotonic() + _seconds(check["start_period"])
        while (said := self._check(name)) is not None:
            assert self.processes[name].poll() is None, self.log(name)
            assert time.monotonic() < deadline, f"{name}: {said}\n{self.log(name)}"
            time.sleep(0.5)

    def _check(self, name: str) -> str | None:
        check = self.services[name]["healthcheck"]
        try:
            subprocess.run(
                check["test"][1:],
                env=self.environment(name),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_seconds(check["timeout"]),
                text=True,
                check=True,
            )
        except subprocess.SubprocessError as error:
            return f"{error}\n{error.output}"
        return None

    def stop(self, names: list[str]) -> None:
        """SIGTERM to their main processes, as `docker compose stop`; each must end in the time that it has.

        Airflow 3.3.2's scheduler sometimes does not: its LocalExecutor tells each worker that is still alive to end, and
        those that end meanwhile leave one untold. Docker kills it then, and nothing may be lost by that.
        """
        for name in names:
            self.processes[name].terminate()
        for name in names:
            try:
                self.processes[name].wait(_seconds(self.services[name]["stop_grace_period"]))
            except subprocess.TimeoutExpired:
                at_work = set(self._titles(name)) - {"airflow worker -- LocalExecutor: <idle>"}
                assert name == "scheduler", (name, at_work)
                assert at_work <= {_title(self.processes[name].pid), "airflow serve-logs"}, at_work
                os.killpg(self.processes[name].pid, signal.SIGKILL)
                self.processes[name].wait()

    def _titles(self, name: str) -> list[str]:
        """What the processes of a service's session call themselves; those that have ended have no name."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and os.getsid(int(entry.name)) == self.processes[name].pid:
                    found.append(_title(int(entry.name)))
        return [title for title in found if title]

    def log(self, name: str) -> str:
        """The end of what a service has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def left(self) -> dict[int, str]:
        """Command lines of processes that work in the image's folder, or know it; a title may have replaced both."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and int(entry.name) != os.getpid():
                    known = (entry / "environ").read_bytes() + os.readlink(entry / "cwd").encode()
                    if str(self.folder / "bundle").encode() in known:
                        found[int(entry.name)] = _title(int(entry.name))
        return found


@contextlib.contextmanager
def database(
    folder: Path, variables: dict[str, str], addresses: tuple[str, ...] = ()
) -> Iterator[Postgresql]:
    """A PostgreSQL whose superuser has POSTGRES_PASSWORD, as the image makes it, without the databases."""
    made = type(
        "Made",
        (Postgresql,),
        {"addresses": addresses, "password": variables["POSTGRES_PASSWORD"], "database": "empty"},
    )
    server = made(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def make_databases(services: Services, server: Postgresql) -> None:
    """What the image of PostgreSQL does with the file's SQL, and the health check."""
    service = services.services["postgres"]
    version = subprocess.run([_program("postgres"), "--version"], capture_output=True, text=True).stdout
    assert version.split()[-1] in service["image"]
    environment = {
        **service["environment"],
        "PATH": os.path.dirname(_program("psql")),
        "PGPORT": str(server.port),
    }
    psql = ["psql", "--host=127.0.0.1", "--username=postgres", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
    subprocess.run(
        psql,
        input=services.file["configs"]["databases"]["content"],
        env={**environment, "PGPASSWORD": environment["POSTGRES_PASSWORD"]},
        text=True,
        check=True,
    )
    subprocess.run(service["healthcheck"]["test"][1:], env=environment, check=True)
    server.user, server.database, server.password = "mlmd", "mlmd", environment["MLMD_DB_PASSWORD"]
    # Each has its own database only.
    environment["PGPASSWORD"] = environment["MLMD_DB_PASSWORD"]
    refused = subprocess.run(
        ["psql", "--host=127.0.0.1", "--username=mlmd", "airflow"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "permission denied for database" in refused.stderr


def _title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()


def _program(name: str) -> str:
    *_, found = sorted((STATE / "services").glob(f"lib/python3*/site-packages/*/pginstall*/bin/{name}"))
    return str(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def secrets(folder: Path, *files: Path) -> dict[str, str]:
    """Made by the commands at the top of the files, docker-compose.yaml first, in `folder/.env`."""
    for file in (compose.FILE, *files):
        [command] = [line[1:] for line in file.read_text().splitlines() if "/dev/urandom" in line]
        subprocess.run(["bash", "-ec", command], cwd=folder, check=True)
    return dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())
