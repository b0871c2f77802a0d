"""`python -m mlmd_panel diff`, `runs`, `artifacts` and `trend` as a shell runs them, on a store that TFMA's writer filled."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from mlmd_panel.__main__ import main

from tests.bundle import ROOT
from tests.panel.judged import judged

_ENVIRONMENT = {"PATH": os.defpath, "PYTHONPATH": str(ROOT / "plugins"), "HOME": "/"}


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlmd_panel", *arguments],
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As a process of its own, which would import for longer than it answers."""
    printed, errors = io.StringIO(newline=None), io.StringIO(newline=None)
    with (
        mock.patch.dict(os.environ, {**_ENVIRONMENT, **environment}, clear=True),
        mock.patch.object(logging.root, "handlers", []),  # or warnings would go to pytest
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(errors),
    ):
        try:
            code: Any = main([*arguments])
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(arguments, code, printed.getvalue(), errors.getvalue())


@pytest.fixture(scope="module")
def store() -> str:
    return str(judged() / "mlmd" / "metadata.db")


def _ok(*arguments: str, code: int = 0) -> str:
    done = _run(*arguments)
    assert done.returncode == code, (done.returncode, done.stdout[-500:], done.stderr[-1500:])
    assert "Traceback" not in done.stderr
    return done.stdout


def _refused(*arguments: str, code: int, **environment: str) -> str:
    done = _run(*arguments, **environment)
    assert done.returncode == code, (done.returncode, done.stdout[-500:], done.stderr[-1500:])
    assert "Traceback" not in done.stderr and done.stdout == ""
    return done.stderr


def _diff(store: str, baseline: str, candidate: str, *more: str, code: int = 0) -> dict[str, Any]:
    arguments = (
        "diff",
        baseline,
        candidate,
        "--mlmd",
        store,
        "--pipeline",
        "taxi",
        "--format",
        "json",
        *more,
    )
    return json.loads(_ok(*arguments, code=code))


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (1, ("diff", "last-blessed", "taxi:march", "--fail-on", "worse")),
        (0, ("runs", "--limit", "2", "--format", "csv")),
        (2, ("artifacts", "--property", "span")),
        (3, ("trend", "auc", "--pipeline", "idle")),
        (0, ("trend", "auc", "--pipeline", "taxi")),
    ],
)
def test_a_process_says_and_ends_with_what_is_said_here(
    store: str, code: int, arguments: tuple[str, ...]
) -> None:
    done, called = _process(*arguments, "--mlmd", store), _run(*arguments, "--mlmd", store)
    assert (done.returncode, done.stdout, done.stderr) == (code, called.stdout, called.stderr)
    assert called.returncode == code and done.stdout + done.stderr


def test_a_change_is_split_into_that_of_the_model_and_that_of_the_data(store: str) -> None:
    found = _diff(store, "taxi:january", "taxi:february")
    primary = found["primary"]
    assert (found["baseline"]["run_id"], found["candidate"]["run_id"]) == ("january", "february")
    assert primary["total"]["value"] == pytest.approx(0.04, abs=1e-9)
    assert primary["model_effect"]["value"] == pytest.approx(0, abs=1e-9)
    assert primary["data_effect"]["value"] == pytest.approx(0.04, abs=1e-9)
    assert found["outcome"] != "worse"
    assert "easier" in found["sentence"]


def test_what_got_worse_is_a_finding_only_if_that_is_asked_for(store: str) -> None:
    assert _diff(store, "last-blessed", "taxi:march")["outcome"] == "worse"
    found = _diff(store, "last-blessed", "taxi:march", "--fail-on", "worse", code=1)
    assert found["baseline"]["run_id"] == "february"
    assert found["counts"]["worse"] == 2
    found = _diff(store, "taxi:january", "taxi:february", "--fail-on", "worse")
    assert found["counts"]["worse"] == 0
    assert _diff(store, "own", "taxi:april", "--fail-on", "worse")["outcome"] == "inconclusive"
    _diff(store, "own", "taxi:april", "--fail-on", "inconclusive", code=1)


@pytest.mark.parametrize(
    ("baseline", "candidate", "found"),
    [
        ("last-blessed", "latest~2", ("february", "march")),
        ("previous", "latest~2", ("february", "march")),
        ("own", "7", ("march", "march")),
        ("latest~3", "latest~2", ("february", "march")),
        ("january", "february", ("january", "february")),
        ("last-blessed", "last-blessed", ("january", "february")),
    ],
)
def test_runs_are_named_by_id_by_airflow_and_by_their_place(
    store: str, baseline: str, candidate: str, found: tuple[str, str]
) -> None:
    made = _diff(store, baseline, candidate)
    assert (made["baseline"]["run_id"], made["candidate"]["run_id"]) == found
    assert (
        made["against"] == ({"last-blessed": "blessed"}.get(baseline, baseline)) or made["against"] == "run"
    )


