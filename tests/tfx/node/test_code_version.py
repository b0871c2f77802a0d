"""Executions say which files and which commit they ran, and that is no part of TFX's cache key."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tfx import v1 as tfx

from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import code_version, node, user_code
from include.tfx_airflow.tfx_side.node.code_version import FILES_PROPERTY, VERSION_PROPERTY, CodeVersion
from tests.git_repository import GitRepository
from tests.pipelines import small

MakeRequest = Callable[..., NodeRequest]
FILES = {
    "flows/__init__.py": "",
    "flows/model.py": "from flows import layers\n",
    "flows/layers.py": "N = 1\n",
}


@pytest.fixture
def bundle(roots: dict[str, str]) -> GitRepository:
    repository = GitRepository(Path(roots["BUNDLE_ROOT"]))
    repository.commit(**FILES)
    return repository


def _pipeline() -> tfx.dsl.Pipeline:
    """Its node names a module of the bundle in a parameter, as a Trainer does."""
    return tfx.dsl.Pipeline(
        "named", pipeline_root="", components=[small.Write(message="flows.model.run_fn")], enable_cache=True
    )


def _properties(address: dict[str, Any], execution: int) -> dict[str, str]:
    with mlmd_store.open_store(address) as store:
        [found] = store.get_executions_by_id([execution])
    return {name: value.string_value for name, value in found.custom_properties.items()}


def _names(text: str) -> list[str]:
    return list(json.loads(text)["files"])


def test_execution_says_which_files_and_which_commit_it_ran(
    make_request: MakeRequest, address: dict[str, Any], bundle: GitRepository
) -> None:
    first = node.run(make_request(_pipeline(), "Write", run="first"))
    told = _properties(address, first.execution_id)
    assert _names(told[FILES_PROPERTY]) == sorted(FILES)
    printed = subprocess.run(
        ["sha256sum", "flows/layers.py"], cwd=bundle.folder, capture_output=True, text=True
    )
    assert json.loads(told[FILES_PROPERTY])["files"]["flows/layers.py"] == printed.stdout[:16]
    assert told[VERSION_PROPERTY] == bundle.git("rev-parse", "HEAD")
    bundle.write(**{"flows/layers.py": "N = 2\n"})
    second = node.run(make_request(_pipeline(), "Write", run="second"))
    now = _properties(address, second.execution_id)
    assert second.state == "executed"
    assert now[VERSION_PROPERTY] == f"{told[VERSION_PROPERTY]}+changes"
    files = [json.loads(one[FILES_PROPERTY])["files"] for one in (told, now)]
    assert [name for name in FILES if files[0][name] != files[1][name]] == ["flows/layers.py"]


def test_commit_that_changes_other_files_makes_no_node_run_again(
    make_request: MakeRequest, address: dict[str, Any], bundle: GitRepository
) -> None:
    first = node.run(make_request(_pipeline(), "Write", run="first"))
    commit = bundle.commit(**{"flows/other.py": "N = 1\n"})
    second = node.run(make_request(_pipeline(), "Write", run="second"))
    assert (first.state, second.state) == ("executed", "cached")
    assert _properties(address, second.execution_id)[VERSION_PROPERTY] == commit


def test_executions_of_earlier_versions_are_still_cache(
    make_request: MakeRequest, address: dict[str, Any], bundle: GitRepository
) -> None:
    first = node.run(make_request(_pipeline(), "Write", run="first"))
    with sqlite3.connect(address["path"]) as connection:
        removed = connection.execute(
            "delete from ExecutionProperty where name in (?, ?)", (FILES_PROPERTY, VERSION_PROPERTY)
        ).rowcount
    connection.close()
    assert removed == 2
    assert user_code.FINGERPRINT_PROPERTY in _properties(address, first.execution_id)
    second = node.run(make_request(_pipeline(), "Write", run="second"))
    assert second.state == "cached" and second.outputs == first.outputs


def test_cache_key_is_the_one_without_them(
    make_request: MakeRequest, address: dict[str, Any], bundle: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache context's name is the key: nodes with and without the properties share one."""
    first = node.run(make_request(_pipeline(), "Write", run="first"))
    prepare = user_code.prepare
    monkeypatch.setattr(user_code, "prepare", lambda *given: (prepare(*given), None)[1])
    second = node.run(make_request(_pipeline(), "Write", run="second"))
    assert second.state == "cached"
    assert FILES_PROPERTY not in _properties(address, second.execution_id)
    with mlmd_store.open_store(address) as store:
        contexts = store.get_contexts_by_type("execution_cache")
        shared = [{e.id for e in store.get_executions_by_context(context.id)} for context in contexts]
    assert shared == [{first.execution_id, second.execution_id}]


def test_bundle_without_git_and_node_without_code(
    make_request: MakeRequest, address: dict[str, Any], roots: dict[str, str]
) -> None:
    for name, text in FILES.items():
        path = Path(roots["BUNDLE_ROOT"], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    told = _properties(address, node.run(make_request(_pipeline(), "Write")).execution_id)
    assert _names(told[FILES_PROPERTY]) == sorted(FILES) and VERSION_PROPERTY not in told
    plain = node.run(make_request(small.write_and_read(), "Write"))
    assert not {FILES_PROPERTY, VERSION_PROPERTY} & _properties(address, plain.execution_id).keys()


def test_version_that_airflow_knows_is_the_one(
    make_request: MakeRequest, address: dict[str, Any], bundle: GitRepository
) -> None:
    first = bundle.git("rev-parse", "HEAD")
    bundle.commit(**{"flows/other.py": "N = 1\n"})
    result = node.run(make_request(_pipeline(), "Write", copy={"bundle_version": first}))
    assert _properties(address, result.execution_id)[VERSION_PROPERTY] == first


def test_files_outside_the_bundle_are_named_without_their_folder(
    tmp_path: Path, bundle: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside" / "shared"
    outside.mkdir(parents=True)
    (outside / "names.py").write_text("KEYS = []\n")
    schema = tmp_path / "schema.pbtxt"
    schema.write_text("feature {}")
    bundle.commit(**{"flows/model.py": "import shared.names\n", "policy.json": "{}"})
    folders = [str(bundle.folder), str(outside.parent)]
    code = user_code.read(["flows.model"], folders, [str(schema), str(bundle.folder / "policy.json")])
    told = CodeVersion(code, str(bundle.folder), "").properties()
    assert sorted(_names(told[FILES_PROPERTY])) == [
        "${OUTSIDE}/schema.pbtxt",
        "${OUTSIDE}/shared/names.py",
        "flows/__init__.py",
        "flows/model.py",
        "policy.json",
    ]
    # No commit of the bundle has them, so they are no uncommitted changes either.
    assert told[VERSION_PROPERTY] == bundle.git("rev-parse", "HEAD")
    assert str(tmp_path) not in told[FILES_PROPERTY]


def test_list_of_files_is_bounded_and_says_so() -> None:
    names = [f"flows/module_{number:04}.py" for number in range(1000)]
    found = json.loads(code_version.files_text({**dict.fromkeys(names, "ab" * 32), "x" * 600: "ab" * 32}))
    assert list(found["files"]) == names[: code_version.MAX_FILES]
    assert found["left_out"] == 1001 - code_version.MAX_FILES
    assert set(found["files"].values()) == {"ab" * 8}
