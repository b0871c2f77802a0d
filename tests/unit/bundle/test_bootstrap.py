"""include/bootstrap.sh: what it takes from a package index, and which Python it wants for what."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.bundle import LANE, ROOT, STATE, TFX_PYTHON

_SCRIPT = ROOT / "include" / "bootstrap.sh"
# What the script calls; a machine that has no more.
COMMANDS = "basename bash cat chmod dirname env getconf ls mkdir printf rm sed sha256sum sh sort tail touch tr uname".split()
_LOCKS = {"1.16": "include/requirements-tfx-1.16.txt", "1.21": "include/requirements-tfx.txt"}
_PYTHONS = {"1.16": ">=3.10,<3.11 with its C headers", "1.21": ">=3.11,<3.14"}
_VERSIONS = {"uv": "0.13.9", "ziglang": "0.13.0"}


def _run(machine: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs it with a state of its own and no network."""
    home = machine.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "PATH": str(machine),
        "HOME": str(home),
        "PYENV_ROOT": str(home),
        "TFX_STATE": str(machine.parent / "state"),
        "UV_OFFLINE": "1",
        "UV_PYTHON_PREFERENCE": "only-system",
        **variables,
    }
    return subprocess.run(
        [_SCRIPT], env=environment, cwd=home, capture_output=True, text=True, timeout=300, check=False
    )


def _uv() -> str:
    found = shutil.which("uv") or next(
        (str(p) for p in [STATE / "uv" / "bin" / "uv", STATE / "uv" / "uv"] if p.exists()), ""
    )
    assert found, "make setup has an uv"
    return found


