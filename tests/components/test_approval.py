"""A person's answer as the blessing that decides the push."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tfx import v1 as tfx

from include.components.approval import Approval, ApprovalError
from include.components.served_model import ServedModel
from tests.components.history import History

_NOBODY: dict[str, Any] = {"approved": 0, "approved_by": "", "reason": "no answer in time"}


def _blessing(folder: Path, blessed: int, **answer: Any) -> Any:
    """The blessing after an answer, of a model that the Evaluator blessed or not."""
    history = History()
    model = history.model([history.examples(201401)])
    verdict = history.blessing(model, history.examples(201402), blessed=blessed)
    made = tfx.types.standard_artifacts.ModelBlessing()
    made.uri = str(folder)
    answered = {"answered_at": "2026-01-01", **answer}
    Approval.EXECUTOR_SPEC.executor_class._FUNCTION(model=model, verdict=verdict, blessing=made, **answered)
    assert made.get_int_custom_property("current_model_id") == model.id
    assert made.get_int_custom_property("verdict_id") == verdict.id
    return made


def _numbers(blessing: Any) -> dict[str, int]:
    names = ("blessed", "approved", "verdict_blessed", "overridden")
    return {name: blessing.get_int_custom_property(name) for name in names}


@pytest.mark.parametrize("verdict", [0, 1])
@pytest.mark.parametrize("approved", [0, 1])
def test_the_answer_decides_and_the_verdict_is_kept_beside_it(
    tmp_path: Path, verdict: int, approved: int
) -> None:
    made = _blessing(tmp_path, verdict, approved=approved, approved_by="ada", reason="seen on the map")
    assert _numbers(made) == {
        "blessed": approved,
        "approved": approved,
        "verdict_blessed": verdict,
        "overridden": int(approved != verdict),
    }
    assert made.get_string_custom_property("approved_by") == "ada"
    assert made.get_string_custom_property("reason") == "seen on the map"
    assert [file.name for file in tmp_path.iterdir()] == ["BLESSED" if approved else "NOT_BLESSED"]


def test_without_an_answer_nothing_is_pushed_even_if_the_evaluator_blessed_it(tmp_path: Path) -> None:
    made = _blessing(tmp_path, 1, **_NOBODY)
    assert _numbers(made) == {"blessed": 0, "approved": 0, "verdict_blessed": 1, "overridden": 1}
    assert made.get_string_custom_property("approved_by") == ""


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"approved_by": " ", "reason": "fine"}, "names nobody who gave it"),
        ({"approved_by": "ada", "reason": " "}, "'ada' approved a model that the Evaluator did not bless"),
    ],
)
def test_an_override_takes_a_name_and_a_reason(tmp_path: Path, answer: dict[str, Any], told: str) -> None:
    with pytest.raises(ApprovalError, match=told):
        _blessing(tmp_path, 0, approved=1, **answer)
    assert list(tmp_path.iterdir()) == []


def test_an_approval_of_what_was_blessed_needs_no_reason(tmp_path: Path) -> None:
    assert _numbers(_blessing(tmp_path, 1, approved=1, approved_by="ada", reason=""))["blessed"] == 1


def test_a_baseline_may_be_missing_where_nothing_is_served_yet() -> None:
    history = History()
    model = history.model([history.examples(201401)])
    inputs = {"model": [model], "pushed": []}
    assert ServedModel(required=False).resolve_artifacts(history.store, inputs) == {"model": [], "pushed": []}
