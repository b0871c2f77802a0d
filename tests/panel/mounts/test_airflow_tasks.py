"""The diff in DAGs: operator and notifier on a store, without a scheduler; tests/airflow has them under one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias, BaseNotifier
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from fastapi.testclient import TestClient
from mlmd_panel import airflow_diff, airflow_tasks
from mlmd_panel.airflow_tasks import EvaluationDiffNotifier, EvaluationDiffOperator
from mlmd_panel.errors import BadQuery, StoreError
from mlmd_panel.evaluation import verdicts
from mlmd_panel.evaluation.comparability import NOT_COMPARABLE
from mlmd_panel.evaluation.compare import SCOPES
from mlmd_panel.files.allowed import Files
from mlmd_panel.store import address
from mlmd_panel.store.engine import PAGE_PATIENCE, make_engine
from mlmd_panel.store.store import Store
from mlmd_panel.web.app import Panel, create_app

from tests.bundle import ROOT
from tests.panel.judged import judged


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    store = judged() / "mlmd" / "metadata.db"
    monkeypatch.setenv("AIRFLOW__MLMD_PANEL__MLMD", f"sqlite:///{store}")
    monkeypatch.setenv("AIRFLOW__MLMD_PANEL__ROOTS", str(judged()))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/af")


class _Instance:
    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = json.loads(json.dumps(value))


def _context(run_id: str, dag_id: str = "taxi") -> Any:
    return {"ti": _Instance(), "run_id": run_id, "dag_run": SimpleNamespace(dag_id=dag_id, run_id=run_id)}


def _executed(run_id: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    context = _context(run_id)
    value = EvaluationDiffOperator(task_id="diff", **options).execute(context)
    return json.loads(json.dumps(value)), context["ti"].pushed


def test_a_run_is_compared_with_the_last_blessed_one_and_the_page_is_linked() -> None:
    value, pushed = _executed("march")
    assert (value["outcome"], value["baseline"]["run_id"]) == ("worse", "february")
    assert value["counts"]["worse"] == 2 and len(value["rows"]) == value["rows_in_all"] <= 10
    assert value["url"].startswith("https://airflow.example/af/mlmd/compare?candidate=7&baseline=6&")
    assert pushed["markdown"].startswith("**auc fell by 0.0600")
    assert f"]({value['url']})" in pushed["markdown"]


def test_the_run_to_judge_and_the_baseline_may_be_others() -> None:
    value, _ = _executed("nowhere", candidate_dag_id="taxi", candidate_run_id="april", against="own")
    assert (value["candidate"]["run_id"], value["against"]) == ("april", "own")
    assert "against=own" in value["url"] and "baseline=" not in value["url"]
    value, _ = _executed("march", against="taxi:january")
    assert value["baseline"]["run_id"] == "january"


@pytest.mark.parametrize(
    ("against", "options"),
    [
        ("blessed", {}),
        ("previous", {"min_examples": 405}),
        ("own", {"level": 0.99995, "scope": "all", "metrics": ["auc"]}),
        ("taxi:january", {"min_examples": 0, "metrics": ["*"], "scope": "metric"}),
    ],
)
def test_the_linked_page_judges_as_the_task_did(against: str, options: dict[str, Any]) -> None:
    value, _ = _executed("march", against=against, **options)
    path, _, query = value["url"].removeprefix("https://airflow.example/af/mlmd").partition("?")
    store = Store(make_engine(address.of_file(judged() / "mlmd" / "metadata.db")))
    with TestClient(create_app(Panel(store, Files([str(judged())])))) as client:
        [found] = client.get(f"{path}.json?{query}").json()["diffs"]
    for name in ("sentence", "outcome", "counts", "method", "metrics", "baseline", "candidate"):
        assert found[name] == value[name], name


@pytest.mark.parametrize("against", ["blessed", "previous", "own", "taxi:january"])
@pytest.mark.parametrize("run_id", ["january", "february", "march", "april"])
def test_however_few_runs_are_read_at_first_the_answer_is_the_same(
    run_id: str, against: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _executed(run_id, against=against)
    for recent in (1, 5, 10, 15, 20, 30):
        monkeypatch.setattr(airflow_diff, "_RECENT", recent)
        assert _executed(run_id, against=against) == whole, recent


def test_a_run_without_an_evaluation_is_skipped_even_by_a_gate() -> None:
    for run_id in ("broken", "not started"):
        for fail_on in (None, "worse"):
            with pytest.raises(AirflowSkipException):
                _executed(run_id, fail_on=fail_on)


@pytest.mark.parametrize("against", ["blessed", "previous", "own"])
def test_the_first_run_has_no_baseline_and_fails_no_gate(against: str) -> None:
    value, pushed = _executed("january", against=against, fail_on="inconclusive")
    assert value["outcome"] == "no baseline" and value["sentence"]
    assert value["url"] == "https://airflow.example/af/mlmd/runs/2"
    assert "[The run]" in pushed["markdown"]


@pytest.mark.parametrize(
    ("run_id", "fail_on", "fails"),
    [
        ("march", "worse", True),
        ("march", "inconclusive", True),
        ("april", "worse", False),
        ("april", "inconclusive", True),
        ("february", "inconclusive", False),
        ("march", None, False),
    ],
)
def test_a_gate_fails_by_its_outcomes_and_its_xcoms_are_there_all_the_same(
    run_id: str, fail_on: str | None, fails: bool
) -> None:
    context = _context(run_id)
    operator = EvaluationDiffOperator(task_id="diff", against="own", fail_on=fail_on)
    if not fails:
        assert operator.execute(context)["sentence"]
        return
    with pytest.raises(AirflowFailException, match="auc"):
        operator.execute(context)
    assert set(context["ti"].pushed) == {"markdown", "return_value"}


def test_a_diff_that_cannot_be_made_is_unknown_and_a_failure_only_of_a_gate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value, pushed = _executed("march", metrics=["rmse"])
    assert value["outcome"] == "unknown" and "they have auc" in value["sentence"]
    assert "is not known" in pushed["markdown"]
    with pytest.raises(BadQuery):
        _executed("march", metrics=["rmse"], fail_on="worse")
    monkeypatch.setenv("AIRFLOW__MLMD_PANEL__MLMD", "sqlite:////nowhere/metadata.db")
    value, _ = _executed("march")
    assert value["outcome"] == "unknown" and "does not exist" in value["sentence"]
    with pytest.raises(StoreError):
        _executed("march", fail_on="worse")


@pytest.mark.parametrize("made", [False, True], ids=["no file", "no tables"])
@pytest.mark.parametrize("fail_on", [None, "worse"])
def test_before_any_node_has_run_there_is_no_store_and_the_task_is_skipped(
    made: bool, fail_on: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AIRFLOW__MLMD_PANEL__MLMD")
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__HOME", str(tmp_path))
    if made:
        (tmp_path / "mlmd").mkdir()
        (tmp_path / "mlmd" / "metadata.db").touch()
    with pytest.raises(AirflowSkipException, match="the first node creates it"):
        _executed("march", fail_on=fail_on)


def test_a_task_waits_longer_than_a_page_for_a_store_that_is_being_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = shutil.copy(judged() / "mlmd" / "metadata.db", tmp_path)
    monkeypatch.setenv("AIRFLOW__MLMD_PANEL__MLMD", f"sqlite:///{path}")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("begin exclusive")
        threading.Timer(PAGE_PATIENCE + 1, writer.execute, ["rollback"]).start()
        value, _ = _executed("march")
    assert value["outcome"] == "worse"


@pytest.mark.parametrize(
    "options",
    [
        {"level": 95},
        {"level": 0.2},
        {"level": "0.95"},
        {"scope": "slice"},
        {"min_examples": -1},
        {"min_examples": 0.5},
        {"metrics": "auc"},
    ],
    ids=str,
)
def test_how_to_judge_is_checked_at_the_parse(options: dict[str, Any]) -> None:
    [(name, value)] = options.items()
    with pytest.raises(ValueError, match=re.escape(f"{name} = {value!r} is not ")):
        EvaluationDiffOperator(task_id="diff", **options)
    with pytest.raises(ValueError, match=re.escape(f"{name} = {value!r} is not ")):
        EvaluationDiffNotifier(**options)


@pytest.mark.parametrize("outcomes", ["worse", ["bad"]])
def test_an_outcome_that_there_is_not_is_refused_at_the_parse(outcomes: Any) -> None:
    with pytest.raises(ValueError, match="is not a list of 'worse', .* 'unknown'"):
        EvaluationDiffNotifier(outcomes=outcomes)


def test_scopes_and_outcomes_are_those_of_the_comparison() -> None:
    assert airflow_tasks._SCOPES == tuple(SCOPES)
    of_verdicts = {
        verdicts.WORSE,
        verdicts.SUSPECT,
        verdicts.BETTER,
        verdicts.UNCHANGED,
        verdicts.INCONCLUSIVE,
    }
    others = {NOT_COMPARABLE, airflow_diff.NO_BASELINE, airflow_diff.UNKNOWN}
    assert set(airflow_tasks._OUTCOMES) == of_verdicts | others


def test_a_fail_on_that_is_none_is_refused_at_the_parse() -> None:
    with pytest.raises(ValueError, match="fail_on = 'better'"):
        EvaluationDiffOperator(task_id="diff", fail_on="better")


def test_an_outlet_without_events_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="outlets of 'diff' contain AssetAlias.* never emit an event"):
        EvaluationDiffOperator(task_id="diff", outlets=[AssetAlias("judged")])
    EvaluationDiffOperator(task_id="diff", outlets=[Asset("judged"), Asset.ref(name="judged")])


class _Kept(BaseNotifier):
    """A notifier with a template, as Airflow's providers have them."""

    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.told = text, ""

    def notify(self, context: Any) -> None:
        self.told = self.text


def test_notifiers_get_the_diff_in_their_templates_and_functions_as_markdown() -> None:
    kept, told = _Kept("{{ evaluation_diff.outcome }}: {{ evaluation_diff.markdown }}"), []
    value, pushed = _executed("march", notifiers=[kept, lambda text, context: told.append(text)])
    assert told == [pushed["markdown"]]
    assert kept.told == f"worse: {pushed['markdown']}"
    notifier = EvaluationDiffNotifier(to=lambda text, context: told.append(text), outcomes=["worse"])
    for run_id in ("march", "february", "broken"):
        notifier(_context(run_id))
    assert told == [pushed["markdown"]] * 2


def test_importing_it_in_a_dag_file_is_light() -> None:
    code = (
        "import sys, airflow.sdk\n"
        "from airflow.sdk import BaseNotifier, BaseOperator\n"
        "before = set(sys.modules)\n"
        "import mlmd_panel.airflow_tasks\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
    )
    assert done.stdout.splitlines()[-1] == "['mlmd_panel', 'mlmd_panel.airflow_tasks']", done.stderr[-2000:]
