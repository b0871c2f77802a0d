"""Which files and lines of code changed: by the store's lists, and by a real git repository."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from mlmd_panel.evaluation.changes import code, code_files, parameters
from mlmd_panel.evaluation.changes.changed import Changes, Findings, RunOf
from mlmd_panel.evaluation.changes.code_lines import NoRepository, with_lines
from mlmd_panel.evaluation.changes.sides import Side
from mlmd_panel.files.repository import Repository
from mlmd_panel.json_text import to_json
from mlmd_panel.store.records import Execution, Property, Run, RunDetail
from mlmd_panel.store.run_summaries import RunSummary

from tests.git_repository import GitRepository

BEFORE = {"flows/model.py": "units = 8\n", "flows/old.py": "old\n", "flows/same.py": "same\n"}
NOW = {"flows/model.py": "units = 9\n", "flows/new.py": "new\n", "flows/same.py": "same\n"}
RUN = Run(1, "taxi:one", "taxi", "taxi", "one", 0)


def _side(name: str, held: dict[str, str]) -> Side:
    """A run of a Trainer with these properties."""
    summary = RunSummary(RUN, "COMPLETE", 0, None, None, (), None, None, None, ())
    named = tuple(Property(name, value, "string", True) for name, value in held.items())
    trainer = Execution(1, "tfx.Trainer", "Trainer", "COMPLETE", 0, 0, RUN, None, named)
    detail = RunDetail(RUN, (trainer,), (), {})
    return Side(name, summary, detail, {"Trainer": trainer}, None, (), None, None, trainer, {}, (), False)


def _recorded(key: str, files: dict[str, str], version: str = "", left_out: int = 0) -> dict[str, str]:
    """As the orchestrator records it."""
    hashes = {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in files.items()}
    text = json.dumps({"files": hashes, "left_out": left_out})
    found = {"code_fingerprint": key, "module_path": "flows.model", "code_files": text}
    return found | ({"bundle_version": version} if version else {})


def _compared(before: dict[str, str], now: dict[str, str]) -> Findings:
    return code.compare((_side("baseline", before), _side("candidate", now)))


def _changes(found: Findings) -> Changes:
    run = RunOf("taxi", "one", (), False, None, None)
    return Changes(found.items, found.same, found.unknown, run, run)


def _details(found: Findings | Changes) -> code.CodeChange:
    (item,) = found.items
    return item.details


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "bundle")


@pytest.fixture
def commits(made: GitRepository) -> tuple[str, str]:
    return made.commit(**BEFORE), made.commit(**NOW, **{"flows/old.py": None, "other.py": "x\n"})


def test_files_that_changed_came_or_went_are_named() -> None:
    found = _compared(_recorded("aaaa", BEFORE), _recorded("bbbb", NOW))
    (item,) = found.items
    assert item.what == (
        "Code of Trainer (flows.model): flows/model.py changed; flows/new.py added; flows/old.py removed"
    )
    assert (item.baseline, item.candidate) == ("aaaa", "bbbb")
    assert [(file.name, file.change) for file in item.details.files] == [
        ("flows/model.py", "changed"),
        ("flows/new.py", "added"),
        ("flows/old.py", "removed"),
    ]
    assert [(file.baseline is None, file.candidate is None) for file in item.details.files] == [
        (False, False),
        (True, False),
        (False, True),
    ]
    assert found.unknown == (
        "Which lines of the code of Trainer changed: the store does not say for both sides (property `bundle_version`).",
    )


def test_store_of_an_earlier_version_has_the_hash_alone() -> None:
    old = {"code_fingerprint": "aaaa", "module_path": "flows.model"}
    found = _compared(old, _recorded("bbbb", NOW, "c" * 40))
    assert found.items[0].what == "Code of Trainer (flows.model): aaaa → bbbb"
    assert _details(found).files is None
    assert [text.rpartition("(")[2] for text in found.unknown] == [
        "property `code_files`).",
        "property `bundle_version`).",
    ]
    assert with_lines(_changes(found), Repository()).unknown == found.unknown


def test_behind_the_end_of_a_list_that_was_cut_nothing_is_told() -> None:
    names = [f"flows/m{number}.py" for number in range(9)]
    whole = dict.fromkeys(names, "1\n")
    found = _compared(
        _recorded("aaaa", dict.fromkeys(names[:5], "2\n"), left_out=4), _recorded("bbbb", whole)
    )
    assert [file.name for file in _details(found).files or ()] == names[:5]
    assert _details(found).cut
    assert "Code of Trainer: it has more files than the store lists." in found.unknown


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "[" * 100_000, '{"files": []}', '{"files": {"a": 1}, "left_out": 0}',
     '{"files": {"a": "zz"}, "left_out": 0}', '{"files": {}, "left_out": -1}', '{"files": {}, "left_out": true}'],
    ids=range(9),
)  # fmt: skip
def test_list_that_is_none_is_unknown(text: str) -> None:
    broken = _recorded("aaaa", BEFORE) | {"code_files": text}
    found = _compared(broken, _recorded("bbbb", NOW))
    assert _details(found).files is None and "code_files" in found.unknown[0]


def test_lines_are_those_of_the_files_that_changed(made: GitRepository, commits: tuple[str, str]) -> None:
    found = _compared(_recorded("aaaa", BEFORE, commits[0]), _recorded("bbbb", NOW, commits[1]))
    assert found.unknown == ()
    changes = with_lines(_changes(found), Repository(str(made.folder)))
    details, lines = _details(changes), _details(changes).diff.splitlines()
    assert {"-units = 8", "+units = 9", "-old", "+new"} <= set(lines) and "other.py" not in details.diff
    assert (details.not_as_committed, details.diff_cut, changes.unknown) == ((), False, ())
    assert json.loads(to_json(changes))["items"][0]["details"]["diff"] == details.diff


def test_file_that_ran_otherwise_than_committed_is_named(
    made: GitRepository, commits: tuple[str, str]
) -> None:
    edited = NOW | {"flows/model.py": "units = 10\n"}
    found = _compared(
        _recorded("aaaa", BEFORE, commits[0]), _recorded("bbbb", edited, f"{commits[1]}+changes")
    )
    changes = with_lines(_changes(found), Repository(str(made.folder)))
    assert _details(changes).not_as_committed == ("flows/model.py",)
    assert "+units = 9" in _details(changes).diff
    assert changes.unknown == (
        "Which lines of the code of Trainer changed: flows/model.py ran with changes that were not committed, so the"
        " diff is not all that changed in it.",
    )


def test_two_runs_of_one_commit_with_changes_have_no_lines_and_that_is_said(
    made: GitRepository, commits: tuple[str, str]
) -> None:
    edited = BEFORE | {"flows/model.py": "units = 10\n"}
    version = f"{commits[0]}+changes"
    found = _compared(_recorded("aaaa", BEFORE, commits[0]), _recorded("bbbb", edited, version))
    changes = with_lines(_changes(found), Repository(str(made.folder)))
    assert _details(changes).diff == "" and "were not committed" in changes.unknown[0]


def test_change_that_both_runs_had_and_nobody_committed_takes_nothing_from_the_diff(
    made: GitRepository, commits: tuple[str, str]
) -> None:
    """The files that differ between the runs are as committed, which is all that the diff is of."""
    extra = {"flows/same.py": "edited\n"}
    recorded = [
        _recorded(key, files | extra, f"{commit}+changes")
        for key, files, commit in (("aaaa", BEFORE, commits[0]), ("bbbb", NOW, commits[1]))
    ]
    changes = with_lines(_changes(_compared(*recorded)), Repository(str(made.folder)))
    assert changes.unknown == () and "+units = 9" in _details(changes).diff


def test_file_that_the_node_did_not_use_before_may_well_have_been_committed(
    made: GitRepository, commits: tuple[str, str]
) -> None:
    """Of a module that is imported now and was there before, the commits have what ran."""
    without = {name: text for name, text in BEFORE.items() if name != "flows/same.py"}
    found = _compared(_recorded("aaaa", without, commits[0]), _recorded("bbbb", NOW, commits[1]))
    assert "flows/new.py, flows/same.py added" in found.items[0].what
    changes = with_lines(_changes(found), Repository(str(made.folder)))
    assert _details(changes).not_as_committed == () == changes.unknown
    assert "flows/same.py" not in _details(changes).diff


@pytest.mark.parametrize(
    ("version", "told"),
    [
        (
            "c" * 40,
            "commit cccccccccccc is not in the repository that the panel reads; it may have to be fetched.",
        ),
        ("v7", "the bundle's version 'v7' is not a commit of git."),
        ("--output=x", "the bundle's version '--output=x' is not a commit of git."),
    ],
)
def test_commit_that_is_not_there_or_none_is_a_sentence(
    made: GitRepository, commits: tuple[str, str], version: str, told: str
) -> None:
    found = _compared(_recorded("aaaa", BEFORE, commits[0]), _recorded("bbbb", NOW, version))
    changes = with_lines(_changes(found), Repository(str(made.folder)))
    assert changes.unknown == (f"Which lines of the code of Trainer changed: {told}",)
    assert _details(changes).diff == "" and _details(changes).files


def test_files_outside_the_bundle_and_names_that_lead_out_of_it_are_not_asked_for(
    made: GitRepository, commits: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret\n")
    hostile = {"../secret": "1", "/etc/passwd": "1", "${OUTSIDE}/x.py": "1"}
    found = _compared(_recorded("aaaa", BEFORE | hostile, commits[0]), _recorded("bbbb", NOW, commits[1]))
    changes = with_lines(_changes(found), Repository(str(made.folder)))
    assert changes.unknown == (
        "Which lines of the code of Trainer changed: ${OUTSIDE}/x.py, ../secret, /etc/passwd is not in the bundle's"
        " repository.",
    )
    assert "+units = 9" in _details(changes).diff and "secret" not in _details(changes).diff


def test_without_the_right_to_read_code_files_are_named_and_lines_are_not(commits: tuple[str, str]) -> None:
    found = _compared(_recorded("aaaa", BEFORE, commits[0]), _recorded("bbbb", NOW, commits[1]))
    changes = with_lines(_changes(found), NoRepository("lines are for others."))
    assert changes.unknown == ("Which lines of the code of Trainer changed: lines are for others.",)
    assert _details(changes) == _details(found)


def test_neither_property_is_a_parameter(commits: tuple[str, str]) -> None:
    sides: Any = tuple(
        _side("", _recorded(key, files, commit))
        for key, files, commit in (("aaaa", BEFORE, commits[0]), ("bbbb", NOW, commits[1]))
    )
    assert parameters.compare(sides).items == ()


def test_names_of_the_properties_are_the_orchestrator_s() -> None:
    """The two programs share no code; this is what they share instead."""
    root = Path(code.__file__).parents[4]
    text = (root / "include/tfx_airflow/tfx_side/node/code_version.py").read_text()
    assert f'FILES_PROPERTY, VERSION_PROPERTY = "{code_files.FILES}", "{code.VERSION}"' in text
