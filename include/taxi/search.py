"""The Tuner step: the hyper-parameters to try, and how they are compared."""

from __future__ import annotations

import keras
import keras_tuner
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult

from include.taxi import model
from include.taxi.hyperparameters import Hyperparameters

_EVAL_BATCH_SIZE = 500
_SEED = 17


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Sets up the search. Called by the Tuner component.

    Source: https://www.tensorflow.org/tfx/guide/tuner. Trials are compared by the AUC on the eval split of the
    window: the loss would also reward a change of calibration.

    Args:
        fn_args: File patterns, step counts, and custom_config with "max_trials".

    Returns:
        The tuner and the arguments of its search.

    Raises:
        ValueError: A step count or the number of trials is not positive.
    """
    max_trials = (fn_args.custom_config or {}).get("max_trials")
    for name, value in (("train_args num_steps", fn_args.train_steps), ("max_trials", max_trials)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} = {value!r} is not positive.")
    transformed = tft.TFTransformOutput(fn_args.transform_graph_path)
    keras.utils.set_random_seed(_SEED)
    tuner = keras_tuner.RandomSearch(
        lambda found: model.build_model(searched(found), fn_args.train_steps),
        keras_tuner.Objective("val_auc", "max"),
        max_trials=max_trials,
        # By default three in a row: a shorter search would end well when all fail, with the settings of one of them.
        max_consecutive_failed_trials=1,
        seed=_SEED,
        directory=fn_args.working_dir,
        project_name="taxi",
    )
    rows = model.read_rows(fn_args.train_files, transformed, Hyperparameters.batch_size, _SEED)
    held_out = model.read_rows(fn_args.eval_files, transformed, _EVAL_BATCH_SIZE, seed=None)
    return TunerFnResult(
        tuner,
        {
            "x": rows,
            "steps_per_epoch": fn_args.train_steps,
            "validation_data": held_out,
            "validation_steps": fn_args.eval_steps,
            "verbose": 2,
            "shuffle": False,  # the rows are shuffled already
        },
    )


def searched(found: keras_tuner.HyperParameters) -> Hyperparameters:
    """Declares the search space, and reads one point of it.

    Args:
        found: KerasTuner's settings of one trial.

    Returns:
        The settings of a training; what is not searched keeps its default.
    """
    found.Float("learning_rate", 0.001, 0.03, sampling="log", default=Hyperparameters.learning_rate)
    # As text, because KerasTuner has no lists.
    found.Choice("hidden_units", ["16", "32,16", "64,32"], default="32,16")
    found.Choice("embedding_size", [2, 4, 8], default=Hyperparameters.embedding_size)
    found.Float("dropout", 0.0, 0.3, step=0.1, default=Hyperparameters.dropout)
    return Hyperparameters.from_config(Hyperparameters.tuned({"values": found.values}))
