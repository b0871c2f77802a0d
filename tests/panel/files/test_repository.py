"""What the panel reads of a real git repository, and what it refuses to ask."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest
from mlmd_panel.errors import SettingsError
from mlmd_panel.files import repository as module
from mlmd_panel.files.repository import Repository, RepositoryError, is_name

from tests.git_repository import GitRepository

MODEL = "flows/model.py"


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "checkout")


def _commits(made: GitRepository) -> tuple[str, str]:
    first = made.commit(**{MODEL: "units = 8\nrate = 1\n", "flows/old.py": "old\n", "other.py": "1\n"})
    return first, made.commit(
        **{MODEL: "units = 9\nrate = 1\n", "flows/old.py": None, "flows/new.py": "new\n", "other.py": "2\n"}
    )


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_diff_is_of_the_files_that_were_asked_for(made: GitRepository) -> None:
    found = Repository(str(made.folder)).diff(*_commits(made), [MODEL, "flows/old.py", "flows/new.py"])
    lines = found.text.splitlines()
    assert "-units = 8" in lines and "+units = 9" in lines and " rate = 1" in lines
    assert "-old" in lines and "+new" in lines and "other.py" not in found.text
    assert not found.cut
    assert found.hashes == {
        MODEL: (_short("units = 8\nrate = 1\n"), _short("units = 9\nrate = 1\n")),
        "flows/old.py": (_short("old\n"), None),
        "flows/new.py": (None, _short("new\n")),
    }


def test_bundle_may_be_a_folder_of_the_checkout_or_a_bare_repository_or_a_worktree(
    made: GitRepository, tmp_path: Path
) -> None:
    first, second = _commits(made)
    flows = Repository(str(made.folder / "flows")).diff(first, second, ["model.py"])
    assert "+units = 9" in flows.text and flows.hashes["model.py"][1] == _short("units = 9\nrate = 1\n")
    made.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    made.git("worktree", "add", "--quiet", str(tmp_path / "second"))
    for folder in ("bare", "second"):
        assert Repository(str(tmp_path / folder)).diff(first, second, [MODEL]).text.count("units") == 2


def test_panel_without_setting_reads_the_checkout_that_it_is_part_of(
    made: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (module._OWN / "plugins" / "mlmd_panel" / "files" / "repository.py").is_file()
    first, second = _commits(made)
    monkeypatch.setattr(module, "_OWN", made.folder)
    assert "+units = 9" in Repository().diff(first, second, [MODEL]).text


def test_what_is_missing_is_said_and_found_when_it_comes(made: GitRepository, tmp_path: Path) -> None:
    first, second = _commits(made)
    clone = GitRepository(tmp_path / "clone")
    repository = Repository(str(clone.folder))
    with pytest.raises(RepositoryError, match=f"{first[:12]} is not in the repository"):
        repository.diff(first, second, [MODEL])
    clone.git("fetch", "--quiet", str(made.folder), "main")
    assert repository.diff(first, second, [MODEL]).text
    with pytest.raises(RepositoryError, match="setting `repository` names is not in a git checkout"):
        Repository(str(tmp_path / "none")).diff(first, second, [MODEL])
    with pytest.raises(SettingsError, match="'checkout' is not an absolute path"):
        Repository("checkout")


def test_panel_outside_of_git_names_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OWN", tmp_path)
    with pytest.raises(RepositoryError, match="name one in its setting `repository`"):
        Repository().diff("a" * 40, "b" * 40, [MODEL])


def test_commit_and_names_from_a_store_are_not_trusted(made: GitRepository) -> None:
    first, second = _commits(made)
    repository = Repository(str(made.folder))
    for commit in ("HEAD", "main", first[:12], "--output=/tmp/x", first + "\n", f"{first}^", ""):
        with pytest.raises(RepositoryError, match="is not the id of a commit"):
            repository.diff(first, commit, [MODEL])
    for name in (
        "../x",
        "/etc/passwd",
        "a/../b",
        "",
        "a//b",
        ".git/config",
        "a\nb",
        "${OUTSIDE}/x.py",
        "x" * 501,
    ):
        assert not is_name(name)
        with pytest.raises(RepositoryError, match="is not a file of the bundle"):
            repository.diff(first, second, [name])
    tree = made.git("rev-parse", f"{first}^{{tree}}")
    with pytest.raises(RepositoryError, match="is not in the repository"):
        repository.diff(tree, second, [MODEL])


def test_names_are_files_and_no_patterns(made: GitRepository) -> None:
    first, second = _commits(made)
    found = Repository(str(made.folder)).diff(
        first, second, ["flows", "*", ":(glob)**", ":!x", "--stat", "-p", "none.py"]
    )
    assert found.text == "" and set(found.hashes.values()) == {(None, None)}
    made.write(**{"-p": "a\n", "ü b.py": "ü\n"})
    third = made.commit()
    found = Repository(str(made.folder)).diff(second, third, ["-p", "ü b.py"])
    assert "+++ b/ü b.py" in found.text and "+a" in found.text.splitlines()


def test_long_diff_is_cut_and_large_files_are_not_read(
    made: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made.commit(**{"a.py": "", "b.py": ""})
    many = made.commit(**{"a.py": "".join(f"x = {number}\n" for number in range(3000))})
    long = made.commit(**{"b.py": "".join(f"{number:0200}\n" for number in range(1000))})
    repository = Repository(str(made.folder))
    by_lines, by_bytes = repository.diff(first, many, ["a.py"]), repository.diff(many, long, ["b.py"])
    assert by_lines.cut and len(by_lines.text.split("\n")) == module.MAX_LINES
    assert by_bytes.cut and 0 < len(by_bytes.text) <= module.MAX_DIFF
    monkeypatch.setattr(module, "_MAX_CONTENT", 1000)
    assert repository.diff(first, long, ["a.py", "b.py"]).hashes["b.py"] == (_short(""), "")


def test_no_program_of_the_repository_runs_and_its_owner_does_not_matter(
    made: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _commits(made)
    ran, program = tmp_path / "ran", tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 >> {ran}\ncat\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    made.write(**{".gitattributes": "* diff=mine filter=mine\n"})
    (made.folder / ".git" / "info").mkdir(exist_ok=True)
    (made.folder / ".git" / "info" / "attributes").write_text("* diff=mine filter=mine\n")
    hook = made.folder / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_bytes(program.read_bytes())
    hook.chmod(0o755)
    for name in ("diff.external", "diff.mine.command", "diff.mine.textconv", "filter.mine.smudge", "core.pager",
                 "core.fsmonitor", "core.sshCommand", "pager.diff-tree", "core.alternateRefsCommand"):  # fmt: skip
        made.git("config", name, str(program))
    made.git("config", "extensions.partialClone", "origin")
    made.git("config", "remote.origin.promisor", "true")
    made.git("config", "remote.origin.url", f"ext::{program}")
    made.git("config", "remote.origin.uploadpack", str(program))
    made.git("config", "protocol.ext.allow", "always")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))
    refused = subprocess.run(["git", "log"], cwd=made.folder, capture_output=True, text=True)
    assert "dubious ownership" in refused.stderr
    repository = Repository(str(made.folder))
    assert "+units = 9" in repository.diff(first, second, [MODEL]).text
    with pytest.raises(RepositoryError):
        repository.diff("a" * 40, second, [MODEL])
    assert not ran.exists()


def test_git_that_is_missing_hangs_or_fails_is_an_error_in_time(
    made: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _commits(made)
    repository = Repository(str(made.folder))
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(RepositoryError, match="git is not installed"):
        repository.diff(first, second, [MODEL])
    git = programs / "git"
    git.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    git.chmod(0o755)
    monkeypatch.setattr(module, "_SECONDS", 0.3)
    started = time.monotonic()
    with pytest.raises(RepositoryError, match="has not answered in"):
        repository.diff(first, second, [MODEL])
    assert time.monotonic() - started < 5
    for text in ("echo boom >&2; exit 3", "echo nonsense"):
        git.write_text(f"#!/bin/sh\n{text}\n")
        with pytest.raises(RepositoryError, match="the panel's log says why|does not understand"):
            repository.diff(first, second, [MODEL])


def test_damaged_repository_is_an_error(made: GitRepository) -> None:
    first, second = _commits(made)
    for path in (made.folder / ".git" / "objects").glob("??/*"):
        os.chmod(path, 0o644)
        path.write_bytes(b"damaged")
    with pytest.raises(RepositoryError):
        Repository(str(made.folder)).diff(first, second, [MODEL])


def test_nothing_is_written_into_the_repository(made: GitRepository) -> None:
    first, second = _commits(made)
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    Repository(str(made.folder)).diff(first, second, [MODEL])
    assert {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")} == before
