"""Which claims about causes two runs cannot support, and which rerun would."""

from __future__ import annotations

import dataclasses

import pytest
from mlmd_panel.evaluation.changes.causes import Causes, causes
from mlmd_panel.evaluation.changes.changed import Changed, Changes, RunOf
from mlmd_panel.evaluation.changes.code import CodeChange
from mlmd_panel.evaluation.changes.data import EVAL, TRAIN, DataChange
from mlmd_panel.evaluation.changes.parameters import ParameterChange

from tests.panel.changed_runs import BEFORE, NOW, PROMOTED, changed_runs


def _item(kind: str, component: str = "Trainer") -> Changed:
    details = {
        "train": DataChange(TRAIN, (), (), (), ()),
        "eval": DataChange(EVAL, (), (), (), ()),
        "code": CodeChange(component, component, "", "", "a", "b"),
        "parameters": ParameterChange(component, component, (), False),
    }.get(kind)
    return Changed("data" if kind in ("train", "eval") else kind, kind, details=details)


_BASE = RunOf("taxi dag", "monthly", (201402,), True, 1, None)
_CANDIDATE = RunOf("taxi dag", "now", (201403,), True, 2, 1)


def _causes(*items: Changed, base: RunOf = _BASE, candidate: RunOf = _CANDIDATE, unknown: int = 0) -> Causes:
    return causes(Changes(items, (), ("?",) * unknown, base, candidate))


def test_data_and_code_at_once_cannot_be_told_apart_but_by_one_rerun() -> None:
    found = _causes(_item("code"), _item("train"))
    assert found.of_model == ("the code", "the training data")
    assert found.sentences[0] == (
        "The code and the training data changed at once: these two runs cannot tell which of them made the model better"
        " or worse."
    )
    (rerun,) = found.reruns
    assert rerun.command == """airflow dags trigger 'taxi dag' --conf '{"span": 201402}'"""
    assert "bundle version of run now" in rerun.what
    assert rerun.tells.startswith("Compared with the baseline, it shows what the code did")


def test_what_resolvers_choose_does_not_stay_the_same_in_a_rerun() -> None:
    (rerun,) = _causes(_item("train"), _item("starting_model")).reruns
    assert not rerun.command  # which would find the baseline's starting model with the baseline's data
    assert rerun.what.startswith(
        "Train on the candidate's data with the model that training started from of the baseline"
    )
    (rerun,) = _causes(_item("train"), _item("starting_model"), _item("parameters")).reruns
    assert rerun.command and "as Params" in rerun.what
    assert "it shows what the parameters did;" in rerun.tells
    assert "if it finds the model that training started from" in rerun.tells


@pytest.mark.parametrize(
    "other", [{"dag_id": ""}, {"takes_span": False}], ids=["another program's", "no Param span"]
)
def test_a_command_that_cannot_be_known_is_said_in_words(other: dict) -> None:
    candidate = dataclasses.replace(_CANDIDATE, **other)
    (rerun,) = _causes(_item("code"), _item("train"), candidate=candidate).reruns
    assert not rerun.command
    assert "on the Examples of the baseline's run monthly (spans 201402)" in rerun.what


def test_one_change_is_the_only_cause_that_the_store_tells_of() -> None:
    found = _causes(_item("code"))
    assert "only the code changed, as far as the store tells" in found.sentences[0]
    assert not found.reruns
    assert "chance in training, or was not recorded" in _causes().sentences[0]
    assert _causes(_item("code"), unknown=2).sentences[-1] == (
        "2 things could not be compared and may have changed as well."
    )


def test_what_is_beside_the_model_is_no_cause_of_it() -> None:
    found = _causes(_item("code", "Evaluator"), _item("parameters", "Pusher"), _item("transform"))
    assert found.of_model == ()
    assert found.of_measurement == ("the Evaluator's code",)
    assert "need not measure the same" in found.sentences[1]


def test_parameters_and_code_are_told_apart_on_the_same_data() -> None:
    (rerun,) = _causes(_item("code"), _item("parameters")).reruns
    assert "with the parameters of the baseline" in rerun.what
    assert not rerun.command


def test_other_evaluated_data_are_told_apart_where_the_candidate_was_compared_with_the_baselines_model() -> (
    None
):
    judged = _causes(_item("eval"))
    assert "can be told from that of the model" in judged.sentences[-1]
    assert not judged.reruns
    mixed = _causes(_item("eval"), candidate=dataclasses.replace(_CANDIDATE, baseline_model=7))
    assert "cannot be told to be the model's" in mixed.sentences[-1]
    assert "Model #1" in mixed.reruns[0].what


def test_the_same_model_on_other_data() -> None:
    same = dataclasses.replace(_CANDIDATE, evaluated_model=1)
    found = _causes(_item("eval"), _item("code"), candidate=same)
    assert found.sentences[:2] == (
        "Both runs judged the same model: no change of a metric is the model's.",
        "What changed is how it was evaluated: the evaluated data.",
    )
    assert not found.reruns


def test_causes_of_runs_in_a_store() -> None:
    found = causes(changed_runs().between(BEFORE, NOW))
    assert set(found.of_model) == {
        "the code", "the libraries", "the parameters", "the hyperparameters", "the schema",
        "the model that training started from", "the training data",
    }  # fmt: skip
    assert set(found.of_measurement) == {"the libraries", "the evaluated data"}
    assert "can be told from that of the model" in " ".join(found.sentences)
    # The baseline's run made two spans, so which one to run on is said in words.
    assert [rerun.command for rerun in found.reruns] == [""]
    assert causes(changed_runs().between(NOW, PROMOTED)).of_measurement == ("the Evaluator's configuration",)
