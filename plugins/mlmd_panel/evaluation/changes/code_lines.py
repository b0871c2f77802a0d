"""Adds to what changed the lines of code, which git has."""

from __future__ import annotations

import dataclasses

from mlmd_panel.errors import PanelError
from mlmd_panel.evaluation.changes import wording
from mlmd_panel.evaluation.changes.changed import Changed, Changes
from mlmd_panel.evaluation.changes.code import CodeChange
from mlmd_panel.evaluation.changes.code_files import FileChange
from mlmd_panel.files.repository import Repository, is_commit, is_name

MAX_FILES = 200


@dataclasses.dataclass(frozen=True)
class NoRepository:
    """There is nothing to ask for lines.

    Attributes:
      why: As in "Which lines changed: ...".
    """

    why: str


def with_lines(changes: Changes, repository: Repository | NoRepository) -> Changes:
    """The changes with a diff of the code that changed, as far as git has it.

    Nothing is raised: what is not known becomes a sentence in `unknown`.

    Args:
      changes: From `between`.
      repository: Of the bundle; whoever sees the result may read its code.
    """
    found = [of_item(item, repository) for item in changes.items]
    unknown = [text for _, texts in found for text in texts]
    return dataclasses.replace(
        changes,
        items=tuple(item for item, _ in found),
        unknown=tuple(dict.fromkeys([*changes.unknown, *unknown])),
    )


def of_item(item: Changed, repository: Repository | NoRepository) -> tuple[Changed, list[str]]:
    """A change with a diff if it is one of code, and sentences about what git does not have of it."""
    details = item.details
    if not (
        isinstance(details, CodeChange)
        and details.files
        and details.baseline_version
        and details.candidate_version
    ):
        return item, []
    try:
        details, unknown = _with_diff(details, details.files, repository)
    except PanelError as error:
        return item, [f"Which lines of the code of {details.node} changed: {error}"]
    return dataclasses.replace(item, details=details), unknown


def _with_diff(
    change: CodeChange, files: tuple[FileChange, ...], repository: Repository | NoRepository
) -> tuple[CodeChange, list[str]]:
    """The change with its diff, and what is not known of it.

    Raises:
      PanelError: Git does not have it.
    """
    lines = f"Which lines of the code of {change.node} changed"
    if isinstance(repository, NoRepository):
        return change, [f"{lines}: {repository.why}"]
    commits = [version.partition("+")[0] for version in (change.baseline_version, change.candidate_version)]
    others = [commit for commit in commits if not is_commit(commit)]
    if others:
        return change, [f"{lines}: the bundle's version {others[0]!r} is not a commit of git."]
    inside = [file for file in files if is_name(file.name)]
    outside = [file.name for file in files if not is_name(file.name)]
    asked = inside[:MAX_FILES]
    found = repository.diff(commits[0], commits[1], [file.name for file in asked])
    wrong = [file.name for file in asked if not _is_committed(file, found.hashes[file.name])]
    unread = [file.name for file in asked if "" in found.hashes[file.name]]
    reasons = [
        (outside, "is not in the bundle's repository"),
        ([file.name for file in inside[MAX_FILES:]], "is beyond the files that are compared"),
        (unread, "is too large to be compared with what the commits have"),
        (wrong, "ran with changes that were not committed, so the diff is not all that changed in it"),
    ]
    told = [f"{lines}: {wording.some(names, 3)} {why}." for names, why in reasons if names]
    return dataclasses.replace(
        change, diff=found.text, diff_cut=found.cut, not_as_committed=tuple(wrong)
    ), told


def _is_committed(file: FileChange, hashes: tuple[str | None, str | None]) -> bool:
    """Whether the commits have what ran on either side, as far as they were read.

    A commit may well have a file that the node did not use.
    """
    return all(
        ran is None or has == "" or has is not None and ran[:16] == has[: len(ran)]
        for ran, has in zip((file.baseline, file.candidate), hashes, strict=True)
    )
