"""Turns a forked child into what `python -m MODULE FD` would have been."""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, NoReturn

from include.tfx_airflow.contract.bundle import BUNDLE_ROOT

# A child must not keep the server's signal handlers; these are those of a new interpreter.
_HANDLERS: Mapping[int, Callable[[int, FrameType | None], object] | signal.Handlers] = {
    signal.SIGCHLD: signal.SIG_DFL,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}
_EXTRA = 3


def run_as_main(message: Mapping[str, Any], files: list[int], set_by_imports: Mapping[str, str]) -> NoReturn:
    """Runs a module as the main program of this forked process, and ends it.

    Args:
      message: `module`, `bundle`, `environment`, `umask`.
      files: Standard input, standard output and error, and the extra file whose number the module
        gets as its argument.
      set_by_imports: Environment variables that importing TFX has set, as it would in a new process.
    """

    def run() -> None:
        os.setsid()  # a process group that can be killed as one
        signal.set_wakeup_fd(-1)
        for number, handler in _HANDLERS.items():
            signal.signal(number, handler)
        _move_files(files)
        os.umask(message["umask"])
        os.environ.clear()
        os.environ.update({**set_by_imports, **message["environment"]})
        time.tzset()
        _reseed()
        _import_from(message["bundle"])
        importlib.invalidate_caches()  # files newer than the server
        module = message["module"]
        sys.argv[:] = [module, str(_EXTRA)]
        runpy.run_module(module, run_name="__main__", alter_sys=True)

    end_after(run)


def end_after(run: Callable[[], object]) -> NoReturn:
    """Calls a function and ends this forked process, with the exit code of a program that does the same."""
    code = 1
    try:
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        # Without the server's exit handlers and threads, which are not this process's.
        os._exit(code)


def _move_files(files: list[int]) -> None:
    """Puts the received files where a program expects them."""
    stdin, output, extra = (os.dup(file) for file in files)  # none of them 0, 1 or 2
    for file in files:
        os.close(file)
    for source, target in ((stdin, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    if extra != _EXTRA:
        os.dup2(extra, _EXTRA, inheritable=False)
    for file in {stdin, output, extra} - {_EXTRA}:
        os.close(file)


def _import_from(bundle: str) -> None:
    """Imports from the asking task's bundle, which may be another commit's folder than the server's.

    The server's own code is the same there, see `server_key.key`; it is imported again, because the user's modules are
    in the same package.
    """
    os.chdir(bundle)
    if bundle == str(BUNDLE_ROOT):
        return
    sys.path[:] = [bundle if folder == str(BUNDLE_ROOT) else folder for folder in sys.path]
    package = __name__.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def _reseed() -> None:
    """Reseeds NumPy, so that children get different random numbers; `random` reseeds itself after a fork."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
