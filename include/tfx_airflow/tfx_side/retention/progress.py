"""Tells how far a step has come that takes minutes where there is much to delete."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from typing import TypeVar

from include.tfx_airflow.contract.progress import PREFIX

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
_Item = TypeVar("_Item")


def told(items: Collection[_Item], doing: str) -> Iterator[_Item]:
    """The items; logs every few seconds how many of them are done.

    Args:
      items: What there is to do.
      doing: What is done with them, such as "setting aside files".
    """
    last = time.monotonic()
    for number, item in enumerate(items):
        yield item
        if time.monotonic() - last >= EVERY_SECONDS:
            last = time.monotonic()
            log.info("%s%s: %d of %d", PREFIX, doing, number + 1, len(items))
