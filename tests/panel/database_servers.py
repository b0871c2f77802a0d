"""MariaDB and PostgreSQL for tests that only need an empty database of theirs: started once for all of them."""

from __future__ import annotations

import atexit
import contextlib
import functools
import shutil
import tempfile
from pathlib import Path

from tests import servers

KINDS = {"mysql": servers.mariadb, "postgresql": servers.postgresql}


def empty(kind: str) -> servers.Server:
    """The server of a kind; what others left in its database is gone."""
    server = _started(kind)
    server.clear()
    return server


@functools.cache
def _started(kind: str) -> servers.Server:
    folder = Path(tempfile.mkdtemp(prefix=f"panel-{kind}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(KINDS[kind](folder / "files"))
