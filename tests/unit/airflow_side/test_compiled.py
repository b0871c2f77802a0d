"""Compiled pipelines: found by content, compiled once, failures remembered for a while."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from include.tfx_airflow.airflow_side import compiled, tfx_environment
from include.tfx_airflow.contract import fingerprint
from include.tfx_airflow.contract.errors import CompileError, SettingsError, UnsupportedNodeError
from include.tfx_airflow.contract.manifest import FORMAT, IR_FILE, MANIFEST_FILE, Manifest, Node
from include.tfx_airflow.node_process import process
from include.tfx_airflow.settings import Settings

REFERENCE = "flows.taxi:create"
ENVIRONMENT = {
    "tfx": "1.16.0",
    "python": "python3.10",
    "packages": hashlib.sha256(b"tfx-1.16.0.dist-info").hexdigest()[:16],
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "flows" / "taxi.py"
    path.parent.mkdir()
    path.write_text("steps = 1\n")
    return path


def _manifest(*files: Path) -> Manifest:
    node = Node(id="Gen", kind="Gen", type="flows.Gen")
    return Manifest("taxi", REFERENCE, (node,), (), tuple(map(str, files)), ENVIRONMENT)


def _interpreter(tmp_path: Path, body: str = "sys.exit(9)") -> str:
    """A program that stands as TFX interpreter: says that it was started, then does as `body` says."""
    prefix = tmp_path / "venv"
    (prefix / "lib" / "python3.10" / "site-packages" / "tfx-1.16.0.dist-info").mkdir(parents=True)
    (prefix / "bin").mkdir()
    python = prefix / "bin" / "python"
    head = (
        f"#!{sys.executable}\nimport json, sys, time\nopen({str(tmp_path / 'started')!r}, 'a').write('x')\n"
    )
    head += "request = json.load(sys.stdin)\n"
    python.write_text(head + textwrap.dedent(body))
    python.chmod(0o755)
    return str(python)


def _starts(tmp_path: Path) -> int:
    started = tmp_path / "started"
    return len(started.read_text()) if started.exists() else 0


def _folder(settings: Settings) -> Path:
    key = fingerprint.arguments_key(REFERENCE, {}, FORMAT)
    return settings.compiled / f"{REFERENCE.replace(':', '.')}-{key}"


def _fail_before(settings: Settings, source: Path, kind: str, seconds_ago: float) -> None:
    failure = {
        "kind": kind,
        "message": "KeyError: 'a'",
        "traceback": "Traceback\n  the line\nKeyError: 'a'",
        "files": [str(source)],
        "installed": [],
        "variables": [],
        "airflow_variables": [],
        "content": fingerprint.content_key([str(source)], settings.roots(), ENVIRONMENT),
        "time": time.time() - seconds_ago,
    }
    _folder(settings).mkdir(parents=True)
    (_folder(settings) / "failed.json").write_text(json.dumps(failure))


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "flows",
        "flows.taxi",
        "flows.taxi.create",
        "flows/taxi:create",
        ":create",
        "flows:",
        "a:b:c",
        "1a:b",
        None,
    ],
)
def test_bad_reference_is_refused_with_its_form(tmp_path: Path, reference: object) -> None:
    with pytest.raises(CompileError) as caught:
        compiled.load(reference, {}, Settings(home=str(tmp_path)))  # type: ignore[arg-type]
    assert repr(reference) in str(caught.value)
    assert "package.module:function" in str(caught.value)


def test_a_live_pipeline_is_refused_with_both_ways_to_write_it(tmp_path: Path) -> None:
    class Pipeline:
        """Named like TFX's, which this interpreter cannot import."""

    with pytest.raises(CompileError) as caught:
        compiled.load(Pipeline(), {}, Settings(home=str(tmp_path)))  # type: ignore[arg-type]
    assert "run('include.taxi.pipeline:create_pipeline'" in str(caught.value)
    assert "adopt('legacy/taxi_pipeline.py')" in str(caught.value)


def test_arguments_that_are_no_json_are_refused_by_value(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="must be JSON-serializable") as caught:
        compiled.load(REFERENCE, {"folder": Path("/srv")}, Settings(home=str(tmp_path)))
    assert "PosixPath('/srv')" in str(caught.value)