def _base(python: str) -> Path:
    """The executable that a virtual environment is made of."""
    command = "import os, sys; print(os.path.realpath(sys.executable))"
    return Path(
        subprocess.run([python, "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    )


def _python_without_headers(machine: Path, python: str) -> None:
    """Puts a Python there as Debian's python3 package has it: all but the include folder, which is in python3-dev."""
    base = _base(python)
    prefix = machine.parent / "python"
    (prefix / "bin").mkdir(parents=True)
    shutil.copy(base, prefix / "bin" / base.name)
    (prefix / "lib").symlink_to(base.parents[1] / "lib")
    command = "import sysconfig; print(sysconfig.get_path('include'))"
    made = prefix / "bin" / base.name
    done = subprocess.run([made, "-c", command], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()
    (machine / base.name).symlink_to(made)


def _have(machine: Path, name: str, lock: str) -> None:
    """As if an interpreter had been made of a lock already."""
    folder = machine.parent / "state" / name
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()
    (folder / "locked").write_text(f"{digest}  -\n")


def _other_wheel(folder: Path, name: str) -> None:
    """A wheel of the wanted name and version, which is not the one that the lock knows."""
    folder.mkdir()
    version = _VERSIONS[name]
    files = {
        f"{name}/__init__.py": "",
        f"{name}-{version}.data/scripts/uv": "#!/bin/sh\n",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},\n"
        for file, text in files.items()
    )
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for file, text in {**files, f"{name}-{version}.dist-info/RECORD": record}.items():
            wheel.writestr(file, text)


def test_another_uv_than_the_locked_one_is_refused(machine: Path, tmp_path: Path) -> None:
    python = _base(sys.executable)
    if subprocess.run([python, "-c", "import ensurepip"], check=False).returncode:
        pytest.skip(
            f"{python} has no ensurepip, so that only a machine's own uv helps (Debian: python3-venv)"
        )
    (machine / "python3").symlink_to(python)
    _other_wheel(tmp_path / "index", "uv")
    done = _run(machine, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path / "index"))
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "could not install" in done.stderr and "include/requirements-uv.txt" in done.stderr
    assert not (tmp_path / "state" / "uv" / "bin" / "uv").exists()


@pytest.mark.lane("1.16", reason="the only one that has something to compile")
def test_another_compiler_than_the_locked_one_is_refused(machine: Path, tmp_path: Path) -> None:
    (machine / "uv").symlink_to(_uv())
    (machine / "python3.10").symlink_to(_base(TFX_PYTHON))
    _other_wheel(tmp_path / "index", "ziglang")
    done = _run(machine, UV_NO_INDEX="1", UV_FIND_LINKS=str(tmp_path / "index"))
    assert done.returncode == 1
    assert "no C++ compiler here" in done.stderr and re.search("[Hh]ash", done.stderr), done.stderr
    assert "include/requirements-compiler.txt" in done.stderr
    assert not (tmp_path / "state" / "compiler" / "use").exists()


def test_every_package_of_every_lock_has_a_hash() -> None:
    locks = sorted(path for path in ROOT.rglob("requirements*.txt") if ".state" not in path.parts)
    assert len(locks) == 20
    for lock in locks:
        entries = re.split(r"\n(?=[\w.-]+(?:\[[\w,-]+\])?==)", "\n" + lock.read_text())[1:]
        assert entries and all("--hash=sha256:" in entry for entry in entries), lock


def test_airflow_needs_no_c_headers(machine: Path) -> None:
    (machine / "uv").symlink_to(_uv())
    _have(machine, "tfx", _LOCKS[LANE])
    _python_without_headers(machine, sys.executable)
    done = _run(machine)
    # There is no network, so it goes as far as to make the interpreter of that Python.
    assert "installing requirements.txt" in done.stderr and "fetching Python" not in done.stderr, done.stderr
    assert (machine.parent / "state" / "airflow" / "bin" / "python").exists()
    assert "no C++ compiler" not in done.stderr


@pytest.mark.lane("1.16", reason="the only one that has something to compile")
def test_tfx_says_which_python_it_wants_with_what_and_what_is_there(machine: Path) -> None:
    (machine / "uv").symlink_to(_uv())
    _python_without_headers(machine, TFX_PYTHON)
    done = _run(machine)
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last.startswith("setup: tfx needs Python >=3.10,<3.11 with its C headers; this machine has none")
    assert re.search(rf"\({re.escape(str(machine.parent))}/\S+/python3\.10 is without\)", last)
    assert "uv could not fetch one, for the reason above" in last and "UV_PYTHON_INSTALL_MIRROR" in last
    assert "error: " in done.stderr.partition("fetching Python")[2].removesuffix(last)


def test_a_machine_without_that_python_hears_it_before_anything_is_installed(machine: Path) -> None:
    (machine / "uv").symlink_to(_uv())
    done = _run(machine)
    *_, last = done.stderr.splitlines()
    assert last.startswith(f"setup: tfx needs Python {_PYTHONS[LANE]}; this machine has none, and")
    assert "installing" not in done.stderr
    assert [path.name for path in (machine.parent / "state").iterdir()] == ["python.log"]


def test_a_machine_that_tfx_has_no_wheels_for_is_refused_by_its_name(machine: Path) -> None:
    (machine / "uname").unlink()
    (machine / "uname").write_text("#!/bin/sh\necho Linux aarch64\n")
    (machine / "uname").chmod(0o755)
    done = _run(machine)
    assert done.returncode == 1 and "x86-64 only (this is Linux aarch64)" in done.stderr


def test_an_object_store_without_drivers_is_refused_before_anything_is_installed(machine: Path) -> None:
    (machine / "uv").symlink_to(_uv())
    for wanted in ("hdfs", "s3,gs"):
        done = _run(machine, EXTRAS=wanted)
        assert done.returncode == 1 and f"EXTRAS={wanted}: there are s3 and gs" in done.stderr, done.stderr
    assert [path.name for path in (machine.parent / "state").iterdir()] == []


def test_an_object_store_is_remembered_until_it_is_forgotten(machine: Path) -> None:
    (machine / "uv").symlink_to(_uv())
    state = machine.parent / "state"
    for wanted, remembered in (("s3", "s3"), ("", "s3"), ("gs", "gs"), ("none", "")):
        _have(machine, "tfx", _LOCKS[LANE])
        _have(machine, "airflow", "requirements.txt")
        _run(machine, EXTRAS=wanted)  # it goes as far as to need the network
        assert (state / "extras").read_text().strip() == remembered
        # What an earlier choice has brought goes, with everything else.
        assert (state / "tfx/locked").exists() == (wanted in ("s3", ""))


def _with_glibc(machine: Path, said: str) -> None:
    """A machine with that C library, an uv, and all of both interpreters."""
    (machine / "uv").symlink_to(_uv())
    (machine / "getconf").unlink()
    (machine / "getconf").write_text(f"#!/bin/sh\n{said}\n")
    (machine / "getconf").chmod(0o755)
    _have(machine, "airflow", "requirements.txt")


@pytest.mark.parametrize(
    ("glibc", "asked", "lane", "why"),
    [
        ("2.36", {}, "1.16", "this machine has glibc 2.36, and TFX 1.21 needs 2.39"),
        ("2.9", {}, "1.16", "this machine has glibc 2.9, and TFX 1.21 needs 2.39"),
        ("2.39", {}, "1.21", "this machine has glibc 2.39, which is new enough for it"),
        ("2.41", {"TFX": "1.16"}, "1.16", "as TFX=1.16 asked for; TFX=auto takes 1.21 here"),
        (
            "2.41",
            {"TFX": "auto"},
            "1.21",
            "this machine has glibc 2.41, which is new enough for it",
        ),
    ],
)
def test_setup_says_which_tfx_it_takes_and_why(
    machine: Path, glibc: str, asked: dict[str, str], lane: str, why: str
) -> None:
    _with_glibc(machine, f"echo glibc {glibc}")
    done = _run(machine, **asked)
    assert f"TFX {lane}: {why}\n" in done.stderr, done.stderr
    _have(machine, "tfx", _LOCKS[lane])
    again = _run(machine)  # what was asked for is remembered
    assert again.returncode == 0 and again.stderr == "", again.stderr


def test_a_tfx_that_was_asked_for_is_remembered_until_auto(machine: Path) -> None:
    _with_glibc(machine, "echo glibc 2.41")
    _have(machine, "tfx", _LOCKS["1.16"])
    assert _run(machine, TFX="1.16").returncode == 0
    assert (machine.parent / "state" / "lane").read_text() == "1.16\n"
    assert "TFX 1.21: this machine has glibc 2.41" in _run(machine, TFX="auto").stderr
    assert not (machine.parent / "state" / "lane").exists()


@pytest.mark.parametrize(
    ("getconf", "asked", "said"),
    [
        (
            "echo glibc 2.36",
            "1.21",
            "TFX=1.21 cannot be had: this machine has glibc 2.36, and TFX 1.21 needs 2.39; use",
        ),
        ("echo glibc 2.41", "1.17", "TFX=1.17: there are 1.21, 1.16, and auto for the newest"),
        ("exit 1", "", "this machine's C library is not glibc"),
    ],
)
def test_a_tfx_that_cannot_be_had_is_refused_before_anything_is_installed(
    machine: Path, getconf: str, asked: str, said: str
) -> None:
    _with_glibc(machine, getconf)
    done = _run(machine, TFX=asked)
    assert done.returncode == 1 and done.stderr.startswith(f"setup: {said}"), done.stderr
    assert not (machine.parent / "state" / "tfx").exists()
    assert not (machine.parent / "state" / "lane").exists()
