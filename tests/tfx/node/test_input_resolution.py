"""Inputs that the database is asked for are those that TFX's own resolution finds."""

from __future__ import annotations

import collections
import shutil
from pathlib import Path

import pytest

from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import input_resolution
from include.tfx_airflow.tfx_side.node.launch import LockedMetadata
from tests.tfx import random_history

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("histories", [18, pytest.param(40, marks=pytest.mark.long)])
def test_every_strategy_chooses_what_it_chooses_from_the_whole_history(
    tmp_path: Path, histories: int
) -> None:
    fruitful: collections.Counter[str] = collections.Counter()
    for seed in range(histories):
        address = {"kind": "sqlite", "path": f"{tmp_path}/{seed}/metadata.db"}
        fruitful.update(random_history.check(address, seed, runs=seed))
    # Histories that no strategy finds anything in would prove nothing.
    assert set(fruitful) == set(random_history.resolvers()) - {"nothing of the kind", "spans, no span"}
    assert min(fruitful.values()) > 3


def test_what_is_gone_is_passed_over_as_if_it_were_deleted(tmp_path: Path) -> None:
    nodes = random_history.resolvers()
    passed_over = 0
    for seed in range(8):
        gone, deleted = (
            {"kind": "sqlite", "path": f"{tmp_path}/{seed}/{name}.db"} for name in ("gone", "deleted")
        )
        Path(gone["path"]).parent.mkdir()
        with mlmd_store.open_store(gone) as store:
            random_history.History(store, seed).write(25)
            models = store.get_artifacts_by_type("Model")[::2]
        shutil.copy(gone["path"], deleted["path"])
        for address, changes in ((gone, {"uri": f"{tmp_path}/gone"}), (deleted, {"state": 4})):
            with mlmd_store.open_store(address) as store:
                for model in models:
                    for name, value in changes.items():
                        setattr(model, name, value)
                store.put_artifacts(models)
                models = store.get_artifacts_by_id([model.id for model in models])
        for name in ("blessed before", "latest", "latest blessed", "oldest blessed"):
            found = []
            for address in (gone, deleted):
                with LockedMetadata(address) as handle, input_resolution.from_database(nodes[name], address):
                    found.append(random_history.found(nodes[name], handle))
            assert found[0] == found[1], (name, seed)
            passed_over += isinstance(found[0], list)
    assert passed_over > 10
