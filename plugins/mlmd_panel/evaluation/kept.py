"""Keeps what was read last in memory, up to a limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """A cache of the values used last.

    Args:
      most: Sum of the costs of the values that are kept.
    """

    def __init__(self, most: int) -> None:
        self._most, self._cost = most, 0
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        """The value, which counts as used now; None without one."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: Value, cost: int) -> None:
        """Keeps a value in place of those not used for longest; one that costs more than all may is not kept."""
        with self._lock:
            before = self._values.pop(key, None)
            self._cost -= before[1] if before else 0
            if cost > self._most:
                return
            self._values[key] = (value, cost)
            self._cost += cost
            while self._cost > self._most:
                _, (_, dropped) = self._values.popitem(last=False)
                self._cost -= dropped
