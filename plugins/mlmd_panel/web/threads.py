"""The panel's own threads, on which its pages are made."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from mlmd_panel.errors import PanelError

COUNT, SECONDS = 8, 30.0
_Made = TypeVar("_Made")


class TookTooLong(PanelError):
    """A page was not ready in time: its store or files do not respond, or too many pages are being loaded."""

    status = 503
    headline = "The page took too long"


class Threads:
    """A bounded number of threads, and a time in which a page must be made.

    Without them a store that hangs would block the host's threads: Airflow has forty for its whole API. A page that
    times out keeps its thread until the store responds or its own limits end the query; pages that are still waiting
    for a thread are dropped.
    """

    def __init__(self, count: int = COUNT, seconds: float = SECONDS):
        """Starts no thread yet.

        Args:
          count: Pages that are made at a time.
          seconds: For a page, with the time it waits for a thread.
        """
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="mlmd_panel")
        self._seconds = seconds

    async def run(self, make: Callable[..., _Made], *arguments: Any) -> _Made:
        """What a function gives, called on one of the threads.

        Raises:
          TookTooLong: The time is up.
        """
        begun = False

        def call() -> _Made:
            nonlocal begun
            begun = True
            return make(*arguments)

        context = contextvars.copy_context()
        future = asyncio.get_running_loop().run_in_executor(self._pool, context.run, call)
        try:
            done, _ = await asyncio.wait([future], timeout=self._seconds)
        finally:
            future.cancel()  # without effect on one that is done
        if done:
            return future.result()
        if begun:
            raise TookTooLong("The store or the artifact's files did not respond in time. Try again later.")
        raise TookTooLong("Too many pages are being loaded at once; reload the page in a moment.")
