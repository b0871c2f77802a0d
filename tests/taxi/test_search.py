"""The search space of the Tuner."""

from __future__ import annotations

from pathlib import Path

import keras
import keras_tuner
import pytest
from tfx.components.trainer.fn_args_utils import FnArgs

from include.taxi import search
from include.taxi.hyperparameters import Hyperparameters
from include.taxi.search import searched, tuner_fn


def test_the_default_point_of_the_search_is_a_training_without_a_search() -> None:
    assert searched(keras_tuner.HyperParameters()) == Hyperparameters()


def test_what_the_tuner_writes_is_what_a_training_reads() -> None:
    point = keras_tuner.HyperParameters()
    searched(point)
    point.values |= {"hidden_units": "64,32", "learning_rate": 0.01, "embedding_size": 8, "dropout": 0.3}
    read = Hyperparameters.from_config(Hyperparameters.tuned(point.get_config()))
    assert read == searched(point)
    assert (read.hidden_units, read.learning_rate, read.embedding_size) == ((64, 32), 0.01, 8)


@pytest.mark.parametrize(
    ("train_steps", "search", "message"),
    [
        (None, {"max_trials": 2}, "train_args num_steps = None is not positive"),
        (5, {"max_trials": 0}, "max_trials = 0 is not positive"),
        (5, {}, "max_trials = None is not positive"),
    ],
)
def test_a_search_of_no_length_is_refused(train_steps: int | None, search: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tuner_fn(FnArgs(train_steps=train_steps, custom_config=search))


def test_a_search_fails_with_its_first_failing_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def untrainable(found: Hyperparameters, _: int) -> keras.Model:
        network = keras.Sequential([keras.layers.Dense(1)])
        network.compile(loss="binary_crossentropy")
        return network

    monkeypatch.setattr(search.tft, "TFTransformOutput", lambda _: None)
    monkeypatch.setattr(search.model, "read_rows", lambda *_, **__: None)
    monkeypatch.setattr(search.model, "build_model", untrainable)
    fn_args = FnArgs(train_steps=5, custom_config={"max_trials": 2}, working_dir=str(tmp_path))
    with pytest.raises(RuntimeError, match="consecutive failures exceeded the limit of 1"):
        tuner_fn(fn_args).tuner.search(x="no rows")
