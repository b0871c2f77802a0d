"""Which window, baseline and model a run gets: by its own span, whatever else the store holds."""

from __future__ import annotations

from typing import Any

import pytest
from tfx import v1 as tfx
from tfx.orchestration.portable.input_resolution.exceptions import SkipSignal

from include.components.blessed_before import BlessedBefore
from include.components.lineage import SPAN, number, spans_behind
from include.components.not_superseded import NotSuperseded
from include.components.rolling_window import RollingWindow
from tests.components.history import History

_standard = tfx.types.standard_artifacts


@pytest.fixture
def history() -> History:
    """An empty store."""
    return History()


def _window(history: History, newest: Any, **config: Any) -> list[int]:
    strategy = RollingWindow(**{"spans": 3, "gate": "Gate", **config})
    found = strategy.resolve_artifacts(
        history.store, {"examples": history.all(_standard.Examples), "newest": [newest]}
    )
    assert found["newest"] == [newest]
    return [number(artifact, SPAN) for artifact in found["examples"]]


def _of(history: History, *spans: int) -> dict[int, Any]:
    return {span: history.examples(span) for span in spans}


def test_window_is_the_last_spans_before_the_runs_own_oldest_first(history: History) -> None:
    examples = _of(history, 201405, 201401, 201403, 201402, 201404)
    assert _window(history, examples[201404]) == [201401, 201402, 201403]
    assert _window(history, examples[201403]) == [201401, 201402]
    assert _window(history, examples[201405], spans=2) == [201403, 201404]


def test_window_reaches_back_over_a_gap(history: History) -> None:
    examples = _of(history, 201311, 201312, 201403, 201405)
    assert _window(history, examples[201405]) == [201311, 201312, 201403]


def test_of_a_span_that_was_delivered_again_the_highest_version_serves(history: History) -> None:
    second = history.examples(201401, version=1)
    history.examples(201401, version=0)  # read later, by a run that was cleared
    newest = history.examples(201402)
    [chosen] = RollingWindow(3).resolve_artifacts(
        history.store, {"examples": history.all(_standard.Examples), "newest": [newest]}
    )["examples"]
    assert chosen.id == second.id


def test_span_that_did_not_pass_the_gate_is_not_trained_on(history: History) -> None:
    history.examples(201401)
    history.examples(201402, passed=False)
    newest = history.examples(201403)
    assert _window(history, newest) == [201401]
    assert _window(history, newest, gate="") == [201401, 201402]


def test_too_few_spans_skip_the_run_and_say_which_there_are(history: History) -> None:
    first, second = history.examples(201401), history.examples(201402)
    with pytest.raises(SkipSignal, match="before span 201401 the store has none, and 1 are needed"):
        _window(history, first)
    with pytest.raises(SkipSignal, match=r"has 201401 \(version 0\), and 2 are needed"):
        _window(history, second, at_least=2)


def _trained(history: History, window: list[Any], newest: Any, blessed: int = 1) -> tuple[Any, Any]:
    model = history.model(window)
    return model, history.blessing(model, newest, blessed)


def _baseline(history: History, newest: Any, **blessings: list[Any]) -> int | None:
    inputs = {
        "model": history.all(_standard.Model),
        "model_blessing": history.all(_standard.ModelBlessing),
        "newest": [newest],
        **blessings,
    }
    found = BlessedBefore().resolve_artifacts(history.store, inputs)
    assert found.keys() == inputs.keys() and found["newest"] == [newest]
    assert len(found["model"]) == len(found["model_blessing"]) < 2
    return found["model"][0].id if found["model"] else None


def test_baseline_is_the_last_model_blessed_on_an_earlier_span(history: History) -> None:
    examples = _of(history, 201401, 201402, 201403, 201404, 201405)
    assert _baseline(history, examples[201402]) is None
    second, _ = _trained(history, [examples[201401]], examples[201402])
    _trained(history, [examples[201401], examples[201402]], examples[201403], blessed=0)
    fourth, _ = _trained(history, [examples[201402]], examples[201404])
    assert _baseline(history, examples[201402]) is None, "not the model of the span itself"
    assert _baseline(history, examples[201403]) == second.id
    assert _baseline(history, examples[201404]) == second.id, "not one that was not blessed"
    assert _baseline(history, examples[201405]) == fourth.id


