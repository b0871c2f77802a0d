"""A child process: its environment, its log, its end; small programs stand as TFX interpreter."""

from __future__ import annotations

import json
import logging
import os
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.contract.stream import LEVEL_MARK
from include.tfx_airflow.node_process.node_process import NodeProcess
from include.tfx_airflow.node_process.process import child_environment
from include.tfx_airflow.settings import Settings

REQUEST = NodeRequest(
    ir="/srv/pipeline.json",
    node_id="Gen",
    run="dag:run",
    task={"try_number": 1},
    parameters={"steps": 3, "name": "größer"},
    mlmd={"kind": "sqlite", "path": "/srv/metadata.db"},
    roots={"BUNDLE_ROOT": "/srv"},
)
_HEAD = """#!{python}
import json, os, signal, subprocess, sys, time
request = json.loads(sys.stdin.readline())
if sys.argv[-1].endswith(".abandon"):
    open({abandoned!r}, "w").write(json.dumps(request))
    sys.exit({abandon_code})
fd = int(sys.argv[-1])
def answer(code, **result):
    with open(fd, "w") as file:
        file.write(json.dumps(result) + "\\n")
    sys.stdout.flush()
    os._exit(code)
"""


def _settings(tmp_path: Path, body: str, abandon_code: int = 0, kill_grace: float = 10.0) -> Settings:
    python = tmp_path / "python"
    abandoned = str(tmp_path / "abandoned.json")
    head = _HEAD.format(python=sys.executable, abandoned=abandoned, abandon_code=abandon_code)
    python.write_text(head + textwrap.dedent(body), encoding="utf-8")
    python.chmod(0o755)
    return Settings(python=str(python), home=str(tmp_path / "home"), kill_grace=kill_grace, node_server=False)


def _run(settings: Settings, request: NodeRequest = REQUEST) -> tuple[NodeResult, list[tuple[int, str]]]:
    log: list[tuple[int, str]] = []
    result = NodeProcess(settings, request).wait(lambda level, line: log.append((level, line)))
    return result, log


def _abandoned(tmp_path: Path) -> bool:
    return (tmp_path / "abandoned.json").exists()


def _wait_for(path: Path) -> str:
    deadline = time.monotonic() + 10
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline, f"{path.name} was not written"
        time.sleep(0.02)
    return path.read_text()


