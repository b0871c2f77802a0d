"""The texts in a text that may be JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def texts(text: str) -> Iterator[str]:
    """A text itself, and where it is a JSON object, list or text all values in it as text, in JSON inside of that too."""
    yield text
    if text.lstrip()[:1] in ("{", "[", '"'):
        try:
            yield from _leaves(json.loads(text))
        except (ValueError, RecursionError):
            return


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield from texts(value if isinstance(value, str) else str(value))
