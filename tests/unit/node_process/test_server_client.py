"""The node server seen from a task: what it forks is what a new process would have been."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow.contract import server_key
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.settings import Settings
from tests.server import Bench, Child, client_process, is_alive, wait_until

_SLEEP = """
    import os, sys, time
    os.write(int(sys.argv[1]), str(os.getpid()).encode() + b"\\n")
    time.sleep(600)
    """


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A deployment whose server, if a test starts one, ends with the test."""
    tmp_path_factory.getbasetemp()  # while the folder of temporary files is still the system's
    folder = Path(tempfile.mkdtemp(prefix="w"))  # short: a socket's path has 107 characters at most
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    made = Bench(folder)
    yield made
    made.stop()
    shutil.rmtree(folder)


def _cold(bench: Bench) -> Settings:
    return dataclasses.replace(bench.settings, node_server=False)


def _pid(child: Child) -> int:
    wait_until(lambda: child._texts[1].endswith(b"\n"))
    return int(child._texts[1])


def test_forked_child_is_what_a_new_process_would_be(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    module = bench.module(
        "report",
        """
        import json, logging, os, signal, sys, threading
        from pathlib import Path
        umask = os.umask(0)
        report = {
            "name": __name__, "spec": __spec__.name, "main": sys.modules["__main__"].__spec__.name,
            "argv": sys.argv[1:] == [str(int(sys.argv[1]))], "cwd": os.getcwd(), "umask": umask,
            "leads": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
            "stdin": sys.stdin.read(3), "files": len(os.listdir("/proc/self/fd")),
            "environment": {k: v for k, v in os.environ.items() if k not in ("LEARNED", "_", "SHLVL")},
            "handlers": [str(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGCHLD)],
            "wakeup": signal.set_wakeup_fd(-1), "threads": threading.active_count(),
            "logging": [str(logging.root.handlers), logging.root.level],
            "path": [p for p in sys.path if "pytest" not in p][:3],
        }
        print("to output"); print("to errors", file=sys.stderr)
        os.write(int(sys.argv[1]), json.dumps(report).encode())
        """,
    )
    monkeypatch.setenv("ONLY_OF_THIS_TASK", "yes")
    before = os.umask(0o027)
    try:
        cold, warm_ = bench.start(module, b"abc", _cold(bench)), bench.start(module, b"abc")
    finally:
        os.umask(before)
    assert [child.process.wait(20) for child in (cold, warm_)] == [0, 0]
    assert type(cold.process) is not type(warm_.process)
    assert json.loads(warm_.said()) == json.loads(cold.said())
    assert json.loads(warm_.said())["umask"] == 0o027
    assert (
        sorted(warm_.printed().split())
        == sorted(cold.printed().split())
        == sorted("to output to errors".split())
    )


@pytest.mark.parametrize("server", [True, False], ids=["forked", "new"])
@pytest.mark.parametrize(
    ("body", "code", "printed"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit(22)", 22, ""),
        ("raise SystemExit", 0, ""),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("import os; os._exit(7)", 7, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import os; os.kill(os.getpid(), 15)", -15, ""),
        ("import no_such_module_here", 1, "No module named 'no_such_module_here'"),
    ],
    ids=["end", "exit", "bare-exit", "exception", "os-exit", "sigkill", "sigterm", "import-error"],
)
def test_exit_code_and_traceback_arrive(
    bench: Bench, server: bool, body: str, code: int, printed: str
) -> None:
    child = bench.start(bench.module("ends", body), settings=bench.settings if server else _cold(bench))
    assert child.process.wait(20) == code
    assert printed in child.printed()


def test_edit_between_two_children_is_seen(bench: Bench) -> None:
    bench.module("part", "X = 'first'\n")
    main = bench.module("main_of", "import os, sys, part\nos.write(int(sys.argv[1]), part.X.encode())\n")
    assert bench.run(main) == (0, "first")
    bench.module("part", "X = 'then the second'\n")
    bench.module("later", "X = 'new'\n")
    assert bench.run(main) == (0, "then the second")
    assert bench.run(bench.module("other", "import os, sys, later\nos.write(3, later.X.encode())")) == (
        0,
        "new",
    )
    assert bench.status()["served"] == 3


def test_environment_is_the_tasks_with_what_the_imports_have_set(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = bench.module(
        "env", "import os\nos.write(3, f\"{os.environ.get('A')} {os.environ.get('LEARNED')}\".encode())"
    )
    monkeypatch.setenv("A", "of the first task")
    assert bench.run(module) == (0, "of the first task yes")
    monkeypatch.setenv("A", "of the second")
    assert bench.run(module) == (0, "of the second yes")
    monkeypatch.delenv("A")
    monkeypatch.setenv("LEARNED", "set by the user")
    assert bench.run(module) == (0, "None set by the user")


def test_random_numbers_differ_between_children(bench: Bench) -> None:
    module = bench.module("chance", "import os, random\nos.write(3, str(random.random()).encode())")
    bench.module("learned", "import random\nrandom.seed(1)\n")
    assert len({bench.run(module)[1] for _ in range(5)}) == 5


def test_children_run_at_the_same_time_up_to_the_slots(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = dataclasses.replace(bench.settings, node_server_slots=2)
    module = bench.module("nap", _SLEEP)
    one, two = (bench.start(module, settings=settings) for _ in range(2))
    pids = [_pid(one), _pid(two)]
    quick = bench.module("quick", "pass")
    client = client_process(
        f"""
        import dataclasses
        child = Child(dataclasses.replace(settings, node_server_slots=2), {quick!r}, b"")
        print(child.process.wait(20), flush=True)
        """,
        bench,
    )
    wait_until(lambda: bench.status()["waiting"] == 1)
    assert sorted(child["pid"] for child in bench.status()["running"]) == sorted(pids)
    assert client.poll() is None
    one.process.signal(signal.SIGKILL)
    assert one.process.wait(20) == -9
    assert client.communicate(timeout=20)[0] == b"0\n"
    assert is_alive(pids[1])


def test_nodes_that_are_asked_for_at_once_are_no_more_than_the_slots_and_the_others_hear_that_they_wait(
    bench: Bench,
) -> None:
    settings = dataclasses.replace(bench.settings, node_server_slots=2)
    assert bench.run(bench.module("nothing", "pass"), settings=settings) == (0, "")
    module = bench.module("nap", _SLEEP)
    server = bench.status()["pid"]
    os.kill(server, signal.SIGSTOP)  # so that it hears of all of them in one round
    code = f"""
        import logging
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
        print("asks", flush=True)
        Child(settings, {module!r}, b"").process.wait()
        """
    clients = [client_process(code, bench) for _ in range(5)]
    assert [client.stdout.readline() for client in clients] == [b"asks\n"] * 5
    time.sleep(0.5)
    os.kill(server, signal.SIGCONT)
    wait_until(lambda: (found := bench.status()) and len(found["running"]) + found["waiting"] == 5)
    assert len(bench.status()["running"]) == 2
    for client in clients:
        client.kill()
    said = sorted(client.communicate()[0] for client in clients)
    waits = b"Waiting for a slot: 2 nodes are running, as many as [tfx_airflow] node_server_slots allows.\n"
    assert said == [b"", b"", waits, waits, waits]


def test_compiling_waits_for_no_slot_and_takes_none(bench: Bench) -> None:
    settings = dataclasses.replace(bench.settings, node_server_slots=1)
    nap = bench.module("nap", _SLEEP)
    compiling = [bench.start(nap, settings=settings, detached=True, timeout=15) for _ in range(2)]
    node = bench.start(nap, settings=settings)
    compiling.append(bench.start(nap, settings=settings, detached=True, timeout=15))
    assert all(is_alive(_pid(child)) for child in (node, *compiling))
    for child in (node, *compiling):
        child.process.signal(signal.SIGKILL)


def test_child_ends_when_its_task_is_killed_hard_even_one_that_will_not(bench: Bench) -> None:
    deaf = bench.module(
        "deaf",
        """
        import os, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        worker = subprocess.Popen(["sleep", "600"])
        os.write(int(sys.argv[1]), f"{os.getpid()} {worker.pid}\\n".encode())
        time.sleep(600)
        """,
    )
    code = f"""
        import dataclasses
        from include.tfx_airflow.node_process import server_client
        server_client._MORE_GRACE = 0.2  # on top of the task's own
        child = Child(dataclasses.replace(settings, kill_grace=0.3), {deaf!r}, b"")
        while not child._texts[1].endswith(b"\\n"): time.sleep(0.01)
        print(child._texts[1].decode(), end="", flush=True)
        time.sleep(600)
        """
    client = client_process(code, bench)
    pids = [int(word) for word in client.stdout.readline().split()]
    assert all(is_alive(pid) for pid in pids)
    client.kill()
    client.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in pids))
    assert bench.status()["running"] == []


def test_what_a_child_leaves_behind_ends_with_it(bench: Bench) -> None:
    module = bench.module(
        "leaves",
        """
        import os, subprocess
        worker = subprocess.Popen(["sleep", "600"])
        os.write(3, str(worker.pid).encode())
        """,
    )
    code, text = bench.run(module)
    assert code == 0
    wait_until(lambda: not is_alive(int(text)))


def test_child_lives_on_when_the_server_is_killed(bench: Bench) -> None:
    go = bench.folder / "go"
    module = bench.module(
        "outlives",
        f"""
        import os, time
        os.write(3, b"began ")
        while not os.path.exists({str(go)!r}): time.sleep(0.02)
        os.write(3, b"ended")
        raise SystemExit(5)
        """,
    )
    child = bench.start(module)
    wait_until(lambda: child._texts[1])
    os.kill(bench.status()["pid"], signal.SIGKILL)
    with pytest.raises(subprocess.TimeoutExpired):
        child.process.wait(0.3)
    go.write_text("")
    assert child.process.wait(20) is None
    assert child.said() == "began ended"
    assert bench.run(module) == (5, "began ended")  # by a new server, in the place of the old socket
    assert bench.status()["served"] == 1


def test_server_that_ends_just_when_it_is_asked_is_replaced(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    module = bench.module("asked", "import os\nos.write(3, b'done')")
    assert bench.run(module) == (0, "done")
    status = bench.status()
    assert status
    os.kill(status["pid"], signal.SIGSTOP)  # takes connections, and no requests
    killer = threading.Timer(0.5, os.kill, [status["pid"], signal.SIGKILL])
    killer.start()
    assert bench.run(module) == (0, "done")
    killer.join()
    assert bench.status()["pid"] != status["pid"]
    assert "new process" not in caplog.text


def test_server_and_child_killed_together_is_an_end(bench: Bench) -> None:
    module = bench.module(
        "with_worker",
        """
        import os, subprocess, time
        worker = subprocess.Popen(["sleep", "600"])
        os.write(3, f"{worker.pid}\\n".encode())
        time.sleep(600)
        """,
    )
    child = bench.start(module)
    worker = _pid(child)
    os.kill(bench.status()["pid"], signal.SIGKILL)
    os.kill(child.process.pid, signal.SIGKILL)
    assert child.process.wait(20) is None
    wait_until(lambda: not is_alive(worker))


def test_detached_child_outlives_its_client(bench: Bench) -> None:
    done = bench.folder / "done"
    module = bench.module("stays", f"import time\ntime.sleep(1)\nopen({str(done)!r}, 'w').write('yes')")
    client = client_process(f"Child(settings, {module!r}, b'', detached=True)\nos._exit(0)", bench)
    assert client.wait(20) == 0
    assert not done.exists()
    assert wait_until(lambda: done.exists() and done.read_text()) == "yes"


def test_five_first_users_share_one_server(bench: Bench) -> None:
    module = bench.module("parent", "import os\nos.write(3, str(os.getppid()).encode())")
    code = (
        f"child = Child(settings, {module!r}, b'')\nchild.process.wait(20)\nprint(child.said(), flush=True)"
    )
    clients = [client_process(code, bench) for _ in range(5)]
    parents = {client.communicate(timeout=40)[0] for client in clients}
    assert parents == {b"%d\n" % bench.status()["pid"]}


def test_two_homes_have_two_servers(bench: Bench) -> None:
    other = dataclasses.replace(bench.settings, home=str(bench.folder / "other"))
    module = bench.module("parent", "import os\nos.write(3, str(os.getppid()).encode())")
    Path(other.home).mkdir()
    mine, theirs = bench.run(module), bench.run(module, settings=other)
    assert mine[0] == theirs[0] == 0
    assert mine[1] != theirs[1]
    os.kill(int(theirs[1]), signal.SIGKILL)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION",
            "LANG",
            "LC_ALL",
            "LC_NUMERIC",
            "TZ",
            "TMPDIR",
            "TMP",
            "HOME",
        ),
        *(
            "KERAS_BACKEND",
            "OMP_NUM_THREADS",
            "MPLCONFIGDIR",
            "XDG_CONFIG_HOME",
            "AWS_REGION",
            "GLOG_v",
            "LD_PRELOAD",
        ),
    ],
)
def test_variable_that_libraries_read_as_they_load_changes_the_place(name: str) -> None:
    before = server_key.key("/opt/tfx/bin/python", "", {"A": "1", name: "before"})
    assert server_key.key("/opt/tfx/bin/python", "", {"A": "2", name: "before"}) == before
    assert server_key.key("/opt/tfx/bin/python", "", {"A": "1", name: "after"}) != before
    assert server_key.key("/opt/tfx/bin/python", "", {"A": "1"}) != before


