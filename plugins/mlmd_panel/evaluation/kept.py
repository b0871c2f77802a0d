"""Keeps what was worked out last, up to a total weight."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The values used last, for several threads."""

    def __init__(self, most: int, weight: Callable[[Value], int] = lambda value: 1) -> None:
        """Args:
        most: Sum of the weights that is kept; a value that weighs more is not kept at all.
        weight: Of a value.
        """
        self._most, self._weigh = most, weight
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._weight = 0

    def get(self, key: Hashable) -> Value | None:
        """The value, or None if it is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Keeps a value, and drops those used longest ago."""
        weight = self._weigh(value)
        with self._lock:
            if weight > self._most or key in self._values:
                return
            self._values[key] = value
            self._weight += weight
            while self._weight > self._most:
                self._weight -= self._weigh(self._values.popitem(last=False)[1])
