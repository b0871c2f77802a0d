"""The requested part of a large payload."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of statistics, anomalies or examples.

    Attributes:
      split: Name of a split; "" for all.
      slice: Name of a slice of statistics; "" for as many slices as fit, all examples first.
      feature: Part of the names of features in statistics, in either case; "" for all.
    """

    split: str = ""
    slice: str = ""
    feature: str = ""


WHOLE = Part()
