"""Settings of a run are checked by name, type and range."""

from __future__ import annotations

import pytest

from include.taxi.hyperparameters import Hyperparameters


def test_absent_settings_keep_their_defaults() -> None:
    assert Hyperparameters.from_config(None) == Hyperparameters()
    changed = Hyperparameters.from_config({"hidden_units": [8, 4], "learning_rate": 1})
    assert changed.hidden_units == (8, 4)
    assert changed.batch_size == Hyperparameters().batch_size


def test_settings_that_a_tuner_found_are_read_with_layers_as_text() -> None:
    found = {"space": [], "values": {"hidden_units": "16,8", "learning_rate": 0.01}}
    tuned = Hyperparameters.tuned(found)
    assert Hyperparameters.from_config(tuned) == Hyperparameters(hidden_units=(16, 8), learning_rate=0.01)
    assert Hyperparameters.tuned({"values": {"hidden_units": ""}}) == {"hidden_units": []}
    assert Hyperparameters.tuned(None) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", 0.1),
        ("learning_rate", "0.1"),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("batch_size", 1.5),
        ("batch_size", True),
        ("hidden_units", 32),
        ("hidden_units", [32, "16"]),
        ("dropout", 1.0),
        ("seed", -1),
    ],
)
def test_a_bad_setting_is_named_with_its_value(name: str, value: object) -> None:
    with pytest.raises(ValueError) as caught:
        Hyperparameters.from_config({name: value})
    assert repr(name) in str(caught.value)
    assert repr(value) in str(caught.value)
