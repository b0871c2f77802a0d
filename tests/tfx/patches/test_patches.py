"""What each patch may not change; and that none is applied to code that it does not know."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from collections.abc import Callable
from operator import add, mul, sub
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from apache_beam.runners.worker import statecache
from apache_beam.transforms import core, userstate
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.metrics.binary_confusion_matrices import Matrices

from include.tfx_airflow.tfx_side.patches import applied, patch

pytestmark = pytest.mark.slow


def test_all_patches_fit_the_installed_libraries() -> None:
    problems = {f"{p.module}.{p.name}": p.problem() for p in applied.PATCHES}
    # Newer versions of Beam pickle by other means.
    assert {name for name, problem in problems.items() if problem} <= {"dill._dill._trace"}, problems


def test_patches_end_with_the_block() -> None:
    def current() -> list[Any]:
        return [
            core.get_function_args_defaults,
            statecache.get_deep_size,
            metric_util.to_label_prediction_example_weight,
            Matrices._apply_binary_op_elementwise,
        ]

    before = current()
    with pytest.raises(KeyError), applied.applied():
        assert not any(new is old for new, old in zip(current(), before, strict=True))
        raise KeyError
    assert current() == before


def test_a_function_that_is_not_as_expected_stays_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unknown = patch.Patch(__name__, "_known", lambda _: None, {"_known": frozenset({"0" * 16})})
    before = _known
    with caplog.at_level(logging.DEBUG), unknown.applied():
        assert _known is before
    assert "_known stays as it is: _known is not as expected: fingerprint" in caplog.text


@pytest.mark.parametrize(
    ("module", "name", "stands_on", "problem"),
    [
        ("nowhere_to_be_found", "f", "f", "nowhere_to_be_found is not imported"),
        ("apache_beam.nowhere", "f", "f", "the module cannot be imported: No module named"),
        (__name__, "f", "f", "f cannot be read: module"),
        (
            __name__,
            "_known",
            "apache_beam.nowhere:f",
            "apache_beam.nowhere:f cannot be read: 'apache_beam.nowhere'",
        ),
    ],
)
def test_what_is_not_there_is_not_patched(module: str, name: str, stands_on: str, problem: str) -> None:
    assert problem in patch.Patch(module, name, lambda _: None, {stands_on: frozenset()}).problem()


def _known(first: int, second: str = "a") -> int:
    """Returns something."""
    return first if second else 0  # a comment


def test_the_fingerprint_is_of_the_code_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "one": "def f(a: int, b: str = 'x') -> int:\n    'Text.'\n    return a, b  # why",
        "same": 'def f(a, b="x"):\n\n  return (a,\n     b)',
        "other": "def f(a, b='y'):\n    return a, b",
    }
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {}
    for name, text in texts.items():
        (tmp_path / f"fingerprinted_{name}.py").write_text(text)
        found[name] = patch.fingerprint(importlib.import_module(f"fingerprinted_{name}").f)
    assert found["one"] == found["same"] != found["other"]


class _Counting(beam.DoFn):
    """A DoFn with state and a side input."""

    COUNT = userstate.CombiningValueStateSpec("count", sum)

    def process(self, element: Any, side: int = 3, count: Any = beam.DoFn.StateParam(COUNT)) -> Any:  # noqa: B008
        yield element, side, count


@pytest.mark.parametrize(
    "function",
    [_Counting().process, _Counting.process, len, lambda x, y=2: x, _known, int, "text".split, np.add],
    ids=str,
)
def test_arguments_of_functions_are_those_that_beam_finds(function: Callable[..., Any]) -> None:
    found = _answer(core.get_function_args_defaults, function)
    with applied.applied():
        for _ in range(2):
            again = _answer(core.get_function_args_defaults, function)
            assert again == found
            again[0].clear() if isinstance(again, tuple) else None
        state, timers = userstate.get_dofn_specs(_Counting())
    assert {spec.name for spec in state} == {"count"} and not timers


def _answer(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except (AssertionError, IndexError, TypeError, ValueError) as error:
        return str(error)


@pytest.mark.parametrize(
    "value",
    [b"x" * 1000, [1, "two", {3: [4.0]}], np.arange(500), _Counting(), test_patches_end_with_the_block],
)
def test_sizes_in_the_cache_are_those_that_beam_finds(value: Any) -> None:
    found = statecache.get_deep_size(value)
    with applied.applied():
        assert statecache.get_deep_size(value) == found


def _matrices(*thresholds: float) -> Matrices:
    numbers = [[0.1 * i + t for t in thresholds] for i in range(4)]
    return Matrices(list(thresholds), *numbers)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_matrices(0.1, 0.5, 0.7), _matrices(0.1, 0.5, 0.7)),
        (_matrices(0.1, 0.5, 0.7), _matrices(0.2, 0.5)),
        (_matrices(), _matrices(0.5)),
        (_matrices(), _matrices()),
    ],
    ids=["same", "other", "none", "both_none"],
)
def test_arithmetic_of_confusion_matrices_is_that_of_tfma(one: Matrices, other: Matrices) -> None:
    def made() -> list[Any]:
        # TFMA itself stumbles over some thresholds that differ.
        return [_answer(op, one, value) for op, value in ((add, other), (sub, other), (mul, 2.0))]

    theirs = made()
    with applied.applied():
        assert made() == theirs


def _row(label: float, prediction: float) -> metric_types.StandardMetricInputs:
    return metric_types.StandardMetricInputs(
        labels=np.array([label]), predictions=np.array([prediction]), example_weights=np.array([2.0])
    )


def test_label_prediction_and_weight_of_a_row_are_those_of_tfma() -> None:
    rows = [_row(1.0, 0.25), _row(0.0, 0.5), _row(0.5, 0.5)]
    options: list[dict[str, Any]] = [
        {},
        {"example_weighted": True},
        {"fractional_labels": True},
        {"flatten": False},
    ]

    def made() -> list[Any]:
        # By row, as TFMA asks, and each twice: for two slices.
        return [
            [
                [array.tolist() for array in found]
                for found in metric_util.to_label_prediction_example_weight(row, **more)
            ]
            for row in rows
            for more in options * 2
        ]

    theirs = made()
    with applied.applied():
        assert made() == theirs


def test_a_metric_may_change_what_it_gets() -> None:
    row = _row(1.0, 0.25)
    with applied.applied():
        for _ in range(2):
            [(label, prediction, _)] = metric_util.to_label_prediction_example_weight(row)
            assert (label[0], prediction[0]) == (1.0, 0.25)
            prediction += 1
    assert row.predictions[0] == 0.25


def test_an_error_of_a_row_is_raised_each_time() -> None:
    row = metric_types.StandardMetricInputs(labels=np.array([2.0]), predictions=np.array([0.25]))
    with applied.applied():
        for _ in range(2):
            with pytest.raises(ValueError, match="label must be within"):
                list(metric_util.to_label_prediction_example_weight(row, fractional_labels=True))


class _Branching(tf_keras.layers.Layer):
    """A layer with Python's `if` on a tensor."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if tf.reduce_sum(inputs) > 0:
            return inputs
        return -inputs


