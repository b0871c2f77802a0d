"""tests/services/debian.sh: a program from the machine's package sources, unpacked with what it needs. Real apt and dpkg, with a
package source, packages and a machine of this test's own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import servers
from tests.bundle import ROOT

_SCRIPT = ROOT / "tests" / "services" / "debian.sh"
COMMANDS = (
    "apt-cache apt-get bash cat chmod dirname dpkg dpkg-deb env find grep gzip id ln ls mkdir mv paste printf rm sed sh sort tail "
    "tar touch tr uname"
).split()
# Stands as Chromium: like it, it does not start without a library that another package has.
_CHROMIUM = """#!/bin/sh
IFS=:
for folder in $LD_LIBRARY_PATH; do
  if [ -e "$folder/libmade.so.1" ] && [ -e "$folder/../x86_64-linux-gnu/private/libhidden.so" ]; then
    case "$LD_LIBRARY_PATH" in */private*) echo Chromium "$@"; exit 0 ;; esac
  fi
done
echo "error while loading shared libraries: libmade.so.1" >&2
exit 127
"""
_PACKAGES = {
    "chromium": ("libmade1", {"usr/lib/chromium/chromium": _CHROMIUM}),
    "fonts-dejavu-core": ("", {"usr/share/fonts/a.ttf": "", "etc/fonts/conf.avail/a.conf": ""}),
    # As Debian 12 has libdbus-1-3 and libpulse0: a library in /lib, and one in a folder of its own.
    "libmade1": (
        "",
        {
            "lib/x86_64-linux-gnu/libmade.so.1": "",
            "usr/lib/x86_64-linux-gnu/private/libhidden.so": "",
        },
    ),
    "libc6": ("", {"usr/lib/x86_64-linux-gnu/libc.so.6": "of another version"}),
}

pytestmark = pytest.mark.skipif(
    not shutil.which("dpkg-deb"), reason="this machine has no dpkg to make packages with"
)


def _source(folder: Path, names: list[str]) -> str:
    """Makes a package source with some of the packages; returns its line."""
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True
    ).stdout.strip()
    (folder / "dists").mkdir(parents=True)
    entries = []
    for name in names:
        needs, files = _PACKAGES[name]
        control = (
            f"Package: {name}\nVersion: 999:1\nArchitecture: {architecture}\nMaintainer: a\nDescription: a\n"
        )
        control += f"Depends: {needs}\n" if needs else ""
        root = folder / name
        for path, text in {**files, "DEBIAN/control": control}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
            (root / path).chmod(0o755)
        archive = folder / f"{name}.deb"
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", root, archive], check=True, capture_output=True
        )
        content = archive.read_bytes()
        entries.append(
            f"{control}Filename: ./{archive.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        )
    (folder / "Packages").write_text("\n".join(entries))
    return f"deb [trusted=yes] copy:{folder} ./\n"


def _run(machine: Path, source: str, program: str = "chromium") -> subprocess.CompletedProcess[str]:
    folder = machine.parent
    (folder / "sources.list").write_text(source)
    (folder / "status").touch()
    # No package is installed, and none can be: what would do it is not there.
    (folder / "apt.conf").write_text(
        f'Dir::Etc::SourceList "{folder}/sources.list"; Dir::Etc::SourceParts "/dev/null";\n'
        f'Dir::State::status "{folder}/status"; Dir::Bin::dpkg "/bin/false";\n'
    )
    return subprocess.run(
        [_SCRIPT, program, folder / "made"],
        env={"PATH": str(machine), "HOME": str(folder), "APT_CONFIG": str(folder / "apt.conf")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_program_is_unpacked_with_all_that_it_needs_and_starts(machine: Path, tmp_path: Path) -> None:
    source = _source(tmp_path / "source", ["chromium", "fonts-dejavu-core", "libmade1"])
    done = _run(machine, source)
    assert done.returncode == 0, done.stderr
    assert "fetching chromium from the package sources of this machine" in done.stderr  # said beforehand
    made = tmp_path / "made"
    started = subprocess.run(
        [made / "start", "--version"], env={"PATH": "/bin"}, capture_output=True, text=True
    )
    assert started.stdout == "Chromium --version\n", started.stderr
    assert f"<dir>{made}/usr/share/fonts</dir>" in (made / "fonts.conf").read_text()
    assert (made / "etc/fonts/conf.avail/a.conf").exists() and not (made / "apt").exists()
    # Again, it does nothing and says nothing.
    (tmp_path / "source" / "Packages").unlink()
    again = _run(machine, source)
    assert (again.returncode, again.stderr) == (0, "")


def test_what_was_unpacked_before_and_does_not_start_is_fetched_again(machine: Path, tmp_path: Path) -> None:
    source = _source(tmp_path / "source", ["chromium", "fonts-dejavu-core", "libmade1"])
    assert _run(machine, source).returncode == 0
    (tmp_path / "made/usr/lib/x86_64-linux-gnu/libmade.so.1").unlink()
    assert _run(machine, source).returncode == 0
    assert (tmp_path / "made/usr/lib/x86_64-linux-gnu/libmade.so.1").exists()


def test_another_c_library_than_the_machines_is_not_unpacked(machine: Path, tmp_path: Path) -> None:
    source = _source(tmp_path / "source", ["chromium", "fonts-dejavu-core", "libmade1", "libc6"])
    packages = tmp_path / "source" / "Packages"
    packages.write_text(
        packages.read_text().replace("Depends: libmade1", "Depends: libmade1, libc6 (>= 999:1)")
    )
    assert _run(machine, source).returncode == 0
    assert not (tmp_path / "made/usr/lib/x86_64-linux-gnu/libc.so.6").exists()


@pytest.mark.parametrize(
    ("packages", "reason"),
    [
        (["fonts-dejavu-core", "libmade1"], "the package sources of this machine have no chromium"),
        (["chromium", "fonts-dejavu-core"], "apt-get could not download chromium fonts-dejavu-core"),
    ],
)
def test_what_cannot_be_had_is_told_in_one_line_with_the_cure(
    machine: Path, tmp_path: Path, packages: list[str], reason: str
) -> None:
    done = _run(machine, _source(tmp_path / "source", packages))
    assert done.returncode == 3
    *_, last = done.stderr.splitlines()
    assert reason in last and "Tests that need it are skipped" in last and "apt-get install chromium" in last
    assert not (tmp_path / "made" / "start").exists() and not (tmp_path / "made" / "apt").exists()


def test_a_machine_without_apt_is_told_the_same(machine: Path) -> None:
    (machine / "apt-get").unlink()
    done = _run(machine, "", "mariadb")
    assert done.returncode == 3 and "no mariadb: this machine has no apt-get" in done.stderr


def test_a_machines_own_program_is_used_where_it_starts(machine: Path, tmp_path: Path) -> None:
    (machine / "chromium").write_text("#!/bin/sh\nexit 0\n")
    (machine / "chromium").chmod(0o755)
    done = _run(machine, "")
    assert (done.returncode, done.stderr) == (0, "")
    (machine / "chromium").write_text("#!/bin/sh\nexit 127\n")
    assert _run(machine, "").returncode == 3


def test_without_the_program_its_tests_are_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "STATE", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(pytest.skip.Exception, match=r"no MariaDB on this machine; include/bootstrap\.sh"):
        servers.MariaDb(tmp_path / "server")