def test_nothing_compiled_and_no_interpreter_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no TFX interpreter"):
        compiled.load(REFERENCE, {}, Settings(home=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    # A file in the way stops root as well, whom permissions do not.
    home = tmp_path / "home"
    home.mkdir()
    (home / "compiled").write_text("")
    settings = Settings(python=_interpreter(tmp_path), home=str(home), node_server=False)
    with pytest.raises(CompileError, match="cannot be written") as caught:
        compiled.load(REFERENCE, {}, settings)
    assert str(home / "compiled") in str(caught.value)
    assert "[tfx_airflow] home" in str(caught.value)
    assert _starts(tmp_path) == 0


def test_entry_is_found_by_content_without_an_interpreter(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path]
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    entry = write_entry(settings, _manifest(source))
    found = compiled.load(REFERENCE, {}, settings)
    assert (found.manifest, found.folder, found.found) == (_manifest(source), entry, True)
    assert found.ir == entry / "pipeline.json"


def test_entry_is_not_found_after_an_edit_and_found_again_when_it_is_undone(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path]
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    write_entry(settings, _manifest(source))
    before = source.read_text()
    source.write_text("steps = 2\n")
    with pytest.raises(SettingsError):
        compiled.load(REFERENCE, {}, settings)
    source.write_text(before)
    assert compiled.load(REFERENCE, {}, settings).found


def test_each_content_has_an_entry_of_its_own(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path]
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    first = write_entry(settings, _manifest(source))
    source.write_text("steps = 2\n")
    second = write_entry(settings, _manifest(source))
    assert compiled.load(REFERENCE, {}, settings).folder == second
    source.write_text("steps = 1\n")
    assert compiled.load(REFERENCE, {}, settings).folder == first


def test_entry_of_other_arguments_is_not_taken(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path]
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    write_entry(settings, _manifest(source), steps=1)
    assert compiled.load(REFERENCE, {"steps": 1}, settings).found
    with pytest.raises(SettingsError):
        compiled.load(REFERENCE, {"steps": 2}, settings)


def test_entry_shipped_to_another_folder_is_found(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path]
) -> None:
    manifest = Manifest("taxi", REFERENCE, (), (), ("${TFX_AIRFLOW_HOME}/taxi.py",), ENVIRONMENT)
    here = Settings(home=str(tmp_path / "here"))
    Path(here.home).mkdir()
    shutil.copy(source, Path(here.home) / "taxi.py")
    write_entry(here, manifest)
    shutil.copytree(here.home, tmp_path / "there")
    found = compiled.load(REFERENCE, {}, Settings(home=str(tmp_path / "there")))
    assert found.folder.is_relative_to(tmp_path / "there")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"format": 99}', b"[]", b"\xff\xfe\x00"],
    ids=["empty", "cut", "format", "list", "no-text"],
)
def test_damaged_entry_is_passed_over(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path], data: bytes
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    entry = write_entry(settings, _manifest(source))
    damaged = entry.parent / "0000000000000000"
    damaged.mkdir()
    (damaged / MANIFEST_FILE).write_bytes(data)
    assert compiled.load(REFERENCE, {}, settings).folder == entry


def test_entry_without_its_ir_is_passed_over(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path]
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    (write_entry(settings, _manifest(source)) / IR_FILE).unlink()
    with pytest.raises(SettingsError, match="no TFX interpreter"):
        compiled.load(REFERENCE, {}, settings)


def test_interpreter_with_another_tfx_does_not_take_the_entry(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path]
) -> None:
    settings = Settings(home=str(tmp_path / "home"), python=_interpreter(tmp_path), node_server=False)
    write_entry(settings, _manifest(source))
    assert compiled.load(REFERENCE, {}, settings).found
    assert _starts(tmp_path) == 0
    site = tmp_path / "venv" / "lib" / "python3.10" / "site-packages"
    (site / "tfx-1.16.0.dist-info").rename(site / "tfx-1.17.0.dist-info")
    with pytest.raises(CompileError, match="exit code 9"):
        compiled.load(REFERENCE, {}, settings)
    assert _starts(tmp_path) == 1


def test_environment_of_a_venv_is_read_without_starting_it(tmp_path: Path) -> None:
    assert tfx_environment.versions(_interpreter(tmp_path)) == ENVIRONMENT
    assert _starts(tmp_path) == 0


def test_environment_of_an_interpreter_without_tfx_says_so() -> None:
    assert tfx_environment.versions(sys.executable)["tfx"] == "missing"


