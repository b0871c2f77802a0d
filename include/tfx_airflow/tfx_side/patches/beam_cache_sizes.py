"""Sizes of what Beam's state cache keeps, without a walk through all modules.

For each value that comes into the cache, `get_deep_size` in Beam's `runners/worker/statecache.py` has objsize list the
globals of every module, thousands of them once TFX is imported, so that they are not counted. They are not reached
anyway: Beam counts neither modules nor functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def without_modules(original: Callable[..., int]) -> Callable[..., int]:
    """Replaces `get_deep_size`."""
    import objsize
    from apache_beam.runners.worker import statecache

    if "exclude_modules_globals" not in inspect.signature(objsize.get_deep_size).parameters:
        return original

    def get_deep_size(*objs: Any) -> int:
        return objsize.get_deep_size(
            *objs,
            get_size_func=statecache._size_func,
            get_referents_func=statecache._get_referents_func,
            filter_func=statecache._filter_func,
            exclude_modules_globals=False,
        )

    return get_deep_size
