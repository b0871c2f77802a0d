"""The reviewed drift policy, and policies that make no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from include.taxi import trips
from include.taxi.drift import POLICY_FILE
from include.taxi.drift_report import read_policy


def test_the_policy_of_the_bundle_names_columns_that_exist() -> None:
    assert set(read_policy(POLICY_FILE)["expected"]) <= set(trips.COLUMNS)


@pytest.mark.parametrize(
    ("name", "value"), [("times_chance", 0), ("bins", 1), ("expected", "tips"), ("bins", None)]
)
def test_a_rule_that_makes_no_sense_is_refused_by_name(tmp_path: Path, name: str, value: Any) -> None:
    rules = {"times_chance": 4.0, "bins": 20, "expected": [], name: value}
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({key: rule for key, rule in rules.items() if rule is not None}))
    with pytest.raises(ValueError) as caught:
        read_policy(str(path))
    assert repr(name) in str(caught.value) and repr(value) in str(caught.value)
