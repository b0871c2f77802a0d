"""Reads custom statistics of a feature, from TFDV's optional generators or the user's own."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlmd_panel.errors import PayloadError
from mlmd_panel.files import protos, wire_format
from mlmd_panel.payloads.data.histograms import Histogram, RankHistogram, histogram, rank_histogram, text
from mlmd_panel.payloads.data.language_statistics import LanguageStatistics, language_statistics

MAX_TEXT = 4000
_LANGUAGE = "tensorflow.metadata.v0.NaturalLanguageStatistics"


@dataclasses.dataclass(frozen=True)
class CustomStatistic:
    """A statistic that a generator of the user's, or one of TFDV's optional ones, made.

    Attributes:
      name: Its name.
      value: Number or text; of another message its text, or what is known of it; None of the next kinds.
      histogram: Its histogram of numbers, or None.
      ranks: How often its values are, or None.
      language: Statistics of natural language, or None.
    """

    name: str
    value: float | str | None = None
    histogram: Histogram | None = None
    ranks: RankHistogram | None = None
    language: LanguageStatistics | None = None


def custom_statistic(proto: Any) -> CustomStatistic:
    """Of a tensorflow.metadata.v0.CustomStatistic."""
    name, kind = text(proto.name), proto.WhichOneof("val")
    if kind == "histogram":
        return CustomStatistic(name, histogram=histogram(proto.histogram))
    if kind == "rank_histogram":
        return CustomStatistic(name, ranks=rank_histogram(proto.rank_histogram))
    if kind == "any":
        return _message(name, proto.any)
    value = getattr(proto, kind) if kind else None
    return CustomStatistic(name, text(value) if isinstance(value, (str, bytes)) else value)


def _message(name: str, proto: Any) -> CustomStatistic:
    """Of a google.protobuf.Any: statistics of natural language, or the text of another message."""
    from google.protobuf import text_format

    type_ = text(proto.type_url).rpartition("/")[2]
    try:
        kind = protos.message(type_)
    except KeyError:
        return CustomStatistic(
            name, f"{len(proto.value)} bytes of {type_ or 'no type'}, which the panel cannot read"
        )
    try:
        wire_format.check(proto.value, kind.DESCRIPTOR, name)
        found = protos.parse(type_, proto.value, name)
    except PayloadError as error:
        return CustomStatistic(name, str(error))
    if type_ == _LANGUAGE:
        return CustomStatistic(name, language=language_statistics(found))
    return CustomStatistic(name, text(text_format.MessageToString(found), MAX_TEXT))