def test_the_latest_run_is_the_newest_with_an_evaluation_and_says_what_it_passed_over(store: str) -> None:
    done = _run("diff", "own", "latest", "--mlmd", store, "--pipeline", "idle")
    assert done.returncode == 2 and "of 1 run of 'idle', 0 have an evaluation" in done.stderr
    assert _diff(store, "previous", "latest", code=3)["candidate"]["run_id"] == "tiny"
    done = _run("diff", "own", "last-blessed", "--mlmd", store, "--pipeline", "taxi")
    assert "4 newer runs are without an evaluation, or not blessed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("latest~1", "latest"), "may be of any of 3 pipelines: idle, other, taxi"),
        (
            ("own", "latest", "--pipeline", "nope"),
            "There is no pipeline 'nope' in the store; it has idle, other, taxi.",
        ),
        (("own", "taxi/latest~9"), "taxi/latest~9 names no run: of 6 runs of 'taxi', 5 have an evaluation."),
        (("own", "taxi:august"), "There is no run 'taxi:august' in the store. The newest: 17 (idle:new)"),
        (("own", "ar"), "Those that contain 'ar': "),
        (("999", "taxi/latest"), "There is no run 999"),
        (("own", "own"), "'own' names a baseline"),
        (
            ("taxi:january", "taxi:march", "--metrics", "rmse"),
            "Neither run has a metric 'rmse'; they have auc.",
        ),
    ],
)
def test_a_reference_to_no_run_or_to_several_is_refused_and_names_what_there_is(
    store: str, arguments: tuple[str, ...], told: str
) -> None:
    assert told in _refused("diff", *arguments, "--mlmd", store, code=2)


def test_wrong_usage_is_told_apart_from_a_store_that_cannot_be_read(store: str, tmp_path: Path) -> None:
    assert "CANDIDATE" in _refused("diff", "latest", "--mlmd", store, code=2)
    assert "No store given" in _refused("diff", "a", "b", code=2)
    assert "is not a level" in _refused("diff", "a", "b", "--mlmd", store, "--level", "95", code=2)
    assert "cannot be read" in _refused("runs", "--mlmd", str(tmp_path / "absent.db"), code=4)
    told = _refused("runs", "--mlmd", "mysql://tfx@127.0.0.1:1/mlmd", MLMD_PASSWORD="hidden", code=4)
    assert "hidden" not in told


def test_what_cannot_be_answered_has_an_exit_code_of_its_own(store: str) -> None:
    told = _refused("diff", "taxi:january", "taxi:broken", "--mlmd", store, code=3)
    assert "has no evaluation" in told
    found = _diff(store, "taxi:february", "taxi:tiny", "--fail-on", "worse", code=3)
    assert found["outcome"] in ("inconclusive", "not comparable")


def test_files_that_are_gone_are_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "mlmd").mkdir()
    path = shutil.copy(judged() / "mlmd" / "metadata.db", tmp_path / "mlmd")
    told = _refused("diff", "own", "taxi:march", "--mlmd", str(path), "--roots", str(tmp_path), code=4)
    assert str(judged()) not in told


def test_the_diff_is_text_markdown_and_csv_too(store: str) -> None:
    arguments = ("diff", "taxi:january", "taxi:february", "--mlmd", store)
    text, markdown = _ok(*arguments), _ok(*arguments, "--format", "md")
    sentence = _diff(store, "taxi:january", "taxi:february")["sentence"]
    assert text.startswith(sentence) and "payment: Cash" in text
    assert markdown.startswith("**auc rose by 0.0400") and "| payment: Cash" in markdown
    rows = list(csv.DictReader(io.StringIO(_ok(*arguments, "--format", "csv"))))
    assert {row["slice"] for row in rows} == {"Overall", "payment: Cash", "payment: +1"}
    assert float(rows[0]["total"] or 0) == pytest.approx(
        float(rows[0]["model_effect"] or 0) + float(rows[0]["data_effect"] or 0)
    )


