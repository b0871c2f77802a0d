"""Reads TFDV's natural language statistics, which are in a custom statistic `nl_statistics`."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlmd_panel.payloads.data.histograms import (
    Histogram,
    RankHistogram,
    first_items,
    histogram,
    rank_histogram,
    text,
)

MAX_TOKENS = 200
MAX_SEQUENCES = 50
_MAX_SEQUENCE = 1000


@dataclasses.dataclass(frozen=True)
class Token:
    """A token that the schema's constraints name.

    Attributes:
      token: Text, or number.
      frequency: How often it is, as are the next for each sequence.
      fraction_of_sequences: Share of the sequences that have it.
      min_per_sequence: Smallest number in a sequence.
      average_per_sequence: Average.
      max_per_sequence: Largest.
      positions: Where in a sequence, as a fraction of its length; or None.
    """

    token: str | int
    frequency: float
    fraction_of_sequences: float
    min_per_sequence: float
    average_per_sequence: float
    max_per_sequence: float
    positions: Histogram | None


@dataclasses.dataclass(frozen=True)
class LanguageStatistics:
    """Of a feature whose domain is natural language.

    Attributes:
      coverage: Fraction of tokens that are in the vocabulary.
      average_token_length: Characters of a token of the vocabulary.
      token_lengths: Histogram, or None.
      min_sequence_length: Tokens of the shortest sequence; None in weighted statistics.
      max_sequence_length: Length of the longest sequence; None in weighted statistics.
      sequence_lengths: Histogram, or None.
      location_misses: Values whose place in the sequence is not known.
      reported_sequences: Examples of sequences.
      tokens: Those that the schema names.
      ranks: The most frequent tokens, or None.
      weighted: The same with weights, or None.
      cut: Tokens or sequences were left out.
    """

    coverage: float
    average_token_length: float
    token_lengths: Histogram | None
    min_sequence_length: int | None
    max_sequence_length: int | None
    sequence_lengths: Histogram | None
    location_misses: float
    reported_sequences: tuple[str, ...]
    tokens: tuple[Token, ...]
    ranks: RankHistogram | None
    weighted: LanguageStatistics | None
    cut: bool


def language_statistics(proto: Any) -> LanguageStatistics:
    """Of a tensorflow.metadata.v0.NaturalLanguageStatistics, or its weighted kind."""
    weighted = "weighted_nl_statistics" not in proto.DESCRIPTOR.fields_by_name
    # The weighted kind has one token at most.
    found = [proto.token_statistics] if weighted else proto.token_statistics
    if weighted and not proto.HasField("token_statistics"):
        found = []
    tokens, cut = first_items(found, MAX_TOKENS)
    sequences, more = ([], False) if weighted else first_items(proto.reported_sequences, MAX_SEQUENCES)
    further = not weighted and proto.HasField("weighted_nl_statistics")
    return LanguageStatistics(
        coverage=proto.feature_coverage,
        average_token_length=proto.avg_token_length,
        token_lengths=_histogram(proto, "token_length_histogram"),
        min_sequence_length=None if weighted else proto.min_sequence_length,
        max_sequence_length=None if weighted else proto.max_sequence_length,
        sequence_lengths=_histogram(proto, "sequence_length_histogram"),
        location_misses=proto.location_misses,
        reported_sequences=tuple(text(sequence, _MAX_SEQUENCE) for sequence in sequences),
        tokens=tuple(map(_token, tokens)),
        ranks=rank_histogram(proto.rank_histogram) if proto.HasField("rank_histogram") else None,
        weighted=language_statistics(proto.weighted_nl_statistics) if further else None,
        cut=cut or more,
    )


def _token(proto: Any) -> Token:
    kind = proto.WhichOneof("token")
    return Token(
        token=proto.int_token if kind == "int_token" else text(proto.string_token),
        frequency=proto.frequency,
        fraction_of_sequences=proto.fraction_of_sequences,
        min_per_sequence=proto.per_sequence_min_frequency,
        average_per_sequence=proto.per_sequence_avg_frequency,
        max_per_sequence=proto.per_sequence_max_frequency,
        positions=_histogram(proto, "positions"),
    )


def _histogram(proto: Any, field: str) -> Histogram | None:
    return histogram(getattr(proto, field)) if proto.HasField(field) else None
