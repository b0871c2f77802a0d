"""The arguments of `gc`, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from include.tfx_airflow import __main__ as command
from include.tfx_airflow.airflow_side import retention
from include.tfx_airflow.commands import gc
from include.tfx_airflow.contract.errors import RetentionError, SettingsError
from include.tfx_airflow.settings import Settings

PLAN = {
    "hash": "abc",
    "plan": "/home/retention/plan-abc.json",
    "totals": {},
    "rows": [["flow", "Model", 3, 4_200_000], ["", "left by killed attempts", 1, 12]],
    "notes": ["9 artifacts are kept."],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the TFX interpreter is asked; tests/airflow asks the real one."""
    found: list[dict[str, Any]] = []

    def ask(settings: Settings, action: str, **arguments: Any) -> dict[str, Any]:
        found.append({"action": action, **arguments})
        return PLAN if action == "plan" else {"message": "done"}

    monkeypatch.setattr(retention, "ask", ask)
    return found


def _run(*arguments: str) -> int:
    return gc.main(command._parser().parse_args(["gc", *arguments]))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"runs": 10, "days": 30, "pushed": None, "blessed": None, "grace": 7}),
        (
            [
                "--keep-runs",
                "3",
                "--keep-days",
                "1.5",
                "--keep-pushed",
                "2",
                "--keep-blessed",
                "all",
                "--grace",
                "0",
            ],
            {"runs": 3, "days": 1.5, "pushed": 2, "blessed": None, "grace": 0},
        ),
    ],
)
def test_gc_only_plans_with_what_it_is_told_to_keep(
    asked: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: dict[str, Any],
) -> None:
    assert _run(*arguments) == 0
    assert asked == [{"action": "plan", "keep": expected}]
    text = capsys.readouterr().out.splitlines()
    assert [line.split() for line in text[:4]] == [
        ["pipeline", "type", "number", "size"],
        ["flow", "Model", "3", "4.2", "MB"],
        ["-", "left", "by", "killed", "attempts", "1", "12", "B"],
        ["total", "4", "4.2", "MB"],
    ]
    assert text[4] == "9 artifacts are kept." and text[-1].endswith("gc --apply abc")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--apply", "abc"], {"action": "apply", "hash": "abc"}),
        (["--pin", "3", "4"], {"action": "pin", "ids": [3, 4]}),
        (["--unpin", "3"], {"action": "unpin", "ids": [3]}),
        (["--restore", "3"], {"action": "restore", "ids": [3]}),
    ],
)
def test_gc_does_what_it_is_told(
    asked: list[dict[str, Any]], arguments: list[str], expected: dict[str, Any]
) -> None:
    assert _run(*arguments) == 0
    assert asked == [expected]


def test_keep_beside_apply_is_refused_not_ignored(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(RetentionError, match="what to keep .runs. is said when a plan is made"):
        _run("--apply", "abc", "--keep-runs", "3")
    assert not asked


@pytest.mark.parametrize(
    "arguments", [["--apply", "a", "--pin", "1"], ["--pin", "x"], ["--keep-pushed", "some"]]
)
def test_arguments_that_mean_nothing_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        _run(*arguments)


def test_only_absolute_folders_that_are_no_disk_are_roots() -> None:
    assert Settings(home="/srv/tfx").folders_of_retention() == ["/srv/tfx"]
    assert Settings(home="/srv/tfx", retention_roots="/data/a/:/data/b").folders_of_retention() == [
        "/data/a",
        "/data/b",
    ]
    assert Settings(home="/srv/tfx", retention_roots="/data/a:s3://bucket/x/").folders_of_retention() == [
        "/data/a",
        "s3://bucket/x",
    ]
    for wrong in ("/", "//", "data", "hdfs://host/x", "s3://", "s3:///"):
        with pytest.raises(SettingsError, match="is not the absolute path of a folder"):
            Settings(home="/srv/tfx", retention_roots=wrong).folders_of_retention()
