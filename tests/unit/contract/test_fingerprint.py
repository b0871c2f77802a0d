"""Fingerprints: paths without a machine, keys by content."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from pathlib import Path

import pytest

from include.tfx_airflow.contract import fingerprint

ROOTS = {"BUNDLE_ROOT": "/srv/bundle", "TFX_AIRFLOW_HOME": "/srv/bundle/.state/tfx"}
ENVIRONMENT = {"tfx": "1.16.0", "python": "python3.10"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/bundle/include/x.py", "${BUNDLE_ROOT}/include/x.py"),
        ("/srv/bundle/.state/tfx/mlmd", "${TFX_AIRFLOW_HOME}/mlmd"),
        ("/srv/bundles/x.py", "/srv/bundles/x.py"),
        ("/elsewhere/x.py", "/elsewhere/x.py"),
        ("/backup/srv/bundle/x.py", "/backup/srv/bundle/x.py"),
        ("s3://bucket/srv/bundle/x.csv", "s3://bucket/srv/bundle/x.csv"),
        ('"/srv/bundle"', '"${BUNDLE_ROOT}"'),
        ('["/srv/bundle/a", "/srv/bundle/b"]', '["${BUNDLE_ROOT}/a", "${BUNDLE_ROOT}/b"]'),
    ],
    ids=[
        "root",
        "nested-root",
        "longer-name",
        "elsewhere",
        "inside-a-path",
        "inside-a-url",
        "root-itself",
        "many",
    ],
)
def test_abstract_replaces_the_longest_root(text: str, expected: str) -> None:
    assert fingerprint.abstract(text, ROOTS) == expected
    assert fingerprint.abstract(text, dict(reversed(ROOTS.items()))) == expected


@pytest.mark.parametrize("folder", ["/srv/bundle", "/srv/bundle/"], ids=["plain", "slash-at-end"])
def test_concrete_fills_in_again(folder: str) -> None:
    roots = {**ROOTS, "BUNDLE_ROOT": folder}
    text = "/srv/bundle/a /srv/bundle/.state/tfx/b /srv/c"
    abstract = fingerprint.abstract(text, roots)
    assert abstract == "${BUNDLE_ROOT}/a ${TFX_AIRFLOW_HOME}/b /srv/c"
    assert fingerprint.concrete(abstract, roots) == text


def test_concrete_on_another_machine_gives_its_paths() -> None:
    other = {"BUNDLE_ROOT": "/opt/airflow", "TFX_AIRFLOW_HOME": "/data"}
    abstract = fingerprint.abstract("/srv/bundle/a:/srv/bundle/.state/tfx/b", ROOTS)
    assert fingerprint.concrete(abstract, other) == "/opt/airflow/a:/data/b"


def test_arguments_key_is_that_of_function_arguments_and_format() -> None:
    key = fingerprint.arguments_key("a:b", {"x": 1, "y": [2]}, 1)
    assert len(key) == 16 and int(key, 16) >= 0
    assert key == fingerprint.arguments_key("a:b", {"y": [2], "x": 1}, 1)
    others = [
        fingerprint.arguments_key("a:c", {"x": 1, "y": [2]}, 1),
        fingerprint.arguments_key("a:b", {"x": 2, "y": [2]}, 1),
        fingerprint.arguments_key("a:b", {"x": 1, "y": [2]}, 2),
        fingerprint.arguments_key("a:b", {}, 1),
    ]
    assert len({key, *others}) == 5


def test_arguments_that_are_no_json_raise() -> None:
    with pytest.raises(TypeError):
        fingerprint.arguments_key("a:b", {"x": object()}, 1)


def test_content_key_changes_with_content_name_and_environment(tmp_path: Path) -> None:
    roots = {"ROOT": str(tmp_path)}
    (tmp_path / "a.py").write_text("one")
    (tmp_path / "same.py").write_text("one")
    key = fingerprint.content_key(["${ROOT}/a.py"], roots, ENVIRONMENT)
    assert key and len(key) == 16
    assert fingerprint.content_key(["${ROOT}/same.py"], roots, ENVIRONMENT) != key
    assert fingerprint.content_key(["${ROOT}/a.py"], roots, {**ENVIRONMENT, "tfx": "1.17.0"}) != key
    assert fingerprint.content_key([], roots, ENVIRONMENT) != key
    (tmp_path / "a.py").write_text("two")
    assert fingerprint.content_key(["${ROOT}/a.py"], roots, ENVIRONMENT) != key


def test_content_key_ignores_mtime_order_and_where_the_root_lies(tmp_path: Path) -> None:
    keys = set()
    for place in ("here", "there"):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "a.py").write_text("one")
        (folder / "b.py").write_text("two")
        roots = {"ROOT": str(folder)}
        keys.add(fingerprint.content_key(["${ROOT}/a.py", "${ROOT}/b.py"], roots, ENVIRONMENT))
        os.utime(folder / "a.py", (1, 1))
        keys.add(fingerprint.content_key(["${ROOT}/b.py", "${ROOT}/a.py"], roots, ENVIRONMENT))
    assert len(keys) == 1


def test_content_moved_from_one_file_to_the_next_changes_the_key(tmp_path: Path) -> None:
    files, roots = ["${ROOT}/a.py", "${ROOT}/b.py"], {"ROOT": str(tmp_path)}
    keys = set()
    for first, second in (("xy", "z"), ("x", "yz")):
        (tmp_path / "a.py").write_text(first)
        (tmp_path / "b.py").write_text(second)
        keys.add(fingerprint.content_key(files, roots, ENVIRONMENT))
    assert len(keys) == 2


def test_missing_file_has_no_key(tmp_path: Path) -> None:
    assert fingerprint.content_key(["${ROOT}/gone.py"], {"ROOT": str(tmp_path)}, ENVIRONMENT) is None
    assert fingerprint.content_key([str(tmp_path)], {}, ENVIRONMENT) is None


def test_large_file_counts_by_content_and_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path, keys = tmp_path / "data.csv", []
    for letter in (b"a", b"b"):  # same size, same time of change
        path.write_bytes(letter * (5 << 20))
        os.utime(path, (1, 1))
        keys.append(fingerprint.content_key([str(path)], {}, ENVIRONMENT))
    assert keys[0] != keys[1]
    assert list(tmp_path.iterdir()) == [path]  # it has changed just now: not yet to be relied on

    later = time.time_ns() + 10**10
    monkeypatch.setattr(time, "time_ns", lambda: later)
    assert fingerprint.content_key([str(path)], {}, ENVIRONMENT) == keys[1]
    [memory] = [entry for entry in tmp_path.rglob("*") if entry.is_file() and entry != path]
    stamp, key = json.loads(memory.read_text())
    assert stat.S_IMODE(memory.parent.stat().st_mode) == 0o700
    memory.write_text(
        json.dumps([stamp, "0" * 64])
    )  # what is remembered is taken, while the file is the same
    assert fingerprint.content_key([str(path)], {}, ENVIRONMENT) not in keys
    path.write_bytes(b"a" * (5 << 20))
    assert fingerprint.content_key([str(path)], {}, ENVIRONMENT) == keys[0]


@pytest.mark.parametrize(
    ("name", "change", "counts"),
    [
        ("folder:${ROOT}/data", "data/b.csv", True),
        ("folder:${ROOT}/data", "data/__pycache__/", False),
        ("folder:${ROOT}/data", "data/deep/b.csv", False),
        ("folder:${ROOT}/later", "later/x", True),
        ("exists:${ROOT}/override.yaml", "override.yaml", True),
        ("exists:${ROOT}/override.yaml", "override.yaml/", True),
        ("exists:${ROOT}/data/a.csv", "data/b.csv", False),
        ("glob:${ROOT}/*/*.csv", "other/b.csv", True),
        ("glob:${ROOT}/*/*.csv", "other/b.txt", False),
        ("tree:${ROOT}/data", "data/deep/b.csv", True),
        ("tree:${ROOT}/data", "other/b.csv", False),
        ("tree:${ROOT}/later.yaml", "later.yaml", True),
    ],
)
def test_key_changes_with_what_was_looked_for(tmp_path: Path, name: str, change: str, counts: bool) -> None:
    for folder in ("data/deep", "other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data" / "a.csv").write_text("1")
    roots = {"ROOT": str(tmp_path)}
    before = fingerprint.content_key([name], roots, ENVIRONMENT)
    assert before
    path = tmp_path / change
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if change.endswith("/") else path.write_text("x")
    assert (fingerprint.content_key([name], roots, ENVIRONMENT) != before) is counts


def test_tree_counts_by_content(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("1")
    before = fingerprint.content_key([f"tree:{tmp_path}"], {}, ENVIRONMENT)
    (tmp_path / "a.yaml").write_text("2")
    assert fingerprint.content_key([f"tree:{tmp_path}"], {}, ENVIRONMENT) != before


def test_variables_count_by_value_and_their_values_are_not_told() -> None:
    key = fingerprint.variables_key(["A", "B"], {"A": "secret", "C": "x"})
    assert "secret" not in key and len(key) == 16
    assert fingerprint.variables_key(["B", "A"], {"A": "secret"}) == key
    assert fingerprint.variables_key(["A", "B"], {"A": "secret", "B": ""}) != key
    assert fingerprint.variables_key(["A", "B"], {"A": "other"}) != key
    assert fingerprint.variables_key([], {"A": "secret"}) == ""


def test_packages_count_by_version_and_by_where_they_lie(tmp_path: Path) -> None:
    (tmp_path / "mine-1.0.dist-info").mkdir()
    (tmp_path / "mine.pth").write_text("/srv/one")
    keys = [fingerprint.packages_key(tmp_path)]
    (tmp_path / "mine.pth").write_text("/srv/two")
    keys.append(fingerprint.packages_key(tmp_path))
    (tmp_path / "mine-1.0.dist-info").rename(tmp_path / "mine-1.1.dist-info")
    keys.append(fingerprint.packages_key(tmp_path))
    (tmp_path / "mine").mkdir()
    assert len(set(keys)) == 3 and fingerprint.packages_key(tmp_path) == keys[2]
