"""What analyzers found is read from the graph that TensorFlow Transform wrote."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from mlmd_panel.errors import PayloadError, PayloadGone
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.model import analyzers

from tests.panel.data_artifacts import artifact
from tests.panel.written import written


def test_means_and_variances_are_those_of_the_rows() -> None:
    folder = written().folder
    found = analyzers.read(artifact(f"{folder}/model/transform"), Files([str(folder)]))
    miles = [float(number) for number in range(7)]  # of the rows in official_model
    assert found["scale_to_z_score_sub_y"] == (pytest.approx(statistics.mean(miles)),)
    assert found["scale_to_z_score_sqrt_x"] == (pytest.approx(statistics.pvariance(miles)),)
    assert found["vocabulary_add_x"] == (4,)  # entries of the vocabulary


def test_a_graph_that_is_gone_or_broken_is_an_error(tmp_path: Path) -> None:
    files = Files([str(tmp_path)])
    with pytest.raises(PayloadGone):
        analyzers.read(artifact(str(tmp_path)), files)
    (tmp_path / "transform_fn").mkdir()
    path = tmp_path / "transform_fn/saved_model.pb"
    path.write_bytes(b"\xff" * 20)
    with pytest.raises(PayloadError):
        analyzers.read(artifact(str(tmp_path)), files)
    path.write_bytes(b"")
    assert analyzers.read(artifact(str(tmp_path)), files) == {}
