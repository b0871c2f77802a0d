"""Slices of an evaluation kept as they were written."""

from __future__ import annotations

from pathlib import Path

from mlmd_panel.files.allowed import Files
from mlmd_panel.files.record_store import RecordStore
from mlmd_panel.payloads.evaluation import evaluation, slice_metrics
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.store.records import Artifact

from tests.panel.large_evaluation import write


def _read(folder: Path, lazy: bool) -> EvaluationPayload:
    artifact = Artifact(1, "ModelEvaluation", "", str(folder), "LIVE", 0, 0, ())
    return evaluation.read(artifact, Files((str(folder),)), parts=(), lazy=lazy)


def test_stored_slices_are_those_that_are_read_at_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "evaluation", 12, 1)

    whole, lazy = _read(folder, lazy=False), _read(folder, lazy=True)

    assert len(whole.slices) == 13 and tuple(lazy.slices) == whole.slices == tuple(lazy.slices)
    assert (lazy.keys, lazy.candidates, lazy.baseline) == (whole.keys, whole.candidates, whole.baseline)
    assert lazy.overall_slice == whole.overall_slice and tuple(lazy.slices[3:5]) == whole.slices[3:5]
    assert slice_metrics.slices_of(lazy.slices) == slice_metrics.slices_of(whole.slices)
    assert slice_metrics.examples_of(lazy.slices) == slice_metrics.examples_of(whole.slices)


def test_only_the_metrics_asked_for_are_parsed(tmp_path: Path) -> None:
    found = _read(write(tmp_path / "evaluation", 2, 1), lazy=True)
    assert isinstance(found.slices, slice_metrics.StoredSlices)
    key = found.keys[4]

    few = found.slices.only({key})

    assert few.keys == (key,)
    for part, whole in zip(few, found.slices, strict=True):
        assert part.metrics == (whole.metric(key),) and part.examples == whole.examples is not None


def test_records_of_any_size_are_stored() -> None:
    store = RecordStore()
    records = [b"", b"few", b"a" * (3 << 20), b"b" * 700_000, b"c" * 700_000, b"last"]

    stored = [store.add(record) for record in records]

    assert [one.data for one in stored] == records