def test_child_gets_the_request_and_its_work_is_found(tmp_path: Path, source: Path) -> None:
    manifest = _manifest(source)
    body = f"""
        from pathlib import Path
        open({str(tmp_path / "request.json")!r}, "w").write(json.dumps(request))
        entry = Path(request["folder"], CONTENT)
        entry.mkdir()
        (entry / "manifest.json").write_text({manifest.to_json()!r})
        (entry / "pipeline.json").write_text("{{}}")
        """
    content = fingerprint.content_key([str(source)], {}, ENVIRONMENT)
    settings = Settings(
        python=_interpreter(tmp_path, f"CONTENT = {content!r}\n" + textwrap.dedent(body)),
        home=str(tmp_path / "home"),
        node_server=False,
    )
    result = compiled.load(REFERENCE, {}, settings)
    assert (result.found, result.manifest) == (False, manifest)
    assert json.loads((tmp_path / "request.json").read_text()) == {
        "reference": REFERENCE,
        "arguments": {},
        "roots": settings.roots(),
        "environment": ENVIRONMENT,
        "legacy": None,
        "sensitive": {},
        "given": process.child_environment(settings),
        "compiled_from": [],
        "folder": str(result.folder.parent),
        "kept": [],
    }
    assert compiled.load(REFERENCE, {}, settings).found
    assert _starts(tmp_path) == 1


def test_child_that_breaks_is_shown_with_its_exit_code_and_last_lines(tmp_path: Path) -> None:
    python = _interpreter(tmp_path, "print('no such library')\nsys.exit(9)")
    with pytest.raises(CompileError) as caught:
        compiled.load(REFERENCE, {}, Settings(python=python, home=str(tmp_path / "home"), node_server=False))
    assert repr(REFERENCE) in str(caught.value)
    assert "exit code 9" in str(caught.value)
    assert str(caught.value).endswith("no such library")


def test_child_that_was_killed_is_shown_with_its_signal(tmp_path: Path) -> None:
    python = _interpreter(tmp_path, "import os\nos.kill(os.getpid(), 9)")
    with pytest.raises(CompileError, match="compiles it was killed by SIGKILL; its last lines"):
        compiled.load(REFERENCE, {}, Settings(python=python, home=str(tmp_path / "home"), node_server=False))


def test_child_whose_exit_code_is_lost_is_not_given_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost:
        def wait(self, _: float | None) -> None:
            """Its server was killed."""

    def start(_: object, __: str, make_files: Callable[[], tuple[int, int, int]], *___: str, **____: object):
        for file in make_files():
            os.close(file)
        return Lost()

    monkeypatch.setattr(process, "start", start)
    with pytest.raises(CompileError, match="compiles it ended with an unknown exit code; its last lines"):
        compiled.load(REFERENCE, {}, Settings(python=_interpreter(tmp_path), home=str(tmp_path / "home")))


def test_files_that_never_stand_still_end_in_an_error(tmp_path: Path) -> None:
    python = _interpreter(tmp_path, f"sys.exit({compiled.CHANGED_MEANWHILE})")
    with pytest.raises(CompileError, match="kept changing while it was compiled"):
        compiled.load(REFERENCE, {}, Settings(python=python, home=str(tmp_path / "home"), node_server=False))
    assert _starts(tmp_path) == 3


def test_impatient_parse_leaves_the_child_at_work(tmp_path: Path) -> None:
    go, done = tmp_path / "go", tmp_path / "done"
    body = f"""
        import os
        while not os.path.exists({str(go)!r}):
            time.sleep(0.02)
        open({str(done)!r}, "w")
        sys.exit(9)
        """
    settings = Settings(python=_interpreter(tmp_path, body), home=str(tmp_path / "home"), node_server=False)
    for patience in (0.3, 0.1):  # the second finds the lock taken and starts no child
        with pytest.raises(CompileError, match="still being compiled"):
            compiled.load(REFERENCE, {}, settings, patience=patience)
    go.touch()
    deadline = time.monotonic() + 10
    while not done.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert done.exists()
    assert _starts(tmp_path) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [("error", CompileError), ("unsupported", UnsupportedNodeError)],
    ids=["error", "unsupported"],
)
def test_known_failure_is_raised_again_without_a_child(
    tmp_path: Path, source: Path, kind: str, error: type[CompileError]
) -> None:
    settings = Settings(python=_interpreter(tmp_path), home=str(tmp_path / "home"), node_server=False)
    _fail_before(settings, source, kind, seconds_ago=5)
    with pytest.raises(CompileError) as caught:
        compiled.load(REFERENCE, {}, settings)
    assert type(caught.value) is error
    assert str(caught.value).endswith(f"{REFERENCE!r}: KeyError: 'a'\nTraceback\n  the line\nKeyError: 'a'")
    assert _starts(tmp_path) == 0


