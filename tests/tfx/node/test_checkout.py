"""The commit of a bundle, as a real git has it and as it can be read without git."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from include.tfx_airflow.tfx_side.node import checkout
from tests.git_repository import GitRepository

MODEL = b"UNITS = 8\n"
FILES: Mapping[str, Path | bytes] = {"flows/model.py": MODEL}


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    repository = GitRepository(tmp_path / "checkout")
    repository.commit(**{"flows/model.py": MODEL, "data.json": "{}"})
    return repository


def _version(bundle: Path, files: Mapping[str, Path | bytes] = FILES, version: str = "") -> str:
    return checkout.bundle_version(bundle, version, files)


def test_version_is_the_commit_that_is_checked_out(repository: GitRepository) -> None:
    first = repository.git("rev-parse", "HEAD")
    assert _version(repository.folder) == first
    second = repository.commit(**{"other.py": "1"})
    assert _version(repository.folder) == second != first
    repository.git("checkout", "--quiet", first)
    assert _version(repository.folder) == first


def test_file_that_differs_from_the_commit_is_told(repository: GitRepository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    repository.write(**{"other.py": "not of this node"})
    assert _version(repository.folder) == commit
    assert _version(repository.folder, {"flows/model.py": MODEL + b"#"}) == f"{commit}+changes"
    assert _version(repository.folder, {**FILES, "other.py": b"not of this node"}) == f"{commit}+changes"
    repository.git("add", "other.py")  # staged is not committed
    assert _version(repository.folder, {"other.py": b"not of this node"}) == f"{commit}+changes"


def test_data_are_compared_by_content(repository: GitRepository) -> None:
    commit, data = repository.git("rev-parse", "HEAD"), repository.folder / "data.json"
    assert _version(repository.folder, {"data.json": data}) == commit
    for text in ("[]", "longer"):
        data.write_text(text)
        assert _version(repository.folder, {"data.json": data}) == f"{commit}+changes"


def test_bundle_may_be_a_folder_of_the_checkout_and_the_checkout_a_worktree(
    repository: GitRepository, tmp_path: Path
) -> None:
    commit = repository.commit(**{"teams/red/flows/model.py": MODEL})
    assert _version(repository.folder / "teams" / "red") == commit
    repository.git("worktree", "add", "--quiet", str(tmp_path / "second"))
    assert _version(tmp_path / "second" / "teams" / "red") == commit


def test_symbolic_link_is_what_it_leads_to(repository: GitRepository) -> None:
    (repository.folder / "linked").symlink_to("flows")
    (repository.folder / "away").symlink_to("/srv/none")
    commit = repository.commit()
    assert _version(repository.folder, {"linked/model.py": MODEL}) == commit
    assert _version(repository.folder, {"away/model.py": MODEL, **FILES}) == f"{commit}+changes"


def test_other_owners_and_programs_in_the_configuration_do_not_matter(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit = repository.git("rev-parse", "HEAD")
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "diff.external"):
        repository.git("config", name, str(program))
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    refused = subprocess.run(["git", "status"], cwd=repository.folder, capture_output=True, text=True)
    assert "dubious ownership" in refused.stderr
    assert _version(repository.folder) == commit
    assert not ran.exists()


def test_bundle_without_git_has_no_version(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    assert _version(tmp_path / "bundle") == ""
    GitRepository(tmp_path / "empty")
    assert _version(tmp_path / "empty") == ""


def test_bundle_that_only_happens_to_lie_in_a_checkout_has_no_version(repository: GitRepository) -> None:
    (repository.folder / "ignored" / "bundle").mkdir(parents=True)
    assert _version(repository.folder / "ignored" / "bundle") == ""


def test_version_of_airflow_counts_more_than_what_is_checked_out(repository: GitRepository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.commit(**{"flows/model.py": "UNITS = 9\n"})
    assert _version(repository.folder, version=first) == first
    assert _version(repository.folder, {"flows/model.py": b"UNITS = 9\n"}, first) == f"{first}+changes"
    assert _version(repository.folder, version="v7 of a manifest") == "v7 of a manifest"
    assert _version(repository.folder, version="ab" * 20) == "ab" * 20


@pytest.mark.parametrize("packed", [False, True])
def test_without_git_the_commit_is_read_and_called_unchecked(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, packed: bool
) -> None:
    commit = repository.git("rev-parse", "HEAD")
    repository.git("worktree", "add", "--quiet", str(tmp_path / "second"))
    if packed:
        repository.git("pack-refs", "--all")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert _version(repository.folder) == _version(tmp_path / "second") == f"{commit}+unchecked"
    assert _version(repository.folder, version=commit) == commit


def test_damaged_repository_is_no_error(repository: GitRepository) -> None:
    shutil.rmtree(repository.folder / ".git" / "objects")
    assert _version(repository.folder).endswith("+unchecked")
    (repository.folder / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    assert _version(repository.folder) == ""
    shutil.rmtree(repository.folder / ".git")
    (repository.folder / ".git").write_text("gitdir: /srv/none\n")
    assert _version(repository.folder) == ""


def test_many_files_are_one_question(repository: GitRepository) -> None:
    """Which and whose answers are together more than a pipe holds."""
    files = {f"flows/{'long' * 40}_{number:04}.py": b"X = %d\n" % number for number in range(600)}
    commit = repository.commit(**files)
    assert _version(repository.folder, files) == commit
    last = max(files)
    assert _version(repository.folder, {**files, last: b"X = 0\n"}) == f"{commit}+changes"


def test_names_that_git_would_misread_are_no_question(repository: GitRepository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    hostile = {"a\nHEAD": b"", "--help": b"", "x y {}": b"", "\udcff.py": b""}
    assert _version(repository.folder, hostile) == f"{commit}+changes"
    assert _version(repository.folder, {"a\nHEAD": b"", **FILES}) == f"{commit}+changes"
    commit = repository.commit(**{"x y.py": "", "ü.py": "ü"})
    assert _version(repository.folder, {"x y.py": b"", "ü.py": "ü".encode()}) == commit
