"""What a pipeline function is made from, seen in a process of its own: hooks and wrappers stay for good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from include.tfx_airflow.tfx_side.pipeline import watch

ROOT = Path(__file__).resolve().parents[3]
_PROGRAM = """
import json, sys
from include.tfx_airflow.tfx_side.pipeline import watch
watched = watch.Watch()
watched.start()
import user
watched.stop()
open({after!r})
found = watched.inputs({{"BUNDLE_ROOT": {bundle!r}, "TFX_AIRFLOW_HOME": {home!r}, "TFX_PREFIX": sys.prefix}})
print("RESULT" + json.dumps({{key: sorted(value) for key, value in vars(found).items()}}))
"""


def _inputs(bundle: Path, code: str, *more: Path, **environment: str) -> dict[str, list[str]]:
    """Runs the code as module `user` of a bundle; returns what it is made from."""
    bundle.mkdir(exist_ok=True)
    (bundle / "user.py").write_text(textwrap.dedent(code))
    (bundle / "after.txt").write_text("")
    program = _PROGRAM.format(
        bundle=str(bundle), home=str(bundle.parent / "home"), after=str(bundle / "after.txt")
    )
    path = os.pathsep.join(map(str, [bundle, ROOT, *more]))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        cwd=bundle,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.rpartition("RESULT")[2])
    found["files"] = [
        name for name in found["files"] if name != f"{ROOT}/include/__init__.py"
    ]  # this program's
    return found


def test_a_module_that_reads_nothing_is_made_from_itself(tmp_path: Path) -> None:
    found = _inputs(tmp_path / "bundle", "import json, logging, subprocess, numpy, yaml\n")
    assert found == {"files": ["${BUNDLE_ROOT}/user.py"], "installed": [], "variables": [], "unseen": []}


# Code, and the input that it is; each reads a file, a folder and a package of its own, and looks for what
# is not there.
_LOOKS = [
    ("open(FILE).read()", "FILE"),
    ("open(os.fsencode(FILE), 'rb').read()", "FILE"),
    ("Path(FILE).read_text()", "FILE"),
    ("os.open(FILE, os.O_RDONLY)", "FILE"),
    ("pandas.read_csv(FILE)", "FILE"),
    ("sqlite3.connect(FILE)", "FILE"),
    ("os.listdir(FOLDER)", "folder:FOLDER"),
    ("list(os.scandir(FOLDER))", "folder:FOLDER"),
    ("list(os.walk(FOLDER))", "folder:FOLDER/deep"),
    ("glob.glob(FOLDER + '/*.csv')", "folder:FOLDER"),
    ("list(Path(FOLDER).glob('*.csv'))", "folder:FOLDER"),
    ("list(Path(FOLDER).iterdir())", "folder:FOLDER"),
    ("list(pkgutil.iter_modules([FOLDER]))", "folder:FOLDER"),
    ("os.path.exists(ABSENT)", "exists:ABSENT"),
    ("os.path.isdir(ABSENT)", "exists:ABSENT"),
    ("os.access(ABSENT, os.R_OK)", "exists:ABSENT"),
    ("Path(ABSENT).exists()", "exists:ABSENT"),
    ("open(ABSENT)", "exists:ABSENT"),
    ("exec('import ' + ABSENT)", "exists:ABSENT.py"),
    ("exec(f'import {FOLDER}.{ABSENT}')", "exists:FOLDER/ABSENT.py"),
    ("exec('import ' + FOLDER)", "FOLDER/__init__.py"),
    (
        "s = importlib.util.spec_from_file_location('x', FOLDER + '/x.py');"
        " s.loader.exec_module(importlib.util.module_from_spec(s))",
        "FOLDER/x.py",
    ),
]


def test_what_is_read_listed_or_looked_for_is_an_input(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    lines = ["import glob, importlib.util, os, pandas, pkgutil, sqlite3", "from pathlib import Path"]
    expected = {}
    for number, (code, name) in enumerate(_LOOKS):
        names = {"FILE": f"file{number}", "FOLDER": f"folder{number}", "ABSENT": f"absent{number}"}
        (bundle / f"folder{number}" / "deep").mkdir(parents=True)
        for path in (f"file{number}", f"folder{number}/x.py", f"folder{number}/__init__.py"):
            (bundle / path).write_text("x = 1\n" if "/" in path else "")
        if "pandas" in code:
            (bundle / f"file{number}").write_text("a,b\n1,2\n")
        made = code
        for word, own in names.items():
            made, name = made.replace(word, repr(own)), name.replace(word, own)
        made = made.replace(f"{{'folder{number}'}}.{{'absent{number}'}}", f"folder{number}.absent{number}")
        lines += ["try:", f"    {made}", "except (ImportError, FileNotFoundError):", "    pass"]
        kind, colon, path = name.rpartition(":")
        expected[code] = f"{kind}{colon}${{BUNDLE_ROOT}}/{path}"
    found = _inputs(bundle, "\n".join(lines))
    missing = {code: name for code, name in expected.items() if name not in found["files"]}
    assert missing == {}
    assert "${BUNDLE_ROOT}/after.txt" not in found["files"]
    assert found["installed"] == found["variables"] == found["unseen"] == []


def test_file_outside_the_bundle_is_an_input(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("")
    assert f"{tmp_path}/outside.txt" in _inputs(tmp_path / "bundle", "open('../outside.txt')\n")["files"]


def test_what_a_user_reads_among_the_systems_files_is_an_input(tmp_path: Path) -> None:
    code = """
        import glob, os, shutil
        open("/usr/bin/env", "rb").close()
        try:
            open("/usr/share/absent.yaml")
        except FileNotFoundError:
            pass
        glob.glob("/usr/share/*.yaml")
        os.path.exists("/usr/share/looked-for"), shutil.which("no-such-program")
        """
    found = [name for name in _inputs(tmp_path / "bundle", code)["files"] if "/usr/" in name]
    assert found == ["/usr/bin/env", "exists:/usr/share/absent.yaml", "folder:/usr/share"]


def test_what_a_library_reads_among_the_systems_files_for_a_user_is_an_input(tmp_path: Path) -> None:
    code = "import pandas\npandas.read_csv('/usr/bin/env', encoding='latin-1', nrows=0)\n"
    assert "/usr/bin/env" in _inputs(tmp_path / "bundle", code)["files"]


def test_shared_library_is_no_input(tmp_path: Path) -> None:
    libraries = [tmp_path / name for name in ("libx.so", "libx.so.6")]
    for library in libraries:
        library.write_bytes(b"")
    code = f"for path in {[str(path) for path in libraries]}: open(path).close()\n"
    assert _inputs(tmp_path / "bundle", code)["files"] == ["${BUNDLE_ROOT}/user.py"]


def test_folder_of_pythons_library_is_no_input_where_it_is_a_part_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = os.path.dirname(os.__file__)
    monkeypatch.setattr(watch, "_SYSTEM", (f"{os.path.dirname(library)}/",))
    sorter = watch._Sorter(set(), {"BUNDLE_ROOT": str(tmp_path), "TFX_AIRFLOW_HOME": "/nowhere"})
    sorter.take("folder", library, (f"{tmp_path}/user.py",))  # as pkgutil.iter_modules() lists it
    assert sorter.found.files == sorter.found.installed == set()


def test_what_was_written_itself_is_no_input(tmp_path: Path) -> None:
    code = "import tempfile\nwith open('made', 'w') as f: f.write('x')\nopen('made').read()\n"
    assert _inputs(tmp_path / "bundle", code)["files"] == ["${BUNDLE_ROOT}/user.py"]


def test_variable_that_is_read_is_an_input_by_name(tmp_path: Path) -> None:
    code = """
        import os
        os.environ["A1"], os.environ.get("A2"), os.getenv("A3"), "A4" in os.environ, os.getenv("A5")
        os.path.expandvars("$A6")
        """
    values = {f"A{number}": f"a-secret-{number}" for number in (1, 2, 3, 4, 6)}
    found = _inputs(tmp_path / "bundle", code, **values)
    assert found["variables"] == ["A1", "A2", "A3", "A4", "A5", "A6"]
    assert "a-secret" not in json.dumps(found)
    every = _inputs(tmp_path / "bundle", "import os\ndict(os.environ)\n", **values)
    assert set(values) <= set(every["variables"])


def test_variables_that_libraries_read_as_they_load_are_none(tmp_path: Path) -> None:
    assert _inputs(tmp_path / "bundle", "import absl.logging, google.auth, requests\n")["variables"] == []


def test_module_in_a_zip_is_an_input_by_its_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "library.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "")
    found = _inputs(tmp_path / "bundle", "import zipped\n", tmp_path / "library.zip")
    assert f"{tmp_path}/library.zip" in found["files"]


@pytest.mark.slow
def test_files_that_tensorflow_reads_are_inputs(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "data").mkdir(parents=True)
    (bundle / "schema.pbtxt").write_text("")
    code = """
        import tensorflow as tf
        import tensorflow_data_validation as tfdv
        from tfx.dsl.io import fileio
        tfdv.load_schema_text("schema.pbtxt")
        tf.io.gfile.exists("none.txt")
        tf.io.gfile.glob("data/*.csv")
        tf.io.gfile.listdir("data")
        fileio.exists("no.txt")
        try:
            tf.io.gfile.exists("gs://bucket/schema.pbtxt")
        except Exception:
            pass
        """
    found = _inputs(bundle, code)
    assert {
        "${BUNDLE_ROOT}/schema.pbtxt",
        "exists:${BUNDLE_ROOT}/none.txt",
        "glob:${BUNDLE_ROOT}/data/*.csv",
        "folder:${BUNDLE_ROOT}/data",
        "exists:${BUNDLE_ROOT}/no.txt",
    } <= set(found["files"])
    assert found["unseen"] == ["gs://bucket/schema.pbtxt"]
    assert not [name for name in found["files"] if "site-packages" in name]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A Python environment of its own that sees TFX, with a package installed in three ways."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [site] = folder.glob("lib/python3*/site-packages")
    theirs = next(path for path in sys.path if path.endswith("site-packages"))
    for name in os.listdir(theirs):
        (site / name).symlink_to(Path(theirs, name))
    return folder


def test_installed_packages_count_by_content_and_editable_ones_where_they_lie(
    tmp_path: Path, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [site] = venv.glob("lib/python3*/site-packages")
    (site / "installed").mkdir()
    (site / "installed" / "__init__.py").write_text("import os\nos.environ.get('OF_PACKAGE')\n")
    (site / "installed-1.0.dist-info").mkdir()
    (site / "installed-1.0.dist-info" / "METADATA").write_text("Name: installed\nVersion: 1.0\n")
    (tmp_path / "sources" / "editable").mkdir(parents=True)
    (tmp_path / "sources" / "editable" / "__init__.py").write_text("")
    (site / "editable.pth").write_text(f"{tmp_path}/sources\n")
    monkeypatch.setattr(sys, "executable", str(venv / "bin" / "python"))
    found = _inputs(tmp_path / "bundle", "import installed, editable, yaml\n")
    assert found["installed"] == [
        f"${{TFX_PREFIX}}/{site.relative_to(venv)}/installed/__init__.py",
    ]
    assert f"{tmp_path}/sources/editable/__init__.py" in found["files"]
    assert found["variables"] == ["OF_PACKAGE"]