@pytest.mark.parametrize(
    "name", ["PATH", "PWD", "TRACEPARENT", "AWS_SESSION_TOKEN", "SSH_CLIENT", "XDG_SESSION_ID"]
)
def test_variable_that_is_read_in_time_does_not_change_the_place(name: str) -> None:
    assert server_key.key("/opt/tfx/bin/python", "", {name: "a"}) == server_key.key(
        "/opt/tfx/bin/python", "", {}
    )


@pytest.mark.parametrize("change", ["package", "variable", "code", "pythonpath"])
def test_place_changes_with_what_the_server_has_in_memory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: str
) -> None:
    packages = bench.folder / "venv" / "lib" / "python3.10" / "site-packages"
    record = packages / "tfx-1.16.0.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    record.write_text("as installed")
    before = bench.socket
    assert bench.socket == before
    if change == "package":
        os.utime(record, ns=(1, 1))
    elif change == "variable":
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    elif change == "pythonpath":
        bench.settings = dataclasses.replace(bench.settings, pythonpath="/srv/more")
    else:
        copy = tmp_path / "tfx_airflow"
        shutil.copytree(BUNDLE_ROOT / "include" / "tfx_airflow", copy)
        monkeypatch.setattr(server_key, "__file__", str(copy / "contract" / "server_key.py"))
        assert bench.socket == before
        (copy / "tfx_side" / "node" / "node.py").write_text("# edited\n")
    assert bench.socket != before
    assert bench.socket.parent == before.parent


