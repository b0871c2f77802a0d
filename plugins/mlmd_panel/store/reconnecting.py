"""A store that follows its address when it changes while the panel runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import URL

from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.store import Store

SECONDS = 15.0


class FreshStore:
    """Proxy for the `Store` at an address that is looked up when needed, and again after some time.

    A Connection that is created or fixed thus takes effect without a restart. While the address stays the same, so do
    the store and its engine.
    """

    def __init__(self, address: Callable[[], URL], seconds: float = SECONDS):
        """Does not look up the address yet.

        Args:
          address: Returns the store's URL; its errors reach the caller, and the next call tries again.
          seconds: How long an address is used before it is looked up again.
        """
        self._address = address
        self._seconds = seconds
        self._lock = threading.Lock()
        self._url: URL | None = None
        self._engine: Any = None
        self._store: Store | None = None
        self._asked = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current(), name)

    def current(self) -> Store:
        """The store of the current address."""
        with self._lock:
            now = time.monotonic()
            if self._store is None or now - self._asked > self._seconds:
                url = self._address()
                if self._store is None or url != self._url:
                    engine = make_engine(url)
                    if self._engine is not None:
                        self._engine.dispose()  # connections in use still finish
                    self._url, self._engine, self._store = url, engine, Store(engine)
                self._asked = now
            return self._store