def test_runs_are_listed_with_their_metrics_and_filtered(store: str) -> None:
    lines = _ok("runs", "--mlmd", store, "--pipeline", "taxi").splitlines()
    assert lines[0].split() == [
        "id",
        "run",
        "state",
        "started",
        "duration",
        "spans",
        "blessed",
        "pushed",
        "auc",
    ]
    assert [line.split()[1] for line in lines[1:]] == [
        f"taxi:{name}" for name in ("tiny", "broken", "april", "march", "february", "january")
    ]
    done = _run("runs", "--mlmd", store, "--limit", "2", "--format", "json")
    data = json.loads(done.stdout)
    assert len(data["runs"]) == 2 and f"--after {data['after']}" in done.stderr
    rows = list(
        csv.DictReader(io.StringIO(_ok("runs", "--mlmd", store, "--text", "march", "--format", "csv")))
    )
    assert [(row["run_id"], row["blessed"], float(row["auc"])) for row in rows] == [("march", "false", 0.9)]
    assert _ok("runs", "--mlmd", store, "--since", "2100-01-01").splitlines()[1:] == []


def test_artifacts_are_listed_by_type_run_and_property(store: str) -> None:
    arguments = ("artifacts", "--mlmd", store, "--type", "Examples", "--format", "json")
    data = json.loads(_ok(*arguments, "--property", "span>=201402"))
    assert len(data["artifacts"]) == 4
    data = json.loads(_ok(*arguments, "--run", "taxi:march"))
    assert len(data["artifacts"]) == 1
    assert "ModelBlessing" in _ok("artifacts", "--mlmd", store)
    assert "is not a property filter" in _refused("artifacts", "--mlmd", store, "--property", "span", code=2)


def test_a_trend_has_the_values_with_their_intervals_and_says_what_is_missing(store: str) -> None:
    arguments = ("trend", "auc", "--mlmd", store, "--pipeline", "taxi", "--format", "json")
    found = json.loads(_ok(*arguments))
    assert [(row["run_id"], row["value"]) for row in found["runs"]] == [
        ("january", 0.92),
        ("february", 0.96),
        ("march", 0.9),
        ("april", 0.945),
        ("broken", None),
        ("tiny", 1.0),
    ]
    assert found["runs"][0]["lower"] < 0.92 < found["runs"][0]["upper"]
    assert (found["runs"][0]["examples"], found["runs"][4]["gap"]) == (400, "The run has no evaluation.")
    rows = json.loads(_ok(*arguments, "--slice", "payment: Cash"))["runs"]
    assert [row["gap"] for row in rows] == [
        "",
        "",
        "",
        "No such slice.",
        "The run has no evaluation.",
        "No such slice.",
    ]
    rows = list(csv.DictReader(io.StringIO(_ok(*arguments[:-1], "csv", "--runs", "3"))))
    assert [(row["run_id"], row["value"]) for row in rows] == [
        ("april", "0.945"),
        ("broken", ""),
        ("tiny", "1.0"),
    ]
    text = _ok(*arguments[:-2])
    assert text.splitlines()[0].split()[:2] == ["run", "dag_id"]
    assert "auc of Overall changed by" in text.splitlines()[-1]


def test_a_trend_of_what_no_run_has_is_refused_or_has_no_answer(store: str) -> None:
    arguments = ("--mlmd", store, "--pipeline", "taxi")
    assert "None of these runs has a metric 'rmse'; they have auc" in _refused(
        "trend", "rmse", *arguments, code=2
    )
    told = _refused("trend", "auc", *arguments, "--slice", "payment: Gold", code=2)
    assert "None of these runs has a slice 'payment: Gold'; they have Overall, payment: Cash" in told
    assert "has an evaluation" in _refused("trend", "auc", "--mlmd", store, "--pipeline", "idle", code=3)


def test_text_that_a_spreadsheet_would_run_is_guarded(store: str) -> None:
    rows = list(
        csv.reader(
            io.StringIO(_ok("diff", "taxi:january", "taxi:february", "--mlmd", store, "--format", "csv"))
        )
    )
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@")]


@pytest.mark.parametrize("name", ["diff", "runs", "artifacts", "trend", "serve", ""])
def test_help_tells_exit_codes_environment_and_examples(name: str) -> None:
    done = _process(*filter(None, [name]), "--help")
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-1500:]
    told = done.stdout
    for part in (
        "exit codes:",
        "  4  the store",
        "MLMD_PASSWORD",
        "examples:",
        f"python -m mlmd_panel {name}".strip(),
    ):
        assert part in told
    if not name:
        assert "commands:" in told and "  trend  " in told


def test_answers_load_no_web_server(store: str) -> None:
    code = (
        "import sys; from mlmd_panel.__main__ import main\n"
        f"main(['diff', 'own', 'taxi:march', '--mlmd', {store!r}])\n"
        "found = [name for name in ('fastapi', 'starlette', 'uvicorn', 'plotly', 'airflow') if name in sys.modules]\n"
        "print('LOADED', found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "LOADED []", done.stderr