def test_place_is_the_users_own_and_does_not_change_with_a_tasks_environment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bench.socket
    assert f"tfx-airflow-{os.getuid()}" in before.parts
    monkeypatch.setenv("OF_THIS_TASK", "1")
    monkeypatch.setenv("AIRFLOW_CTX_TASK_ID", "Trainer")
    assert bench.socket == before


def _commit(bench: Bench, name: str) -> Path:
    """A folder with this orchestrator and a module of its own, as a GitDagBundle makes one for each commit."""
    folder = bench.folder / name
    shutil.copytree(BUNDLE_ROOT / "include" / "tfx_airflow", folder / "include" / "tfx_airflow")
    (folder / "tests").mkdir()
    for path in ("include/__init__.py", "tests/__init__.py", "tests/server.py"):
        shutil.copy(BUNDLE_ROOT / path, folder / path)
    (folder / "include" / "of_commit.py").write_text(
        "import json, os, sys\n"
        "from include.tfx_airflow import settings\n"
        "if __name__ == '__main__':\n"
        "    import include.of_commit\n"
        f"    found = [{name!r}, os.getcwd(), include.of_commit.__file__, settings.__file__, sys.path[:3]]\n"
        "    found += [os.environ['PYTHONPATH'], os.getppid()]\n"
        "    os.write(int(sys.argv[1]), json.dumps(found).encode())\n"
    )
    return folder


