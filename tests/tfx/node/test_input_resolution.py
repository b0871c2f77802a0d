"""Inputs that the database is asked for are those that TFX's own resolution finds."""

from __future__ import annotations

import collections
from pathlib import Path

from tests.tfx import random_history


def test_every_strategy_chooses_what_it_chooses_from_the_whole_history(tmp_path: Path) -> None:
    fruitful: collections.Counter[str] = collections.Counter()
    for seed in range(25):
        address = {"kind": "sqlite", "path": f"{tmp_path}/{seed}/metadata.db"}
        fruitful.update(random_history.check(address, seed, runs=seed))
    # Histories that no strategy finds anything in would prove nothing.
    assert set(fruitful) == set(random_history.resolvers()) - {"nothing of the kind", "spans, no span"}
    assert min(fruitful.values()) > 3
