"""Which part of a large payload is wanted."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of statistics, anomalies or examples.

    Attributes:
      split: Name of a split; "" is all.
      slice: Of statistics, name of a slice; "" is all slices that one answer may hold, all examples first.
      feature: Of statistics, text in the names of features, in upper or lower case; "" is all.
    """

    split: str = ""
    slice: str = ""
    feature: str = ""


WHOLE = Part()
