"""The form's fields change the thresholds that they name, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlmd_panel.errors import BadQuery
from mlmd_panel.evaluation import threshold_edits
from mlmd_panel.evaluation.threshold_edits import EVERY_SLICE, Added, Edited, Edits, parse
from mlmd_panel.evaluation.threshold_edits import written as field
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import eval_config, evaluation

from tests.panel.evaluation.judged import run
from tests.panel.written import written


@pytest.fixture(scope="module")
def folder() -> Path:
    return written().folder / "evaluation"


def _edit(folder: Path, fields: dict[str, str]) -> Edited:
    files, artifact = Files([str(folder)]), run(1, str(folder)).evaluation
    assert artifact is not None
    payload = evaluation.read(artifact, files, parts=())
    return threshold_edits.edit(eval_config.message(files, str(folder)), parse(fields.items()), payload)


def _fields(edited: Edited) -> dict[str, str]:
    """What the form sends when nothing is edited."""
    found = {"edited": "1"}
    for row in edited.rows:
        found |= {
            f"{row.number}.{name}": field(value) for name, value in row.bounds.items() if value is not None
        }
        if row.change and row.direction:
            found[f"{row.number}.direction"] = row.direction
    return found


@pytest.mark.parametrize(
    "name", ["compared", "classes", "bootstrap", "models", "rivals", "outputs", "no_thresholds"]
)
def test_a_form_that_is_sent_as_it_is_changes_nothing(name: str, folder: Path) -> None:
    before = _edit(folder / name, {})
    sent = _edit(folder / name, _fields(before))
    assert not sent.changed
    assert sent.text == before.text
    assert [repr(one) for one in sent.config.thresholds] == [repr(one) for one in before.config.thresholds]


def test_each_threshold_is_a_row(folder: Path) -> None:
    rows = _edit(folder / "compared", {}).rows
    assert [(row.metric, row.slices, row.change) for row in rows] == [
        ("area", EVERY_SLICE, False),
        ("area", "each language; language: de", False),
        ("area", "each language; language: de", True),
        ("area", "language: nobody speaks it", False),
        ("area", "Overall against language: de", False),
        ("binary_accuracy", "Overall", True),
        ("binary_accuracy", "hour: 3", True),
        ("precision", EVERY_SLICE, False),
        ("precision", EVERY_SLICE, True),
        ("mean_label", EVERY_SLICE, False),
    ]
    assert rows[0].bounds == {"lower": 0.5, "upper": 0.99}
    assert (rows[2].bounds, rows[2].direction) == ({"absolute": -0.01, "relative": -0.02}, "higher")


def test_bounds_are_changed_emptied_and_removed(folder: Path) -> None:
    fields = _fields(_edit(folder / "compared", {}))
    fields |= {"0.lower": "0", "2.direction": "lower", "5.remove": "1"}
    del fields["0.upper"], fields["3.lower"]

    edited = _edit(folder / "compared", fields)

    assert [row.number for row in edited.rows if row.changed] == [0, 2, 3, 5]
    assert [row.number for row in edited.rows if row.removed] == [3, 5]
    assert edited.rows[0].bounds == {"lower": 0.0, "upper": None}
    assert "nobody speaks it" not in edited.text
    of_all = [one for one in edited.config.thresholds if one.spec is None and one.key.name == "area"]
    assert {(one.lower, one.upper) for one in of_all} == {(0.0, None)}
    # One without any bound stays, as TFMA asks for its metric.
    assert any(one.key.name == "mean_label" for one in edited.config.thresholds)


def test_a_threshold_is_added_to_its_metric(folder: Path) -> None:
    fields = {
        "a0.metric": "binary_accuracy",
        "a0.slice": "language: 日本",
        "a0.kind": "relative change at least",
        "a0.bound": "−0.05",
        "a1.metric": "area",
    }
    edited = _edit(folder / "compared", fields)
    assert edited.added == (Added("binary_accuracy", "language: 日本", "relative change at least", -0.05),)
    found = [one for one in edited.config.thresholds if one.relative == -0.05]
    assert {(one.key.model, one.key.is_diff, one.direction) for one in found} == {
        ("candidate", True, 2),
        ("baseline", True, 2),
    }
    assert edited.changed


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"edited": "1", "0.lower": "much"}, "0.lower is 'much'; it must be a number"),
        ({"edited": "1", "2.direction": "up"}, "2.direction is 'up'; use lower or higher"),
        ({"a0.bound": "1"}, "has a bound but no metric; add a0.metric"),
        ({"a0.bound": "1", "a0.metric": "x", "a0.slice": "Overall", "a0.kind": "odd"}, "Unknown kind"),
        (
            {"a0.bound": "1", "a0.metric": "x", "a0.slice": "Overall", "a0.kind": "value at least"},
            "The evaluation has no metric 'x'; it has example_count, area, binary_accuracy",
        ),
        (
            {"a0.bound": "1", "a0.metric": "area", "a0.slice": "x", "a0.kind": "value at least"},
            "The evaluation has no slice 'x'",
        ),
        (
            {"a0.bound": "1", "a0.metric": "area", "a0.slice": EVERY_SLICE, "a0.kind": "value at least"},
            "area has such a threshold for every slice already; edit that one",
        ),
    ],
)
def test_what_cannot_be_done_is_said(fields: dict[str, str], said: str, folder: Path) -> None:
    with pytest.raises(BadQuery, match=said.replace("(", r"\(")):
        _edit(folder / "compared", fields)


def test_too_many_thresholds_are_refused() -> None:
    fields = {
        f"a{number}.{name}": value
        for number in range(threshold_edits.MAX_ADDED + 1)
        for name, value in {
            "metric": "auc",
            "slice": "Overall",
            "kind": "value at least",
            "bound": "1",
        }.items()
    }
    with pytest.raises(BadQuery, match="at most 20"):
        parse(fields.items())


def test_other_parameters_are_no_edits() -> None:
    assert parse([("runs", "5"), ("0.5.lower", "1"), ("lower", "1"), ("99999.lower", "1")]) == Edits()


def test_a_metric_of_ones_own_class_is_offered_by_the_name_that_it_measured_under(folder: Path) -> None:
    artifact = run(1, str(folder / "many")).evaluation
    assert artifact is not None
    files = Files([str(folder)])
    payload = evaluation.read(artifact, files, parts=())
    message = eval_config.message(files, str(folder / "many"))
    for metric in message.eval_config.metrics_specs[0].metrics:
        if metric.class_name == "SparseCategoricalAccuracy":
            metric.class_name, metric.module = "Own", "include.own"
    edited = threshold_edits.edit(message, Edits(), payload)
    assert "sparse_categorical_accuracy" in edited.choices.metrics
    assert '{\\"name\\": \\"sparse_categorical_accuracy\\"}' in edited.text


def test_a_field_holds_the_number_exactly() -> None:
    for number in (0.1, -0.004, 1e-300, 1e300, 3.0, -0.0, float("inf"), 12345678901234567890.0):
        assert float(field(number)) == number
    assert field(None) == ""
    assert field(3.0) == "3"
