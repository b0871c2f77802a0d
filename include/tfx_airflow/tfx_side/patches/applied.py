"""The list of patches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from include.tfx_airflow.tfx_side.patches import (
    autograph_rules,
    beam_cache_sizes,
    beam_signatures,
    dill_log,
    tfma_jackknife,
    tfma_matrices,
    tfma_metric_inputs,
)
from include.tfx_airflow.tfx_side.patches.patch import Patch

_EVALUATORS = "tensorflow_model_analysis.evaluators"
_METRICS = "tensorflow_model_analysis.metrics"
_DERIVED = f"{_EVALUATORS}.metrics_plots_and_validations_evaluator:_AddDerivedCrossSliceAndDiffMetrics"


def _known(**functions: str) -> dict[str, frozenset[str]]:
    """Fingerprints by name; of several versions separated by spaces."""
    return {name: frozenset(text.split()) for name, text in functions.items()}


# Fingerprints are of TFMA 0.47.1 and 0.52.0, Beam 2.62.0 and 2.77.0, dill 0.3.1.1, TensorFlow 2.16.2.
PATCHES = (
    Patch(
        "apache_beam.transforms.core",
        "get_function_args_defaults",
        beam_signatures.read_once,
        _known(get_function_args_defaults="5cc8d9dca707a02d"),
    ),
    Patch(
        "apache_beam.runners.worker.statecache",
        "get_deep_size",
        beam_cache_sizes.without_modules,
        _known(get_deep_size="dfe8dd32dacdad42", _filter_func="f54767dc7bbaf87c"),
    ),
    Patch("dill._dill", "_trace", dill_log.when_it_changes, _known(_trace="c462b1670926ba61")),
    Patch(
        "tensorflow.python.autograph.core.config",
        "CONVERSION_RULES",
        autograph_rules.with_libraries,
        _known(DoNotConvert="b332eb17e540a20c"),
    ),
    Patch(
        f"{_EVALUATORS}.jackknife",
        "ComputeWithConfidenceIntervals",
        tfma_jackknife.in_two_steps,
        _known(
            ComputeWithConfidenceIntervals="31785f66ecdb1fdb",
            _ComputeJackknifeSample="bd6e4e0af3b7e1f8",
            _JackknifeSampleCombineFn="b0b810b071d0572b",
            _AccumulatorCombineFn="0d2c39b9f84c990b",
            _AccumulateOnlyCombineFn="cb6cf1bb90094bcc",
            _add_sample_id="d936770ac059ec18",
        )
        | {_DERIVED: frozenset({"05ac1019d5fd40eb"})},
    ),
    Patch(
        f"{_METRICS}.binary_confusion_matrices",
        "Matrices._apply_binary_op_elementwise",
        tfma_matrices.same_thresholds,
        {"Matrices._apply_binary_op_elementwise": frozenset({"d8feb248a2a50b6a"})},
    ),
    Patch(
        f"{_METRICS}.metric_util",
        "to_label_prediction_example_weight",
        tfma_metric_inputs.once_per_row,
        _known(to_label_prediction_example_weight="56e8e97f1138cda1 5b7c2a0e9236bccb"),
    ),
)


@contextlib.contextmanager
def applied(patches: tuple[Patch, ...] = PATCHES) -> Iterator[None]:
    """Applies patches inside the block, as far as their libraries are imported and as expected."""
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch.applied())
        yield
