"""The end of a task's log."""

from __future__ import annotations

from include.tfx_airflow.airflow_side.operators import table
from include.tfx_airflow.contract.node import NodeResult


def test_table_lists_each_artifact_in_columns() -> None:
    result = NodeResult(
        "executed",
        7,
        outputs={
            "examples": [{"id": 3, "type": "Examples", "uri": "/srv/ex/7", "note": "span 1, version 0"}],
            "model": [
                {"id": 14, "type": "Model", "uri": "/srv/m/7", "note": ""},
                {"id": 15, "type": "Model", "uri": "/srv/m/8", "note": ""},
            ],
        },
    )
    assert table("Trainer", result) == [
        "Trainer: executed (MLMD execution 7)",
        "output    id  type      uri",
        "examples  3   Examples  /srv/ex/7  span 1, version 0",
        "model     14  Model     /srv/m/7",
        "model     15  Model     /srv/m/8",
    ]


def test_table_of_a_node_without_outputs_is_one_line() -> None:
    assert table("Push", NodeResult("cached", 2)) == ["Push: cached (MLMD execution 2)"]


def test_table_ends_with_the_thresholds_that_failed() -> None:
    result = NodeResult("executed", 2, summary={"failed_thresholds": ["auc 0.4 is below 0.5", "no slice"]})
    assert table("Evaluator", result)[1:] == [
        "threshold failed: auc 0.4 is below 0.5",
        "threshold failed: no slice",
    ]
