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

from tests.bundle import ROOT, STATE, TFX_PYTHON

_SCRIPT = ROOT / "include" / "bootstrap.sh"
# What the script calls; a machine that has no more.
COMMANDS = (
    "basename bash cat chmod dirname env ls mkdir printf rm sed sha256sum sh sort tail touch tr uname".split()
)
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
    folder.mkdir(parents=True)
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
    assert len(locks) == 12
    for lock in locks:
        entries = re.split(r"\n(?=[\w.-]+(?:\[[\w,-]+\])?==)", "\n" + lock.read_text())[1:]
        assert entries and all("--hash=sha256:" in entry for entry in entries), lock


def test_airflow_needs_no_c_headers(machine: Path) -> None:
    (machine / "uv").symlink_to(_uv())
    _have(machine, "tfx", "include/requirements-tfx.txt")
    _python_without_headers(machine, sys.executable)
    done = _run(machine)
    # There is no network, so it goes as far as to make the interpreter of that Python.
    assert "installing requirements.txt" in done.stderr and "fetching Python" not in done.stderr, done.stderr
    assert (machine.parent / "state" / "airflow" / "bin" / "python").exists()
    assert "no C++ compiler" not in done.stderr


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
    assert last.startswith(
        "setup: tfx needs Python >=3.10,<3.11 with its C headers; this machine has none, and"
    )
    assert "installing" not in done.stderr
    assert [path.name for path in (machine.parent / "state").iterdir()] == ["python.log"]


def test_a_machine_that_tfx_has_no_wheels_for_is_refused_by_its_name(machine: Path) -> None:
    (machine / "uname").unlink()
    (machine / "uname").write_text("#!/bin/sh\necho Linux aarch64\n")
    (machine / "uname").chmod(0o755)
    done = _run(machine)
    assert done.returncode == 1 and "x86-64 only (this is Linux aarch64)" in done.stderr
