"""An evaluation of a thousand slices, written by TFMA's messages."""

from __future__ import annotations

import json
import random
from pathlib import Path

from mlmd_panel.files import protos

from tests.panel.raw_bytes import record

_NAMES = (
    "auc", "auc_precision_recall", "binary_accuracy", "precision", "recall", "f1_score", "loss", "calibration",
    "mean_label", "mean_prediction", "mean_squared_error", "mean_absolute_error", "specificity", "npv", "fall_out",
    "miss_rate", "hinge", "poisson", "log_loss", "binary_crossentropy",
)  # fmt: skip


def write(folder: Path, slices: int, seed: int, metrics: int = 20) -> Path:
    """Writes metrics of a candidate and a baseline, with their differences and intervals of a jackknife.

    Args:
      folder: For the files.
      slices: How many besides the one of all examples.
      seed: Of the values.
      metrics: How many.
    """
    draw = random.Random(seed)
    folder.mkdir(parents=True)
    make = protos.message("tensorflow_model_analysis.MetricsForSlice")
    with open(folder / "metrics-00000-of-00001.tfrecord", "wb") as file:
        for number in range(slices + 1):
            message = make()
            if number:
                pair = message.slice_key.single_slice_keys.add()
                pair.column, pair.int64_value = "zone", number
            for name in _NAMES[:metrics]:
                value, change = draw.uniform(0.6, 0.9), draw.gauss(0, 0.01)
                _add(message, name, "candidate", value, 0.01)
                _add(message, name, "baseline", value - change, 0.01)
                _add(message, name, "candidate", change, 0.004, is_diff=True)
            _add(message, "example_count", "candidate", 50_000 if not number else draw.randint(10, 90))
            file.write(record(message.SerializeToString()))
    config = {
        "evalConfig": {
            "modelSpecs": [
                {"name": "candidate", "labelKey": "label"},
                {"name": "baseline", "labelKey": "label", "isBaseline": True},
            ],
            "slicingSpecs": [{}, {"featureKeys": ["zone"]}],
            "options": {"computeConfidenceIntervals": True, "confidenceIntervals": {"method": "JACKKNIFE"}},
        },
        "version": "0.47.1",
    }
    (folder / "eval_config.json").write_text(json.dumps(config))
    return folder


def _add(
    message: object, name: str, model: str, value: float, error: float | None = None, is_diff: bool = False
) -> None:
    pair = message.metric_keys_and_values.add()  # type: ignore[attr-defined] # a message
    pair.key.name, pair.key.model_name, pair.key.is_diff = name, model, is_diff
    pair.key.example_weighted.value = False
    pair.value.double_value.value = value
    if error is not None:
        found = pair.confidence_interval
        found.lower_bound.double_value.value = value - 2.093 * error
        found.upper_bound.double_value.value = value + 2.093 * error
        found.standard_error.double_value.value = error
        found.degrees_of_freedom.value = 19
