"""The store at an address that may change while the panel runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlmd_panel.errors import SettingsError, StoreError
from mlmd_panel.store import address
from mlmd_panel.store.reconnecting import FreshStore


def test_an_address_that_stays_keeps_the_store_and_one_that_changes_replaces_it(tmp_path: Path) -> None:
    asked = []
    urls = [address.of_file(tmp_path / name) for name in ("a.db", "a.db", "b.db")]

    def next_url() -> object:
        asked.append(urls[len(asked)])
        return asked[-1]

    store = FreshStore(next_url, seconds=0)
    first = store.current()
    assert store.current() is first and len(asked) == 2
    assert store.current() is not first and len(asked) == 3


def test_an_answer_holds_for_some_time(tmp_path: Path) -> None:
    asked = []
    store = FreshStore(lambda: asked.append(1) or address.of_file(tmp_path / "a.db"), seconds=600)
    assert store.current() is store.current()
    assert asked == [1]


def test_an_error_is_raised_and_the_next_call_asks_again(tmp_path: Path) -> None:
    answers = [SettingsError("Connection 'store' has no file path."), None]

    def url() -> object:
        if error := answers.pop(0):
            raise error
        return address.of_file(tmp_path / "absent.db")

    store = FreshStore(url, seconds=600)
    with pytest.raises(SettingsError, match="has no file path"):
        store.check()
    with pytest.raises(StoreError):
        store.check()
