"""The level of dill's log, set only when it changes.

Beam 2.62 calls `_trace` of dill's `_dill.py` after each object that it pickles, and setting a level makes Python forget
what is cached of every logger there is, a thousand with TFX.
"""

from __future__ import annotations

import logging
from collections.abc import Callable


def when_it_changes(original: Callable[[bool], None]) -> Callable[[bool], None]:
    """Replaces `_trace`."""
    from dill import _dill

    def _trace(boolean: bool) -> None:
        if _dill.log.level != (logging.INFO if boolean else logging.WARN):
            original(boolean)

    return _trace