def _is_gone(pid: int) -> bool:
    """Whether a process ended; one that nobody has waited for (a zombie) has ended as well."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_environment_drops_what_belongs_to_airflow_and_its_python(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = {
        "AIRFLOW_HOME": "/srv/airflow",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "secret",
        "AIRFLOW_CONN_STORE": "secret",
        "_AIRFLOW_PROCESS_CONTEXT": "client",
        "PYTHONHOME": "/usr",
        "PYTHONSTARTUP": "x.py",
        "VIRTUAL_ENV": "/srv/venv",
    }
    kept = {"GOOGLE_APPLICATION_CREDENTIALS": "/srv/key.json", "MY_PYTHON": "x", "TF_CPP_MIN_LOG_LEVEL": "0"}
    for name, value in {**dropped, **kept, "PATH": "/a:/b", "PYTHONPATH": "/other"}.items():
        monkeypatch.setenv(name, value)
    environment = child_environment(Settings(python="/opt/venv/bin/python", pythonpath="/srv/x:/srv/y"))
    assert not set(dropped) & set(environment)
    assert {name: environment[name] for name in kept} == kept
    assert environment["PATH"] == "/opt/venv/bin:/a:/b"
    assert environment["PYTHONPATH"] == f"{BUNDLE_ROOT}:/srv/x:/srv/y"


def test_environment_without_more_folders_has_the_bundle_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    environment = child_environment(Settings(python="/opt/venv/bin/python"))
    assert environment["PYTHONPATH"] == str(BUNDLE_ROOT)
    assert environment["TF_CPP_MIN_LOG_LEVEL"] == "2"


@pytest.mark.parametrize(
    ("code", "state"), [(0, "executed"), (20, "cached"), (21, "skipped"), (1, "failed"), (22, "refused")]
)
def test_result_is_the_record_when_the_exit_code_agrees(tmp_path: Path, code: int, state: str) -> None:
    body = f"answer({code}, state={state!r}, execution_id=4, outputs={{}}, summary={{'a': 1}}, message='why')"
    result, _ = _run(_settings(tmp_path, body))
    assert result == NodeResult(state, 4, {}, {"a": 1}, "why")
    assert not _abandoned(tmp_path)


def test_child_gets_the_request_as_one_line_and_starts_in_the_bundle(tmp_path: Path) -> None:
    body = "answer(0, state='executed', summary={'request': request, 'cwd': os.getcwd(), 'argv': sys.argv[1:-1]})"
    result, _ = _run(_settings(tmp_path, body))
    assert result.summary["request"] == json.loads(REQUEST.to_json())
    assert "\n" not in REQUEST.to_json()
    assert result.summary["cwd"] == str(BUNDLE_ROOT)
    assert result.summary["argv"] == ["-u", "-m", "include.tfx_airflow.tfx_side.node.run_node"]


def test_log_lines_carry_their_level(tmp_path: Path) -> None:
    body = f"""
        print("plain")
        print("{LEVEL_MARK}40{LEVEL_MARK}it broke{LEVEL_MARK}here")
        print("", flush=True)
        print("größer", file=sys.stderr, flush=True)
        os.write(1, b"\\xff\\n")
        os.write(1, b"no newline")
        answer(0, state="executed")
        """
    _, log = _run(_settings(tmp_path, body))
    assert log == [
        (logging.INFO, "plain"),
        (logging.ERROR, f"it broke{LEVEL_MARK}here"),
        (logging.INFO, ""),
        (logging.INFO, "größer"),
        (logging.INFO, "\ufffd"),
        (logging.INFO, "no newline"),
    ]


@pytest.mark.parametrize("line", ["alone", "x{mark}y", "{mark}"], ids=["one-mark", "no-number", "two-marks"])
def test_line_that_only_looks_like_a_record_is_a_line(tmp_path: Path, line: str) -> None:
    line = LEVEL_MARK + line.format(mark=LEVEL_MARK)
    result, log = _run(_settings(tmp_path, f"print({line!r})\nanswer(0, state='executed')"))
    assert result.state == "executed"
    assert len(log) == 1 and log[0][0] == logging.INFO


def test_log_is_passed_on_while_the_child_runs(tmp_path: Path) -> None:
    go = tmp_path / "go"
    body = f"""
        print("first", flush=True)
        while not os.path.exists({str(go)!r}):
            time.sleep(0.02)
        answer(0, state="executed")
        """
    process = NodeProcess(_settings(tmp_path, body), REQUEST)
    assert process.wait(lambda _, line: go.write_text(line)).state == "executed"


def test_crash_without_a_record_shows_the_code_and_the_last_lines(tmp_path: Path) -> None:
    body = """
        for number in range(100):
            print("line", number)
        sys.exit(3)
        """
    result, log = _run(_settings(tmp_path, body))
    assert result.state == "failed"
    assert "exit code 3" in result.message
    assert result.message.splitlines()[-1] == "line 99"
    assert 20 < len(result.message.splitlines()) < 60
    assert len(log) == 100
    assert json.loads((tmp_path / "abandoned.json").read_text()) == json.loads(REQUEST.to_json())


def test_child_killed_by_a_signal_is_failed_and_mlmd_is_told(tmp_path: Path) -> None:
    result, _ = _run(
        _settings(tmp_path, "print('working', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)")
    )
    assert result.state == "failed"
    assert "killed by SIGKILL" in result.message
    assert result.message.endswith("working")
    assert _abandoned(tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        "answer(0, state='failed')",
        "answer(7, state='executed')",
        'os.write(fd, b\'{"state": "exec\')\nsys.exit(0)',
    ],
    ids=["record-says-failed", "unknown-code", "half-a-record"],
)
def test_record_that_the_exit_code_contradicts_does_not_count(tmp_path: Path, body: str) -> None:
    result, _ = _run(_settings(tmp_path, body))
    assert result.state == "failed"
    assert _abandoned(tmp_path)


def test_mlmd_that_cannot_be_told_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    result, _ = _run(_settings(tmp_path, "sys.exit(3)", abandon_code=1))
    assert result.state == "failed"
    assert "Could not mark node 'Gen' as FAILED in MLMD" in caplog.text


def test_child_that_does_not_read_its_request_is_failed(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 5\n")
    python.chmod(0o755)
    large = NodeRequest(**{**json.loads(REQUEST.to_json()), "parameters": {"text": "x" * 200_000}})
    result, _ = _run(Settings(python=str(python), home=str(tmp_path), node_server=False), large)
    assert result.state == "failed"
    assert "exit code 5" in result.message


@pytest.mark.timeout(30)
@pytest.mark.parametrize("end", ["answer(0, state='executed')", "os._exit(3)"], ids=["record", "crash"])
def test_grandchild_that_keeps_the_log_open_is_ended(tmp_path: Path, end: str) -> None:
    body = f"""
        worker = subprocess.Popen(["sleep", "600"], pass_fds=[fd])
        print(worker.pid, flush=True)
        {end}
        """
    result, log = _run(_settings(tmp_path, body))
    assert result.state == ("executed" if "executed" in end else "failed")
    assert _is_gone(int(log[0][1]))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("newline", ["\\n", ""], ids=["lines", "one-long-line"])
def test_large_record_and_large_log_do_not_deadlock(tmp_path: Path, newline: str) -> None:
    body = f"""
        for number in range(3000):
            sys.stdout.write("y" * 100 + "{newline}")
        answer(0, state="executed", message="x" * 200_000)
        """
    result, log = _run(_settings(tmp_path, body))
    assert result.message == "x" * 200_000
    assert sum(len(line) for _, line in log) == 300_000


def test_standard_input_stays_open_while_the_child_works(tmp_path: Path) -> None:
    body = """
        import select
        readable, _, _ = select.select([sys.stdin], [], [], 0.3)
        answer(0, state="executed", summary={"end_of_file": bool(readable)})
        """
    result, _ = _run(_settings(tmp_path, body))
    assert result.summary == {"end_of_file": False}


@pytest.mark.timeout(30)
def test_kill_lets_the_child_record_its_failure(tmp_path: Path) -> None:
    body = f"""
        signal.signal(signal.SIGTERM, lambda *_: answer(1, state="failed", message="the task was killed"))
        open({str(tmp_path / "ready")!r}, "w").write("yes")
        time.sleep(600)
        """
    process = NodeProcess(_settings(tmp_path, body), REQUEST)
    threading.Thread(target=lambda: (_wait_for(tmp_path / "ready"), process.kill())).start()
    started = time.monotonic()
    assert process.wait(lambda *_: None) == NodeResult("failed", message="the task was killed")
    assert time.monotonic() - started < 9


@pytest.mark.timeout(30)
def test_kill_reaches_a_child_that_ignores_sigterm_and_its_children(tmp_path: Path) -> None:
    body = f"""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        worker = subprocess.Popen(["sleep", "600"])
        open({str(tmp_path / "ready")!r}, "w").write(f"{{os.getpid()}} {{worker.pid}}")
        time.sleep(600)
        """
    process = NodeProcess(_settings(tmp_path, body, kill_grace=0.5), REQUEST)
    pids = [int(pid) for pid in _wait_for(tmp_path / "ready").split()]
    process.kill()
    started = time.monotonic()
    result = process.wait(lambda *_: None)
    assert time.monotonic() - started > 0.3
    assert result.state == "failed"
    assert "killed by SIGKILL" in result.message
    assert all(_is_gone(pid) for pid in pids)
    assert _abandoned(tmp_path)


def test_kill_after_the_end_does_nothing(tmp_path: Path) -> None:
    process = NodeProcess(_settings(tmp_path, "answer(0, state='executed')", kill_grace=0.0), REQUEST)
    assert process.wait(lambda *_: None).state == "executed"
    process.kill()


def test_child_leads_a_group_of_its_own(tmp_path: Path) -> None:
    body = "answer(0, state='executed', summary={'group': os.getpgrp(), 'pid': os.getpid()})"
    result, _ = _run(_settings(tmp_path, body))
    assert result.summary["group"] == result.summary["pid"] != os.getpgrp()