def test_baseline_of_a_backfilled_month_is_not_a_later_model_made_before(history: History) -> None:
    examples = _of(history, 201401, 201402, 201409)
    late, _ = _trained(history, [examples[201401]], examples[201409])
    early, _ = _trained(history, [examples[201401]], examples[201401])
    assert early.id > late.id
    assert _baseline(history, examples[201402]) == early.id


def test_of_two_models_blessed_on_one_span_the_later_is_the_baseline(history: History) -> None:
    first, again, newest = (
        history.examples(201401),
        history.examples(201401, version=1),
        history.examples(201402),
    )
    _trained(history, [first], first)
    second, _ = _trained(history, [again], again)
    assert _baseline(history, newest) == second.id


def test_baseline_follows_the_blessings_of_the_node_that_decides(history: History) -> None:
    examples = _of(history, 201401, 201402, 201403, 201404)
    second, third = (history.model([examples[201401]]) for _ in range(2))
    noise = history.gated(second, examples[201402], evaluators=0, gates=1)
    drop = history.gated(third, examples[201403], evaluators=1, gates=0)
    for number_, expected in ((0, third.id), (1, second.id)):
        mine = [pair[number_] for pair in (noise, drop)]
        assert _baseline(history, examples[201404], model_blessing=mine) == expected


def test_what_decided_before_counts_for_models_that_the_node_which_decides_has_not_judged(
    history: History,
) -> None:
    examples = _of(history, 201401, 201402, 201403, 201404)
    old, former = _trained(history, [examples[201401]], examples[201402])
    model = history.model([examples[201401]])
    first, second = history.gated(model, examples[201403], evaluators=1, gates=0)
    blessings = {"model_blessing": [second], "former_blessing": [former, first]}
    assert _baseline(history, examples[201404], **blessings) == old.id
    assert _baseline(history, examples[201402], **blessings) is None


def test_span_behind_a_gates_blessing_is_that_of_the_evaluation(history: History) -> None:
    early, newest = history.examples(201401), history.examples(201402)
    model = history.model([early])
    _, blessing = history.gated(model, newest, evaluators=1, gates=1)
    pushed = history.pushed(model, blessing)
    found = spans_behind(history.store, [blessing.id, pushed.id])
    assert found == {blessing.id: 201402, pushed.id: 201402}


def test_model_of_a_later_span_that_is_served_is_not_replaced(history: History) -> None:
    examples = _of(history, 201401, 201402, 201403)
    model, blessing = _trained(history, [examples[201401]], examples[201402])

    def served() -> list[Any]:
        inputs = {
            "model": [model],
            "pushed": history.all(_standard.PushedModel),
            "newest": [examples[201402]],
        }
        return NotSuperseded().resolve_artifacts(history.store, inputs)["model"]

    assert served() == [model]
    history.pushed(model, blessing)
    assert served() == [model]
    later = _trained(history, [examples[201402]], examples[201403])
    history.pushed(*later, pushed=0)
    assert served() == [model]
    history.pushed(*later)
    with pytest.raises(SkipSignal, match="model of span 201403 is served; that of span 201402"):
        served()


def test_span_behind_an_artifact_is_that_of_the_nearest_examples(history: History) -> None:
    early, newest = history.examples(201401), history.examples(201402)
    model, blessing = _trained(history, [early], newest)
    pushed, nothing = history.pushed(model, blessing), history.artifact(_standard.Model)
    ids = [artifact.id for artifact in (model, blessing, pushed, nothing)]
    assert spans_behind(history.store, ids) == {model.id: 201401, blessing.id: 201402, pushed.id: 201402}
