"""The search space of the Tuner."""

from __future__ import annotations

import keras_tuner
import pytest
from tfx.components.trainer.fn_args_utils import FnArgs

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
