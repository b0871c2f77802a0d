"""The version that Airflow has of the bundle that a task's code is from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from airflow.dag_processing.bundles.local import LocalDagBundle

from include.tfx_airflow.airflow_side.operators import bundle_version
from tests.bundle import ROOT


def _version(path: Path, version: str | None) -> str:
    return bundle_version(
        SimpleNamespace(bundle_instance=LocalDagBundle(name="b", path=str(path), version=version))
    )


def test_version_is_that_of_the_bundle_around_this_code() -> None:
    assert _version(ROOT, "ab" * 20) == _version(ROOT.parent, "ab" * 20) == "ab" * 20


def test_bundle_without_versions_has_none() -> None:
    assert _version(ROOT, None) == bundle_version(object()) == ""


def test_version_of_a_bundle_that_imports_this_code_from_elsewhere_is_not_this_codes(tmp_path: Path) -> None:
    assert _version(tmp_path, "ab" * 20) == ""
