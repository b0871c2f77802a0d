"""What TFMA makes of configurations with edited thresholds; run in the TFX interpreter.

`python -m tests.panel.official_thresholds` reads [{"folder", "text"}] as JSON from its standard input: an evaluation and
an `EvalConfig` in text format. It prints for each the thresholds that TFMA reads from it, and TFMA's verdict on the
evaluation's metrics.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from tests.panel import official_evaluation


def _thresholds(config: config_pb2.EvalConfig) -> list[Any]:
    """Key, slices and bounds of each."""
    found = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    return [
        [
            official_evaluation._key(key),
            None if spec is None else [type(spec).__name__, json_format.MessageToDict(spec)],
            type(threshold).__name__,
            json_format.MessageToDict(threshold),
        ]
        for key, pairs in found.items()
        for spec, threshold in pairs
    ]


def _verdict(folder: Path, config: config_pb2.EvalConfig) -> bool:
    """As TFMA's own Beam program combines its verdicts on slices."""
    combine = writer.CombineValidations(config)
    found = combine.create_accumulator()
    for message in writer.load_and_deserialize_metrics(str(folder)):
        metrics = {}
        for pair in message.metric_keys_and_values:
            if pair.value.WhichOneof("type") == "double_value":
                metrics[metric_types.MetricKey.from_proto(pair.key)] = pair.value.double_value.value
        slice_ = official_evaluation._slice(message)
        found = combine.add_input(found, metrics_validator.validate_metrics((slice_, metrics), config))
    return combine.extract_output(found).validation_ok


def main() -> None:
    """Answers what standard input asks."""
    answers = []
    for asked in json.load(sys.stdin):
        config = text_format.Parse(asked["text"], config_pb2.EvalConfig())
        answers.append({"thresholds": _thresholds(config), "ok": _verdict(Path(asked["folder"]), config)})
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