def _run_commit(bench: Bench, commit: Path, seconds: float = 300) -> dict[str, Any]:
    """Runs the module of a commit; returns what it found, the server's status and its socket."""
    code = f"""
        import dataclasses
        from include.tfx_airflow.node_process import process, server_client
        settings = dataclasses.replace(settings, node_server_idle={seconds})
        child = Child(settings, "include.of_commit", b"")
        assert child.process.wait(20) == 0, child.printed()
        environment = process.child_environment(settings)
        path = str(server_client.socket_path(settings, environment))
        print(json.dumps([json.loads(child.said()), server_client.ask(settings, environment, "status"), path]))
        """
    output, _ = client_process(code, bench, commit).communicate(timeout=60)
    found, status, path = json.loads(output)
    return {"found": found[:-1], "server": found[-1], "status": status, "socket": Path(path)}


def test_commits_of_a_bundle_with_the_same_orchestrator_share_a_server(bench: Bench) -> None:
    commits = [_commit(bench, name) for name in ("first", "second", "third")]
    runs = [_run_commit(bench, commit) for commit in commits]
    assert len({run["server"] for run in runs}) == 1
    assert runs[-1]["status"]["served"] == 3
    for commit, run in zip(commits, runs, strict=True):
        imported_from = [commit / "include" / name for name in ("of_commit.py", "tfx_airflow/settings.py")]
        modules = str(bench.folder / "modules")
        assert run["found"] == [
            commit.name,
            str(commit),
            *map(str, imported_from),
            [str(commit), str(commit), modules],
            f"{commit}:{modules}",
        ]


