"""How far retention has come."""

from __future__ import annotations

import pytest

from include.tfx_airflow.tfx_side.retention import progress


def test_what_takes_long_says_how_much_of_it_is_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert list(progress.told("abc", "deleting files")) == ["a", "b", "c"]
    assert not caplog.messages
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)
    assert list(progress.told("abc", "deleting files")) == ["a", "b", "c"]
    assert caplog.messages == [f"==> deleting files: {number} of 3" for number in (1, 2, 3)]
