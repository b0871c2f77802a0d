"""Resolver strategies that read across pipelines, on an MLMD store in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.orchestration.portable.input_resolution.exceptions import InputResolutionError, SkipSignal

from include.components.chosen import ChosenModel, ExamplesOfSpan
from include.components.served_model import ServedModel
from include.components.tuned_before import TunedBefore
from tests.components.history import History, Offered


def _tuned(history: History, newest: Any, *tuned: Any) -> list[int]:
    inputs = {"hyperparameters": list(tuned), "newest": [newest]}
    found = TunedBefore().resolve_artifacts(history.store, inputs)
    assert found["newest"] == [newest]
    return [artifact.id for artifact in found["hyperparameters"]]


def test_a_training_takes_the_last_hyperparameters_tuned_before_its_span() -> None:
    history = History()
    january, february, march, april = (history.examples(span) for span in (201401, 201402, 201403, 201404))
    on_february = history.hyperparameters(january, february)
    on_january = history.hyperparameters(january)
    assert _tuned(history, april, on_february, on_january) == [on_february.id]
    assert _tuned(history, march, on_february, on_january) == [on_february.id]
    again = history.hyperparameters(february)
    assert _tuned(history, march, on_february, again, on_january) == [again.id]


def test_a_backfill_does_not_see_later_tunings_nor_one_that_saw_its_own_span() -> None:
    history = History()
    january, february, march = (history.examples(span) for span in (201401, 201402, 201403))
    on_february = history.hyperparameters(january, february)
    assert _tuned(history, january, on_february) == []
    assert _tuned(history, february, on_february) == []
    assert _tuned(history, march, on_february) == [on_february.id]
    assert _tuned(history, march) == []


def test_the_served_model_is_the_one_pushed_last_and_not_a_newer_one() -> None:
    history = History()
    january, february, march = (history.examples(span) for span in (201401, 201402, 201403))
    first, second = history.model([january]), history.model([january])
    pushed = [history.pushed(model, history.blessing(model, february)) for model in (first, second)]
    blessed_only, trained_only = history.model([february]), history.model([february])
    history.blessing(blessed_only, march)
    history.blessing(trained_only, march, blessed=0)
    not_pushed = history.pushed(blessed_only, history.blessing(blessed_only, march), pushed=0)
    inputs = {"model": [first, second, blessed_only, trained_only], "pushed": [*reversed(pushed), not_pushed]}
    found = ServedModel().resolve_artifacts(history.store, inputs)
    assert (found["model"], found["pushed"]) == ([second], [pushed[1]])


def test_without_a_pushed_model_the_run_is_skipped_with_a_sentence() -> None:
    history = History()
    model = history.model([history.examples(201401)])
    with pytest.raises(
        SkipSignal, match="no model has been pushed yet; 1 were trained. A model is pushed, and then"
    ):
        ServedModel().resolve_artifacts(history.store, {"model": [model], "pushed": []})


def test_a_pushed_model_whose_artifact_is_gone_is_an_error_that_names_it() -> None:
    history = History()
    newest = history.examples(201402)
    model = history.model([history.examples(201401)])
    pushed = history.pushed(model, history.blessing(model, newest))
    other = history.model([newest])
    with pytest.raises(InputResolutionError) as caught:
        ServedModel().resolve_artifacts(history.store, {"model": [other], "pushed": [pushed]})
    for part in (f"PushedModel {pushed.id}", "'/serving/1'", "not among the 1 live models"):
        assert part in str(caught.value)


def test_of_all_models_and_pushes_only_what_is_served_is_needed() -> None:
    history = History()
    february = history.examples(201402)
    models = [history.model([history.examples(201401)]) for _ in range(4)]
    pushed = [
        history.pushed(model, history.blessing(model, february), pushed=int(model is not models[3]))
        for model in models
    ]

    def needed(models: list[Any], pushed: list[Any], **settings: bool) -> Any:
        candidates = {"model": Offered(models), "pushed": Offered(pushed)}
        return ServedModel(**settings).needed(history.store, candidates)

    assert needed(models, pushed) == {"model": [models[2].id], "pushed": [pushed[2].id]}
    assert needed(models, pushed[3:], required=False) == {"model": [], "pushed": []}
    # The models that there are, all of them, are counted in the messages.
    assert needed(models, pushed[3:]) == {"pushed": []}
    assert needed(models[:2], pushed) == {"pushed": [pushed[2].id]}


def _chosen(history: History, folder: Path, number: int) -> Any:
    chosen = history.artifact(tfx.types.standard_artifacts.Integer)
    chosen.uri = str(folder / f"value-{number}")
    chosen.value = number
    return chosen


def test_examples_of_a_span_are_those_of_its_highest_version(tmp_path: Path) -> None:
    history = History()
    all_ = [history.examples(201401), history.examples(201402, 1), history.examples(201402)]
    inputs = {"examples": all_, "span": [_chosen(history, tmp_path, 201402)]}
    assert ExamplesOfSpan().resolve_artifacts(history.store, inputs)["examples"] == [all_[1]]


def test_without_a_number_the_span_is_that_of_what_lies_behind(tmp_path: Path) -> None:
    history = History()
    january, february, march = (history.examples(span) for span in (201401, 201402, 201403))
    model = history.model([january])
    pushed = history.pushed(model, history.blessing(model, february))
    inputs = {
        "examples": [january, february, march],
        "span": [_chosen(history, tmp_path, 0)],
        "behind": [pushed],
    }
    assert ExamplesOfSpan().resolve_artifacts(history.store, inputs)["examples"] == [february]
    with pytest.raises(SkipSignal, match="no span was chosen. Trigger a run with the Param span"):
        ExamplesOfSpan().resolve_artifacts(history.store, {**inputs, "behind": []})


def test_a_span_that_is_not_there_or_did_not_pass_the_gate_is_skipped_with_its_reason(tmp_path: Path) -> None:
    history = History()
    january, february, march = (history.examples(span) for span in (201401, 201402, 201403))
    failed = metadata_store_pb2.Execution.FAILED
    history.execution("AnomalyGate", [january], [])
    history.execution("AnomalyGate", [february], [], state=failed)
    gate, all_ = ExamplesOfSpan(gate="AnomalyGate"), [january, february, march]

    def resolved(span: int) -> Any:
        inputs = {"examples": all_, "span": [_chosen(history, tmp_path, span)]}
        return gate.resolve_artifacts(history.store, inputs)["examples"]

    assert resolved(201401) == [january]
    for span in (201402, 201403):
        with pytest.raises(SkipSignal, match=f"those of span {span} did not pass AnomalyGate"):
            resolved(span)
    with pytest.raises(
        SkipSignal, match=r"no examples of span 201312: the store has spans \[201401, 201402, 201403\]"
    ):
        resolved(201312)


def test_a_model_is_chosen_by_its_id_or_is_the_last_one(tmp_path: Path) -> None:
    history = History()
    january, february = history.examples(201401), history.examples(201402)
    first, second = history.model([january]), history.model([january])

    def resolved(number: int) -> Any:
        chosen = _chosen(history, tmp_path, number)
        inputs = {"model": [second, first], "chosen": [chosen], "examples": [february]}
        return ChosenModel().resolve_artifacts(history.store, inputs)["model"]

    assert resolved(first.id) == [first]
    assert resolved(0) == [second]
    with pytest.raises(InputResolutionError) as caught:
        resolved(999)
    assert f"no live model 999; the last ones trained: {first.id}, {second.id}" in str(caught.value)


def test_of_all_models_only_the_chosen_one_or_those_that_a_message_names_are_needed(tmp_path: Path) -> None:
    history = History()
    models = [history.model([history.examples(201401)]) for _ in range(7)]
    ids = [model.id for model in models]

    def needed(number: int) -> Any:
        chosen = Offered([_chosen(history, tmp_path, number)], is_history=False)
        return ChosenModel().needed(history.store, {"model": Offered(models), "chosen": chosen})

    assert needed(ids[2]) == {"model": [ids[2]]}
    assert needed(0) == {"model": [ids[6]]}
    assert needed(999) == {"model": ids[2:]}


def test_of_all_examples_only_those_of_the_span_or_one_of_each_are_needed(tmp_path: Path) -> None:
    history = History()
    january, february, march = (history.examples(span) for span in (201401, 201402, 201403))
    again, refused = history.examples(201402, version=1), history.examples(201402, version=2, passed=False)
    all_ = [january, february, again, refused, march]

    def needed(number: int, *behind: Any) -> list[int]:
        candidates = {
            "examples": Offered(all_),
            "span": Offered([_chosen(history, tmp_path, number)], is_history=False),
        }
        if behind:
            candidates["behind"] = Offered(list(behind))
        return sorted(ExamplesOfSpan(gate="Gate").needed(history.store, candidates)["examples"])

    assert needed(201402) == needed(0, history.model([february])) == [again.id]
    assert needed(0) == []
    one_of_each = needed(201312)
    assert len(one_of_each) == 3 and {january.id, march.id} < set(one_of_each)


def test_a_model_is_not_judged_on_what_it_was_trained_on(tmp_path: Path) -> None:
    history = History()
    january, february = history.examples(201401), history.examples(201402)
    model, chosen = history.model([january, february]), _chosen(history, tmp_path, 0)
    with pytest.raises(
        InputResolutionError, match="trained on spans up to 201402 and cannot be evaluated on span"
    ):
        ChosenModel().resolve_artifacts(
            history.store, {"model": [model], "chosen": [chosen], "examples": [february]}
        )