def test_server_of_a_commit_with_another_orchestrator_ends_soon_after_its_last_request(bench: Bench) -> None:
    old, new = _commit(bench, "old"), _commit(bench, "new")
    (new / "include" / "tfx_airflow" / "airflow_side" / "dag.py").write_text("# of another commit\n")
    first, second = _run_commit(bench, old), _run_commit(bench, new)
    assert first["server"] != second["server"]
    assert first["status"]["idle_timeout"] == second["status"]["idle_timeout"] == 300
    again = _run_commit(bench, old)  # a run that began with the old commit
    assert again["server"] == first["server"]
    assert again["status"]["idle_timeout"] == 60
    for server in (first["server"], second["server"]):
        os.kill(server, signal.SIGTERM)


def test_server_whose_code_was_edited_ends_with_what_it_runs(bench: Bench) -> None:
    commit = _commit(bench, "edited")
    go = bench.folder / "go"
    bench.module("waits", f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)")
    code = """
        child = Child(settings, "waits", b"")
        print("began", flush=True)
        print(child.process.wait(20), flush=True)
        """
    client = client_process(code, bench, commit)
    assert client.stdout and client.stdout.readline() == b"began\n"
    old = _run_commit(bench, commit)
    (commit / "include" / "tfx_airflow" / "airflow_side" / "dag.py").write_text("# edited\n")
    new = _run_commit(bench, commit)
    assert new["server"] != old["server"]
    wait_until(lambda: not old["socket"].exists())
    assert is_alive(old["server"])
    go.write_text("")
    assert client.communicate(timeout=20)[0] == b"0\n"
    wait_until(lambda: not is_alive(old["server"]))
    assert sorted(path.suffix for path in new["socket"].parent.iterdir()) == [".lock", ".log", ".sock"]
    os.kill(new["server"], signal.SIGTERM)


def test_request_that_is_too_large_is_done_by_a_new_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(30):
        monkeypatch.setenv(f"LARGE_{number}", "x" * 20_000)
    module = bench.module(
        "large", "import os, sys\nos.write(int(sys.argv[1]), str(len(os.environ['LARGE_29'])).encode())"
    )
    assert bench.run(module) == (0, "20000")
    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith("The node server cannot be used, so a new process does the work:")
    assert "Message too long" in line


def test_interpreter_that_cannot_serve_is_named_by_its_last_line(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.module("learned", "raise ImportError('libcudart.so.12: no such file')")
    assert bench.run(bench.module("works", "import os, sys\nos.write(int(sys.argv[1]), b'yes')")) == (
        0,
        "yes",
    )
    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "ImportError: libcudart.so.12: no such file" in line


@pytest.mark.slow
def test_waiting_client_that_gives_up_is_never_served(bench: Bench) -> None:
    """Else the node would run twice: in the new process that took over, and in the late child."""
    bench.module("learned", "import time\ntime.sleep(3)")
    marker = bench.folder / "ran"
    module = bench.module(
        "late", f"import sys\nif sys.stdin.readline(): open({str(marker)!r}, 'a').write('x')"
    )
    client = client_process(f"Child(settings, {module!r}, b'')", bench)
    wait_until(bench.socket.exists)
    time.sleep(0.3)
    client.kill()
    client.wait()
    assert bench.run(bench.module("after", "pass")) == (0, "")
    wait_until(lambda: bench.status()["running"] == [])
    assert not marker.exists()
