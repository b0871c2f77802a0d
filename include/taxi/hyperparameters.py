"""The training settings that a run may change, checked before training starts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

# JSON schema for the trigger form, needed because TFX's JSON reader imports whatever module an object names, before
# anything here can check it.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Settings that differ from the defaults.",
    "properties": {
        "learning_rate": {"type": "number", "exclusiveMinimum": 0},
        "hidden_units": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        "batch_size": {"type": "integer", "minimum": 1},
        "embedding_size": {"type": "integer", "minimum": 1},
        "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        "seed": {"type": "integer", "minimum": 0},
    },
    "additionalProperties": False,
}


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """Settings of one training run.

    Attributes:
        learning_rate: Initial step of the Adam optimiser, falling to 0 over the run.
        hidden_units: Width of each hidden layer, first layer first; empty for a linear model.
        batch_size: Training rows per step.
        embedding_size: Length of the vector learnt for each code of an integer feature.
        dropout: Share of the first layer's inputs dropped in training, at least 0 and below 1.
        seed: Seed of the initial weights and of the order of the rows.
    """

    learning_rate: float = 0.005
    hidden_units: tuple[int, ...] = (32, 16)
    batch_size: int = 128
    embedding_size: int = 4
    dropout: float = 0.1
    seed: int = 17

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | None) -> Hyperparameters:
        """Reads the Trainer's custom_config; settings that are absent keep their defaults.

        Args:
            config: Setting name to value, as decoded from JSON; None for all defaults.

        Returns:
            The checked settings.

        Raises:
            ValueError: An unknown name, or a value of the wrong type or out of range; the message
                names the setting and shows the value.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for name, value in (config or {}).items():
            if name not in known:
                raise ValueError(f"Unknown hyperparameter {name!r} = {value!r}; known are {sorted(known)}.")
            expected = _expected(name, value)
            if expected:
                raise ValueError(f"Hyperparameter {name!r} = {value!r} is not {expected}.")
            values[name] = tuple(value) if name == "hidden_units" else value
        return cls(**values)

    @staticmethod
    def tuned(found: Mapping[str, Any] | None) -> dict[str, Any]:
        """Reads what a Tuner found: KerasTuner's own configuration of its best trial.

        Args:
            found: FnArgs.hyperparameters; None without a Tuner.

        Returns:
            Setting name to value, those that were tuned. A width of hidden layers is tuned as
            "hidden_units" with a value such as "32,16", because KerasTuner has no lists.
        """
        values = dict((found or {}).get("values", {}))
        if isinstance(values.get("hidden_units"), str):
            values["hidden_units"] = [int(units) for units in values["hidden_units"].split(",") if units]
        return values


def _expected(name: str, value: Any) -> str | None:
    """Returns what the value should have been, or None when it is fine."""
    if name == "learning_rate":
        return None if _is_number(value) and value > 0 else "a positive number"
    if name == "dropout":
        return None if _is_number(value) and 0 <= value < 1 else "a number from 0 to below 1"
    if name == "hidden_units":
        is_list = isinstance(value, (list, tuple)) and all(_is_whole(unit, 1) for unit in value)
        return None if is_list else "a list of positive whole numbers"
    if name == "seed":
        return None if _is_whole(value, 0) else "a whole number, 0 or more"
    return None if _is_whole(value, 1) else "a positive whole number"


def _is_whole(value: Any, least: int) -> bool:
    # bool is a kind of int in Python, but true is not a layer width.
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