def _absolute(inputs: tf.Tensor) -> tf.Tensor:
    if tf.reduce_sum(inputs) > 0:
        return inputs
    return -inputs


def _answers(layer: Callable[[], Any]) -> list[float] | str:
    """What a layer answers in a graph to -2 and to 2, or the name of the error."""
    made = layer()
    traced = tf.function(lambda inputs: made(inputs))
    try:
        return [traced(tf.constant([[number]])).numpy().item() for number in (-2.0, 2.0)]
    except tf.errors.OperatorNotAllowedInGraphError as error:
        return type(error).__name__


@pytest.mark.parametrize(
    "layer", [_Branching, lambda: tf_keras.Sequential([_Branching()])], ids=["layer", "model"]
)
def test_a_layer_of_the_user_still_becomes_a_graph(layer: Callable[[], Any]) -> None:
    with applied.applied():
        assert _answers(layer) == [2.0, 2.0]


@pytest.mark.parametrize("layer", [tf_keras.layers.Lambda, tf_keras.layers.Activation])
def test_a_function_that_a_layer_calls_becomes_a_graph_where_it_did(layer: Callable[[Any], Any]) -> None:
    # TensorFlow 2.21 leaves functions that tf_keras calls as they are, 2.16 does not. Its answer is remembered, hence comes first.
    plain = _answers(lambda: layer(_absolute))
    with applied.applied():
        assert _answers(lambda: layer(_absolute)) == plain


def test_nothing_is_imported_for_a_patch() -> None:
    code = (
        "import sys; from include.tfx_airflow.tfx_side.patches import applied\n"
        "with applied.applied(): print([m for m in ('tensorflow_model_analysis', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
