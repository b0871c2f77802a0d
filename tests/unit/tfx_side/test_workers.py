"""What user code that starts processes meets: no standard input, and nothing of its parent's in a worker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from include.tfx_airflow.contract.bundle import BUNDLE_ROOT

_HEAD = """
import os, select, signal, subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool, Process
from include.tfx_airflow.tfx_side import workers

def square(number):
    return number * number

def files():
    names = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd") if int(name) > 2]
    return {os.readlink(name) for name in names if os.path.islink(name)}  # without that of the listing
"""


def _start(code: str, tmp_path: Path) -> subprocess.Popen[str]:
    """Starts a program whose standard input stays open."""
    (tmp_path / "program.py").write_text(_HEAD + textwrap.dedent(code))
    return subprocess.Popen(
        [sys.executable, "-m", "program"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(BUNDLE_ROOT)},
        start_new_session=True,
    )


def _said(code: str, tmp_path: Path) -> str:
    program = _start(code, tmp_path)
    try:
        assert program.wait(30) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)  # and its workers
    return program.stdout.read() if program.stdout else ""


@pytest.mark.parametrize(
    "code",
    [
        "subprocess.run(['cat'])",
        "os.system('read line')",
        "print(sys.stdin.read(), end='')",
        "Process(target=sys.stdin.read).start()",
        "ProcessPoolExecutor(1).submit(square, 3).result()",
        "with Pool(1) as pool: pool.map(square, [3])",
    ],
    ids=["subprocess", "shell", "own", "process", "executor", "pool"],
)
def test_standard_input_has_ended_for_everybody_while_a_thread_reads_what_it_was(
    tmp_path: Path, code: str
) -> None:
    head = """
    import threading
    asking = workers.take_standard_input()
    assert not os.get_inheritable(asking)
    threading.Thread(target=os.read, args=[asking, 1], daemon=True).start()
    """
    said = _said(textwrap.dedent(head) + f"{code}\nprint('done', flush=True)\nos._exit(0)", tmp_path)
    assert said == "done\n"


@pytest.mark.timeout(60)
def test_a_beam_program_has_no_standard_input_and_ends_with_its_task(tmp_path: Path) -> None:
    (tmp_path / "beam_program.py").write_text(
        "import subprocess, time\nsubprocess.run(['cat'])\nprint('read', flush=True)\ntime.sleep(600)\n"
    )
    program = subprocess.Popen(
        [sys.executable, "-m", "include.tfx_airflow.tfx_side.beam_job", "1", "5", "beam_program"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=BUNDLE_ROOT,
        env={**os.environ, "PYTHONPATH": f"{BUNDLE_ROOT}:{tmp_path}"},
        start_new_session=True,
    )
    try:
        assert program.stdin and program.stdout
        program.stdin.write(
            json.dumps({"name": "in_memory", "runner": {"kind": "in_memory"}}).encode() + b"\n"
        )
        program.stdin.flush()
        assert program.stdout.readline() == b"read\n"
        program.stdin.close()
        assert program.wait(10) == -9
    finally:
        program.kill()


_KEPT = "asking, terminated = os.open(__file__, os.O_RDONLY), workers.Terminated()\n"
_KEPT += "workers.keep_from_workers(terminated, [asking])\n"


@pytest.mark.timeout(60)
def test_worker_has_neither_the_files_nor_the_handler(tmp_path: Path) -> None:
    code = """
        pid = os.fork()
        if not pid:
            kept = [name for name in files() if name == __file__ or name.startswith("pipe:")]
            os._exit(len(kept) + 10 * (signal.getsignal(signal.SIGTERM) != signal.SIG_DFL))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), __file__ in files())
        """
    assert _said(_KEPT + textwrap.dedent(code), tmp_path) == "0 True\n"


@pytest.mark.timeout(60)
def test_worker_that_is_terminated_at_once_ends_and_its_parent_hears_nothing(tmp_path: Path) -> None:
    code = """
        for _ in range(200):
            pid = os.fork()
            if not pid:
                time.sleep(600)
            os.kill(pid, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -15
        print(select.select([terminated.file], [], [], 0.2)[0], signal.pthread_sigmask(signal.SIG_BLOCK, []))
        """
    assert _said(_KEPT + textwrap.dedent(code), tmp_path) == "[] set()\n"


@pytest.mark.timeout(60)
def test_what_user_code_has_set_for_its_workers_stays(tmp_path: Path) -> None:
    code = """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        pid = os.fork()
        if not pid:
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            opened = os.open(__file__, os.O_RDONLY)  # takes the number of a file that was closed
            inner = os.fork()
            if not inner:
                os._exit(0 if os.fstat(opened).st_size else 1)
            inner_code = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1])
            print(signal.getsignal(signal.SIGTERM).name, [s.name for s in mask], inner_code, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        """
    assert _said(_KEPT + textwrap.dedent(code), tmp_path) == "SIG_IGN ['SIGUSR1'] 0\n"


@pytest.mark.timeout(60)
def test_sigterm_is_heard_while_the_main_thread_is_in_c_code(tmp_path: Path) -> None:
    code = """
        import hashlib, threading
        def watch():
            select.select([terminated.file], [], [])
            print("came", terminated.came(), flush=True)
            os._exit(0)
        threading.Thread(target=watch).start()
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGTERM]).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
        """
    assert _said(_KEPT + textwrap.dedent(code), tmp_path) == "came True\n"


@pytest.mark.timeout(60)
def test_sigterm_is_heard_after_an_event_loop_has_listened_for_signals(tmp_path: Path) -> None:
    code = """
        import asyncio
        async def listen():
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
        asyncio.run(listen())
        os.kill(os.getpid(), signal.SIGTERM)
        print(select.select([terminated.file], [], [], 5)[0] == [terminated.file], terminated.came())
        """
    assert _said(_KEPT + textwrap.dedent(code), tmp_path) == "True True\n"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("end", "code"),
    [("sys.exit()", 0), ("sys.exit(7)", 7), ("sys.exit('no')", 1), ("1 / 0", 1), ("pass", 0)],
    ids=["bare-exit", "exit", "exit-with-text", "exception", "return"],
)
def test_copy_that_comes_back_ends_there(tmp_path: Path, end: str, code: int) -> None:
    program = f"""
        try:
            with workers.copies_end_here():
                pid = os.fork()
                if not pid:
                    {end}
        finally:
            print("goes on", flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    assert _said(program, tmp_path) == f"goes on\n{code}\n"
