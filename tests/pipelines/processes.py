"""A node that starts processes in every way that user code does, and says what came of each.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import concurrent.futures
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import keras
import numpy as np
import sklearn.linear_model
import sklearn.model_selection
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component

from tests.pipelines import worker


def _executor(method: str) -> int:
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        return sum(pool.map(worker.square, range(5)))


def _pool(method: str) -> int:
    with multiprocessing.get_context(method).Pool(2) as pool:  # terminates its workers
        return sum(pool.map(worker.square, range(5)))


def _pool_that_ends() -> int:
    pool = multiprocessing.Pool(2)
    found = sum(pool.map(worker.square, range(5)))
    pool.close()
    pool.join()
    return found


def _in_a_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(_executor("fork")))
    thread.start()
    thread.join()
    return found[0]


def _nested() -> int:
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        return sum(pool.map(worker.sum_of_squares, [5, 5]))


def _tensorflow() -> float:
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        return sum(pool.map(worker.tensorflow_square, range(5)))


def _terminated_at_once() -> set[int | None]:
    codes = set()
    for _ in range(50):
        process = multiprocessing.Process(target=time.sleep, args=[600])
        process.start()
        process.terminate()
        process.join()
        codes.add(process.exitcode)
    return codes


def _manager() -> int:
    with multiprocessing.Manager() as manager:
        numbers = manager.list([worker.square(3)])
        return numbers[0]


def _queue() -> int:
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=queue.put, args=[worker.square(3)], daemon=True)
    process.start()
    found = queue.get()
    process.join()
    return found


def _joblib(backend: str) -> int:
    return sum(joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(worker.square)(n) for n in range(5)))


def _sklearn() -> int:
    x = np.arange(40.0).reshape(-1, 1)
    model = sklearn.linear_model.LinearRegression()
    return round(sum(sklearn.model_selection.cross_val_score(model, x, 3 * x[:, 0], cv=4, n_jobs=2)))


class _Batches(keras.utils.PyDataset):
    """Four batches from a data loader's processes."""

    def __init__(self) -> None:
        super().__init__(workers=2, use_multiprocessing=True)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return np.ones([2, 1]), np.ones([2, 1])


def _data_loader() -> int:
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss="mse")
    return len(model.fit(_Batches(), epochs=2, verbose=0).history["loss"])


def _subprocess() -> str:
    return repr(subprocess.run(["cat"], stdout=subprocess.PIPE, text=True).stdout)


def _shell() -> int:
    return os.waitstatus_to_exitcode(os.system("read line"))


def _input() -> str:
    try:
        return input()
    except EOFError:
        return "end of file"


def _fork(end: str) -> int:
    pid = os.fork()
    if not pid:
        if end == "exit":
            sys.exit(7)
        if end == "exception":
            raise ValueError("of a copy")
        if end == "return":
            return 0
        if end == "sleep":
            time.sleep(600)
        os._exit(7)
    if end == "sleep":
        os.kill(pid, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _pipes() -> int:
    """How many of the node's pipes a forked process has not: its request, its result, its signals."""

    def count() -> int:
        names = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
        return len({os.readlink(name) for name in names if os.path.islink(name)})

    before = count()
    pid = os.fork()
    if not pid:
        os._exit(before - count())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _served() -> int:
    """How many threads of the node are gRPC's, which may hold a lock when user code forks."""
    tasks = Path("/proc/self/task").iterdir()
    return sum((task / "comm").read_text().startswith(("grpc", "event_engine")) for task in tasks)


WAYS = {
    "threads of gRPC": (_served, "0"),
    "executor, fork": (lambda: _executor("fork"), "30"),
    "executor, spawn": (lambda: _executor("spawn"), "30"),
    "executor, forkserver": (lambda: _executor("forkserver"), "30"),
    "pool, fork": (lambda: _pool("fork"), "30"),
    "pool, spawn": (lambda: _pool("spawn"), "30"),
    "pool, forkserver": (lambda: _pool("forkserver"), "30"),
    "pool that ends": (_pool_that_ends, "30"),
    "in a thread": (_in_a_thread, "30"),
    "nested": (_nested, "60"),
    "terminated at once": (_terminated_at_once, "{-15}"),
    "manager": (_manager, "9"),
    "queue": (_queue, "9"),
    "joblib, loky": (lambda: _joblib("loky"), "30"),
    "joblib, multiprocessing": (lambda: _joblib("multiprocessing"), "30"),
    "scikit-learn": (_sklearn, "4"),
    "tensorflow in a worker": (_tensorflow, "30.0"),
    "data loader": (_data_loader, "2"),
    "subprocess": (_subprocess, "''"),
    "shell": (_shell, "1"),
    "input": (_input, "end of file"),
    "fork, _exit": (lambda: _fork("_exit"), "7"),
    "fork, exit": (lambda: _fork("exit"), "7"),
    "fork, exception": (lambda: _fork("exception"), "1"),
    "fork, terminated": (lambda: _fork("sleep"), "-15"),
    "pipes": (_pipes, "3"),
    # Last: the copy goes on with what is left to do here.
    "fork, return": (lambda: _fork("return"), "0"),
}


@component
def Starts(
    ways: tfx.dsl.components.Parameter[str],
    found: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.String],
) -> None:
    """Tries those ways, one after the other."""
    lines = []
    for way in ways.split("|"):
        print("tries", way, flush=True)
        lines.append(str(WAYS[way][0]()))
    found.value = "\n".join(lines)


NAME = "processes"


@component
def Work(
    how: tfx.dsl.components.Parameter[str],
    pids: tfx.dsl.components.Parameter[str],
    text: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.String],
) -> None:
    """Notes its process id, and has two workers that note theirs and work for long."""
    worker.note(pids, 0)
    if how == "c code":
        worker.note(pids, 0)
        worker.note(pids, 0)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
    elif how == "pool":
        with multiprocessing.Pool(2) as pool:
            pool.map(worker.note, [pids, pids], chunksize=1)
    elif how == "loky":
        joblib.Parallel(n_jobs=2)(joblib.delayed(worker.note)(pids) for _ in range(2))
    else:
        method = "forkserver" if how == "forkserver" else "fork"
        with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            list(pool.map(worker.note, [pids, pids]))
    text.value = "worked"


def work(how: str, pids: str) -> tfx.dsl.Pipeline:
    """A node that works for long, with two workers or in C code."""
    return tfx.dsl.Pipeline(NAME, pipeline_root="", components=[Work(how=how, pids=pids)])


def processes(ways: str) -> tfx.dsl.Pipeline:
    """A node that starts processes in the ways of WAYS, separated by `|`."""
    return tfx.dsl.Pipeline(NAME, pipeline_root="", components=[Starts(ways=ways)])
