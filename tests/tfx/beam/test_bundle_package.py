"""The bundle's code as one wheel: what is in it, and when it is built."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from include.tfx_airflow.tfx_side.beam import bundle_package


def _bundle(folder: Path) -> Path:
    root = folder / "bundle"
    for name, text in {
        "mine/__init__.py": "",
        "mine/model.py": "from mine.sibling import x\n",
        "mine/words.txt": "a\n",
        "loose/data.csv": "1\n",
        "loose/script.py": "y = 1\n",
        ".state/tfx/lib/z.py": "",
        "mine/__pycache__/model.cpython-310.pyc": "",
        "venv/pyvenv.cfg": "",
        "venv/lib/z.py": "",
        "mine/.hidden.py": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def _names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name for name in archive.namelist() if ".dist-info/" not in name)


def test_it_has_all_python_files_and_the_data_of_packages(tmp_path: Path) -> None:
    wheel = bundle_package.build([str(_bundle(tmp_path))], str(tmp_path / "home"))
    assert _names(wheel) == ["loose/script.py", "mine/__init__.py", "mine/model.py", "mine/words.txt"]


def test_the_same_content_is_the_same_wheel_and_built_once(tmp_path: Path) -> None:
    root, home = _bundle(tmp_path), str(tmp_path / "home")
    first = bundle_package.build([str(root)], home)
    data, at = first.read_bytes(), first.stat().st_mtime_ns
    os.utime(root / "mine/model.py", (1, 1))
    assert bundle_package.build([str(root)], home) == first and first.stat().st_mtime_ns == at
    assert bundle_package.build([str(root)], str(tmp_path / "other")).read_bytes() == data
    (root / "mine/model.py").write_text("from mine.sibling import y\n")
    assert bundle_package.build([str(root)], home).name != first.name


def test_the_first_folder_wins(tmp_path: Path) -> None:
    root, more = _bundle(tmp_path), tmp_path / "more"
    (more / "mine").mkdir(parents=True)
    (more / "mine/model.py").write_text("other\n")
    (more / "top.py").write_text("")
    wheel = bundle_package.build([str(root), str(more)], str(tmp_path / "home"))
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("mine/model.py") == b"from mine.sibling import x\n"
    assert "top.py" in _names(wheel)


def test_a_large_file_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = _bundle(tmp_path)
    monkeypatch.setattr(bundle_package, "LARGEST", 1 << 20)
    (root / "mine/words.txt").write_bytes(b"a" * ((1 << 20) + 1))
    assert "mine/words.txt" not in _names(bundle_package.build([str(root)], str(tmp_path / "home")))
    assert "words.txt is not sent to Beam's workers: it has more than 1 MB" in caplog.text


def test_its_record_is_that_of_a_wheel(tmp_path: Path) -> None:
    wheel = bundle_package.build([str(_bundle(tmp_path))], str(tmp_path / "home"))
    name, version, *tags = wheel.stem.split("-")
    assert tags == ["py3", "none", "any"]
    with zipfile.ZipFile(wheel) as archive:
        rows = list(csv.reader(io.StringIO(archive.read(f"{name}-{version}.dist-info/RECORD").decode())))
        assert {row[0] for row in rows} == set(archive.namelist())
        for file, digest, size in rows[:-1]:
            data = archive.read(file)
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(data)))
