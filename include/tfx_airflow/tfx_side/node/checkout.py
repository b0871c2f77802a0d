"""The commit that a bundle is checked out at, and whether files are as that commit has them."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)

# Behind a commit: a file is not what the commit has, or git could not be asked.
CHANGES, UNCHECKED = "+changes", "+unchecked"
SECONDS = 2.0  # that git may take
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REFERENCE = re.compile(r"ref: (refs/[\w./@+-]+)")
_OBJECT = re.compile(r"([0-9a-f]{40,64}) (?:commit|tree|blob) (\d+)")
_LINK = re.compile(r"(symlink|dangling|loop|notdir) \d+")
# Nothing of the machine's configuration counts, no program is run, and nothing is fetched.
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}
_OPTIONS = ("--no-replace-objects", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")


@dataclasses.dataclass(frozen=True)
class _Object:
    id: str
    size: int


def bundle_version(bundle: Path, version: str, files: Mapping[str, Path | bytes]) -> str:
    """The commit of a bundle's checkout.

    Args:
      bundle: The bundle's root.
      version: As Airflow knows it, or "".
      files: Content, or path, of files by their name below the root.

    Returns:
      Airflow's version, else the commit that is checked out; `+changes` behind it when a file differs from
      that commit, `+unchecked` when that cannot be found out. "" when the bundle has no commit.
    """
    git = next((top / ".git" for top in (bundle, *bundle.parents) if (top / ".git").exists()), None)
    if git is None or version and not _COMMIT.fullmatch(version):
        return version
    place = bundle.relative_to(git.parent).as_posix()
    answers = _ask(git, version or "HEAD", "" if place == "." else f"{place}/", list(files))
    if answers is None:
        # What Airflow itself checked out is that commit.
        return version or _head(git)
    commit, folder, *blobs = answers
    if commit is None or folder is None:
        return version  # another checkout, in which the bundle happens to lie
    same = all(_is(files[name], blob) for name, blob in zip(files, blobs, strict=True))
    return commit.id if same else commit.id + CHANGES


def _ask(git: Path, version: str, place: str, names: list[str]) -> list[_Object | None] | None:
    """The commit, the bundle's folder in it, and the files below that; None when git cannot be asked.

    An object that the commit does not have is None.
    """
    asked = [
        f"{version}^{{commit}}",
        f"{version}:{place.rstrip('/')}",
        *(f"{version}:{place}{n}" for n in names),
    ]
    try:
        done = subprocess.run(
            ["git", *_OPTIONS, "cat-file", "--batch-check", "--follow-symlinks"],
            # A name of two lines would be two questions, and is in no commit that anybody meant.
            input=os.fsencode("".join(line.replace("\n", "?") + "\n" for line in asked)),
            capture_output=True,
            timeout=SECONDS,
            # With GIT_DIR git does not mind who owns the checkout: its code runs in this process anyhow.
            env={"PATH": os.environ.get("PATH", os.defpath), "GIT_DIR": str(git), **_ENVIRONMENT},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        log.info("git cannot read %s: %s", git, done.stderr.decode(errors="replace")[:500].strip())
        return None
    lines = iter(done.stdout.decode(errors="replace").split("\n")[:-1])
    found: list[_Object | None] = []
    for line in lines:
        known = _OBJECT.fullmatch(line)
        found.append(_Object(known[1], int(known[2])) if known else None)
        if _LINK.fullmatch(line):
            next(lines)  # where the link leads
    return found if len(found) == len(asked) else None


def _is(file: Path | bytes, blob: _Object | None) -> bool:
    """Whether a file is what git has."""
    if blob is None:
        return False
    digest = hashlib.sha1() if len(blob.id) == 40 else hashlib.sha256()
    digest.update(b"blob %d\0" % blob.size)
    if isinstance(file, bytes):
        digest.update(file)
        return digest.hexdigest() == blob.id
    if file.stat().st_size != blob.size:
        return False
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == blob.id


def _head(git: Path) -> str:
    """The commit that is checked out, from git's own files, `+unchecked`; "" when they do not tell."""
    try:
        if git.is_file():  # of a worktree or submodule
            git = git.parent / git.read_text(encoding="utf-8").partition("gitdir: ")[2].strip()
        common = git / "commondir"
        shared = git / common.read_text(encoding="utf-8").strip() if common.exists() else git
        text = (git / "HEAD").read_text(encoding="utf-8").strip()
        if named := _REFERENCE.fullmatch(text):
            text = _of_reference(shared, named[1])
    except (OSError, UnicodeError):
        return ""
    return text + UNCHECKED if _COMMIT.fullmatch(text) else ""


def _of_reference(git: Path, name: str) -> str:
    if (git / name).is_file():
        return (git / name).read_text(encoding="utf-8").strip()
    for line in (git / "packed-refs").read_text(encoding="utf-8").splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            return commit
    return ""
