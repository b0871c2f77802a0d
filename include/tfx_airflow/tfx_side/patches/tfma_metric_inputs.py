"""Label, prediction and weight of a row, made once for all slices and metrics that ask for them in the same way.

`to_label_prediction_example_weight` in TFMA's `metrics/metric_util.py` is called for each row, metric and slice, and a
row is in several slices one right after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

_Values = tuple[Any, Any, Any]


class _LastRow(threading.local):
    """What was made of the row that this thread had last."""

    row: Any = None
    made: dict[Any, tuple[Any, Any, list[_Values]]] = {}


def once_per_row(original: Callable[..., Iterator[_Values]]) -> Callable[..., Iterator[_Values]]:
    """Replaces the function; callers get arrays of their own, as before, and see its errors each time."""
    last = _LastRow()

    def to_label_prediction_example_weight(inputs: Any, *arguments: Any, **options: Any) -> Iterator[_Values]:
        if last.row is not inputs:
            # The reference keeps the row alive: no other one can be mistaken for it.
            last.row, last.made = inputs, {}
        key = (*map(_key, arguments), *((name, _key(value)) for name, value in options.items()))
        if key not in last.made:
            # With the arguments, whose ids no other object can get as long as they are kept.
            last.made[key] = (arguments, options, list(original(inputs, *arguments, **options)))
        for values in last.made[key][-1]:
            label, prediction, weight = values
            yield label.copy(), prediction.copy(), weight.copy()

    return to_label_prediction_example_weight


def _key(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, bool)) else id(value)
