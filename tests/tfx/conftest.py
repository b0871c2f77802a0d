"""Compiled pipelines and requests for the tests in the TFX interpreter."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tfx import v1 as tfx

from include.tfx_airflow.contract import identity
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.pipeline import ir

ENVIRONMENT = {"tfx": "1.16.0", "python": "python3.10"}


@pytest.fixture
def roots(tmp_path: Path) -> dict[str, str]:
    """Folders of a deployment below the test's own."""
    return {
        "BUNDLE_ROOT": f"{tmp_path}/bundle",
        "TFX_AIRFLOW_HOME": f"{tmp_path}/home",
        "TFX_PREFIX": sys.prefix,
    }


@pytest.fixture
def address(roots: dict[str, str]) -> dict[str, Any]:
    """A SQLite store that is not there yet."""
    return {"kind": "sqlite", "path": f"{roots['TFX_AIRFLOW_HOME']}/mlmd/metadata.db"}


@pytest.fixture
def make_request(
    tmp_path: Path, roots: dict[str, str], address: dict[str, Any]
) -> Callable[..., NodeRequest]:
    """Makes the request for one attempt at a node of a pipeline.

    `task` replaces Airflow's ids, `copy` is what the request says of the pipeline's copy.
    """

    def make(
        pipeline: tfx.dsl.Pipeline,
        node_id: str,
        run: str = "first",
        try_number: int = 1,
        first_try: int = 1,
        task: dict[str, Any] | None = None,
        copy: dict[str, Any] | None = None,
        **parameters: Any,
    ) -> NodeRequest:
        path = tmp_path / f"{pipeline.id}.json"
        if not path.exists():
            path.write_text(ir.compile_pipeline(pipeline, "m:f", "", roots, ENVIRONMENT)[1], encoding="utf-8")
        found = {"dag_id": "flow", "run_id": run, "task_id": node_id, "map_index": -1}
        found |= {"try_number": try_number, "first_try": first_try, **(task or {})}
        return NodeRequest(
            ir=str(path),
            node_id=node_id,
            run=identity.run_name(found["dag_id"], found["run_id"]),
            task={**found, "key": identity.try_name(found, "")},
            parameters=parameters,
            mlmd=address,
            roots=roots,
            **(copy or {}),
        )

    return make
