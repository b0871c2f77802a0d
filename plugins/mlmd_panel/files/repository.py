"""Reads the code of two commits from the git repository that the bundle is checked out from.

Which repository that is, administrators say; what is asked of it comes from a store, and is treated as hostile:
commits have to be hexadecimal, and names relative. Only git's own reading of objects runs: no hook, no filter,
no program that the repository's configuration names, and nothing is fetched.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from mlmd_panel.errors import PanelError, SettingsError

log = logging.getLogger(__name__)

MAX_DIFF, MAX_LINES = 100_000, 2000
MAX_NAME = 500
_MAX_CONTENT = 8 << 20  # that is hashed, all files together
_MAX_ANSWER = 16 << 20
_SECONDS = 5.0
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_OBJECT = re.compile(rb"[0-9a-f]{40,64} ([a-z]+) (\d+)")
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}
_OPTIONS = (
    "--no-pager", "--no-replace-objects", "--literal-pathspecs", "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false", "-c", "core.attributesFile=/dev/null", "-c", "core.quotePath=false",
)  # fmt: skip
_DIFF = (
    "diff-tree", "-r", "-p", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-color", "--submodule=short",
)  # fmt: skip
_UNCLEAR = "git gave an answer that the panel does not understand."
# The bundle in whose plugins/ the panel lies.
_OWN = Path(__file__).resolve().parents[3]


class RepositoryError(PanelError):
    """The repository, or a commit in it, cannot be read."""

    headline = "The code cannot be read"


@dataclasses.dataclass(frozen=True)
class CodeDiff:
    """What git has of some files at two commits.

    Attributes:
      text: Unified diff; of the second commit against the first.
      cut: There is more.
      hashes: By name, the first 16 digits of the SHA-256 at the two commits: None where there is no such file, "" where
        it is too large to be read.
    """

    text: str
    cut: bool
    hashes: dict[str, tuple[str | None, str | None]]


class Repository:
    """The repository of the bundle; looked for anew at each question, as a checkout may come later."""

    def __init__(self, folder: str = "") -> None:
        """Takes the place.

        Args:
          folder: Absolute path of the bundle or of a bare repository; "" for the bundle that the panel is part of.

        Raises:
          SettingsError: The path is not absolute.
        """
        if folder and not os.path.isabs(folder):
            raise SettingsError(f"[mlmd_panel] repository = {folder!r} is not an absolute path.")
        self._folder = Path(folder) if folder else _OWN
        self._is_set = bool(folder)

    def diff(self, baseline: str, candidate: str, names: Sequence[str]) -> CodeDiff:
        """What changed in files from one commit to another.

        Args:
          baseline: A full commit id.
          candidate: Another.
          names: Files, relative to the bundle's root; see `is_name`.

        Raises:
          RepositoryError: There is no repository, it lacks a commit, or git is missing, fails or takes too long.
        """
        git, place = self._place()
        return _diff(git, place, baseline, candidate, tuple(names))

    def _place(self) -> tuple[str, str]:
        """The repository, and where in it the bundle is."""
        folder = self._folder.resolve()
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            return str(folder), ""
        for top in (folder, *folder.parents):
            if (top / ".git").exists():
                place = folder.relative_to(top).as_posix()
                return str(top / ".git"), "" if place == "." else f"{place}/"
        if self._is_set:
            raise RepositoryError(
                "the folder that the panel's setting `repository` names is not in a git checkout."
            )
        raise RepositoryError(
            "the panel is not part of a git checkout; an administrator can name one in its setting `repository`."
        )


def is_commit(text: str) -> bool:
    """Whether a text is the full id of a commit."""
    return _COMMIT.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether a text is a file's path relative to the bundle, without `..` or anything that git would misread."""
    parts = text.split("/")
    return (
        len(text) <= MAX_NAME
        and text.isprintable()
        and not {"", ".", "..", ".git"} & set(parts)
        and "${" not in text
    )