@pytest.mark.parametrize("text", ["", "{}", "[]"], ids=["empty", "no-fields", "list"])
def test_damaged_failure_is_passed_over(tmp_path: Path, text: str) -> None:
    settings = Settings(python=_interpreter(tmp_path), home=str(tmp_path / "home"), node_server=False)
    _folder(settings).mkdir(parents=True)
    (_folder(settings) / "failed.json").write_text(text)
    with pytest.raises(CompileError, match="exit code 9"):
        compiled.load(REFERENCE, {}, settings)


@pytest.mark.parametrize("case", ["edited", "long-ago", "forced"])
def test_known_failure_is_tried_again(tmp_path: Path, source: Path, case: str) -> None:
    settings = Settings(python=_interpreter(tmp_path), home=str(tmp_path / "home"), node_server=False)
    _fail_before(settings, source, "error", seconds_ago=3600 if case == "long-ago" else 5)
    if case == "edited":
        source.write_text("steps = 2\n")
    with pytest.raises(CompileError, match="exit code 9"):
        compiled.load(REFERENCE, {}, settings, force=case == "forced")
    assert _starts(tmp_path) == 1


def test_failure_of_the_child_is_read_from_its_file(tmp_path: Path) -> None:
    failure = {
        "kind": "reference",
        "message": "no module 'flows'",
        "traceback": "",
        "files": [],
        "content": "",
        "time": 0,
    }
    body = f"""
        open(request["folder"] + "/failed.json", "w").write({json.dumps(failure)!r})
        sys.exit({compiled.PIPELINE_ERROR})
        """
    settings = Settings(python=_interpreter(tmp_path, body), home=str(tmp_path / "home"), node_server=False)
    with pytest.raises(CompileError, match="no module 'flows'$"):
        compiled.load(REFERENCE, {}, settings)


def test_template_in_an_argument_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    for arguments, where in (
        ({"pipeline_root": "{{ var.value.x }}/p"}, "'pipeline_root'"),
        ({"paths": [{"a": "{% if x %}1{% endif %}"}]}, "\"paths[0]['a']\""),
        ({"labels": {"{{ ds }}": 1}}, "\"labels['{{ ds }}']\""),
    ):
        with pytest.raises(CompileError, match="are not rendered") as caught:
            compiled.load(REFERENCE, arguments, Settings(home=str(tmp_path)))
        assert where in str(caught.value) and "RuntimeParameter" in str(caught.value)
    with pytest.raises(SettingsError):  # braces alone are none
        compiled.load(REFERENCE, {"a": '{"b": {"c": {}}}', "b": "span{SPAN}"}, Settings(home=str(tmp_path)))


def test_entry_is_not_found_when_a_variable_that_it_read_has_another_value(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    manifest = dataclasses.replace(_manifest(source), variables=("STEPS", "TOKEN"))
    for steps in ("1", "2"):
        monkeypatch.setenv("STEPS", steps)
        key = fingerprint.variables_key(manifest.variables, {"STEPS": steps})
        write_entry(settings, dataclasses.replace(manifest, environment={**ENVIRONMENT, "variables": key}))
        assert compiled.load(REFERENCE, {}, settings).manifest.environment["variables"] == key
    for name, value in (("STEPS", "3"), ("TOKEN", "abc")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(SettingsError):
                compiled.load(REFERENCE, {}, settings)


def test_declared_inputs_are_part_of_what_is_looked_for(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path]
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    write_entry(settings, _manifest(source))
    with pytest.raises(SettingsError):
        compiled.load(REFERENCE, {}, settings, compiled_from=["/srv/config"])


def test_looking_up_takes_the_same_time_whatever_is_kept(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    entry = write_entry(settings, _manifest(source))
    for number in range(500):
        other = entry.parent / f"{number:016x}"
        shutil.copytree(entry, other)
        os.utime(other, (number, number))
    reads: list[Path] = []
    read = Manifest.read
    monkeypatch.setattr(Manifest, "read", lambda folder: reads.append(folder) or read(folder))
    assert compiled.find(entry.parent, settings) == (_manifest(source), entry)
    assert reads == [entry]  # the newest
    source.write_text("steps = 2\n")
    assert compiled.find(entry.parent, settings) is None
    assert len(reads) == 1 + compiled.KEPT


def test_entry_that_is_in_use_stays_among_the_newest(
    tmp_path: Path, source: Path, write_entry: Callable[..., Path]
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    entry = write_entry(settings, _manifest(source))
    os.utime(entry, (1, 1))
    for number in range(compiled.KEPT - 1):
        shutil.copytree(entry, entry.parent / f"{number:016x}")
    assert compiled.load(REFERENCE, {}, settings).found
    assert compiled.newest(entry.parent)[0] == entry
