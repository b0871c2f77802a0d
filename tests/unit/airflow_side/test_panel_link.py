"""The address of a task's page in the panel."""

from __future__ import annotations

import types

import pytest

from include.tfx_airflow import TfxNodeOperator
from include.tfx_airflow.airflow_side.panel_link import EvaluationDiffLink, panel_url


def test_ids_are_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.org/air/")
    key = types.SimpleNamespace(
        dag_id="taxi", run_id="manual__2014-01-01T00:00:00+00:00", task_id="g.Trainer"
    )
    key.map_index = 3
    [link] = TfxNodeOperator.operator_extra_links
    assert link.name == "Artifacts"
    assert link.get_link(None, ti_key=key) == (
        "https://example.org/air/mlmd/?dag_id=taxi&run_id=manual__2014-01-01T00%3A00%3A00%2B00%3A00"
        "&task_id=g.Trainer&map_index=3"
    )


def test_without_a_base_url_it_is_a_path_and_without_a_map_index_minus_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AIRFLOW__API__BASE_URL", raising=False)
    assert panel_url("taxi", "a", "b", None) == "/mlmd/?dag_id=taxi&run_id=a&task_id=b&map_index=-1"


def test_the_evaluation_diff_is_that_of_the_tasks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__API__BASE_URL", raising=False)
    key = types.SimpleNamespace(dag_id="taxi", run_id="a+b")
    assert EvaluationDiffLink().get_link(None, ti_key=key) == "/mlmd/compare?dag_id=taxi&run_id=a%2Bb"