@functools.lru_cache(64)  # commits do not change; errors are not kept
def _diff(git: str, place: str, baseline: str, candidate: str, names: tuple[str, ...]) -> CodeDiff:
    commits = (baseline, candidate)
    _check(commits, names)
    asked = [f"{commit}:{place}{name}" for commit in commits for name in names]
    kinds = _kinds(git, [*commits, *asked])
    for commit, kind in zip(commits, kinds, strict=False):
        if kind is None or kind[0] != b"commit":
            raise RepositoryError(
                f"commit {commit[:12]} is not in the repository that the panel reads; it may have to be fetched."
            )
    hashes = _hashes(git, asked, kinds[2:])
    two = dict(zip(names, zip(hashes[: len(names)], hashes[len(names) :], strict=True), strict=True))
    # A path that is a folder would stand for all that is in it.
    paths = [place + name for name, sides in two.items() if sides != (None, None)]
    folders = {
        name.partition(":")[2]
        for name, kind in zip(asked, kinds[2:], strict=True)
        if kind and kind[0] == b"tree"
    }
    paths = [path for path in paths if path not in folders]
    text, cut = _run(git, (*_DIFF, *commits, "--", *paths), b"", MAX_DIFF) if paths else (b"", False)
    lines = text.decode("utf-8", "replace").removesuffix("\n").split("\n")
    return CodeDiff("\n".join(lines[:MAX_LINES]), cut or len(lines) > MAX_LINES, two)


def _check(commits: Sequence[str], names: Sequence[str]) -> None:
    for what, is_valid, texts in (
        ("the id of a commit", is_commit, commits),
        ("a file of the bundle", is_name, names),
    ):
        wrong = [text for text in texts if not is_valid(text)]
        if wrong:
            raise RepositoryError(f"{wrong[0][:80]!r} is not {what}.")


def _kinds(git: str, names: list[str]) -> list[tuple[bytes, int] | None]:
    """Kind and size of objects by name, a commit or a path in one; None where there is none."""
    answer, _ = _run(git, ("cat-file", "--batch-check"), _lines(names), _MAX_ANSWER)
    found = [_OBJECT.fullmatch(line) for line in answer.split(b"\n")[:-1]]
    if len(found) != len(names):
        raise RepositoryError(_UNCLEAR)
    return [(one[1], int(one[2])) if one else None for one in found]


def _hashes(git: str, names: list[str], kinds: list[tuple[bytes, int] | None]) -> list[str | None]:
    """Of the content of files; see CodeDiff."""
    found: list[str | None] = [None if kind is None or kind[0] != b"blob" else "" for kind in kinds]
    room, read = _MAX_CONTENT, []
    for place, kind in enumerate(kinds):
        if kind is not None and kind[0] == b"blob" and kind[1] <= room:
            room -= kind[1]
            read.append(place)
    answer, start = b"", 0
    if read:
        answer, _ = _run(git, ("cat-file", "--batch"), _lines([names[place] for place in read]), _MAX_ANSWER)
    for place in read:
        end = answer.find(b"\n", start)
        head = _OBJECT.fullmatch(answer, start, max(end, start))
        if head is None:
            raise RepositoryError(_UNCLEAR)
        start = end + 1 + int(head[2])
        found[place] = hashlib.sha256(answer[end + 1 : start]).hexdigest()[:16]
        start += 1
    return found


def _lines(names: list[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def _run(git: str, arguments: Sequence[str], asked: bytes, most: int) -> tuple[bytes, bool]:
    """What git prints, and whether there was more than `most` bytes of it.

    Raises:
      RepositoryError: It is not there, fails or takes too long.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
        given.write(asked)
        given.seek(0)
        try:
            process = subprocess.Popen(
                ["git", *_OPTIONS, *arguments],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd="/",
                # With GIT_DIR git does not mind who owns the repository: administrators chose it.
                env={"PATH": os.environ.get("PATH", os.defpath), "GIT_DIR": git, **_ENVIRONMENT},
            )
        except OSError as error:
            log.warning("git cannot be run: %s", error)
            raise RepositoryError("git is not installed where the panel runs.") from None
        timer = threading.Timer(_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdout
            with process.stdout as output:
                found = output.read(most + 1)
            if len(found) <= most:
                process.wait()
        finally:
            timed_out = timer.finished.is_set()
            timer.cancel()
            process.kill()
            code = process.wait()
        if len(found) > most:
            return found[:most], True
        if timed_out:
            raise RepositoryError(f"git has not answered in {_SECONDS:.0f} s.")
        if code:
            errors.seek(0)
            log.warning("git failed on %s: %s", git, errors.read(500).decode(errors="replace").strip())
            raise RepositoryError("git cannot read the repository; the panel's log says why.")
        return found, False
