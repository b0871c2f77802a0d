"""Rows of a comparison packed, and the memory that a comparison of a thousand slices leaves in use."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlmd_panel
import pytest
from mlmd_panel.evaluation import effects, verdicts
from mlmd_panel.evaluation.compare import compare
from mlmd_panel.evaluation.differences import ProportionDifference, TDifference
from mlmd_panel.evaluation.effects import Effect, Effects
from mlmd_panel.evaluation.packed_rows import PackedRows
from mlmd_panel.evaluation.row import MODEL_EFFECT, TOTAL, Levels, Row, Side, rank
from mlmd_panel.payloads.evaluation.metrics import Interval

from tests.panel.evaluation.evaluations import DE, FR, OVERALL, check, evaluated, part
from tests.panel.large_evaluation import write

_T = Effect(0.1, effects.WELCH, TDifference(0.1, 0.02, math.inf), "")
_PAIRED = Effect(-0.02, effects.PAIRED, TDifference(-0.02, 0.001, 19), "")
_NEWCOMBE = Effect(0.5, effects.NEWCOMBE, ProportionDifference(1.0, 4.0, 3.0, 4.0), "")
_NO_DATA = Effect(0.0, effects.SAME_EXAMPLES, None, effects.NONE)
_UNKNOWN = Effect(math.inf, "", None, effects.NOT_FINITE)
_INTERVAL = Interval(0.1, 0.3, 0.05, 19)


def _row(**changes: Any) -> Row:
    fields: dict[str, Any] = {
        "slice": OVERALL,
        "metric": "auc",
        "baseline": Side(0.8, None, 400.0, None),
        "candidate": Side(0.9, _INTERVAL, 30.0, 12.5),
        "better": "higher",
        "effects": Effects(_T, None, None),
        "levels": Levels(0.95, 0.9975),
        "judged": TOTAL,
        "verdict": verdicts.BETTER,
        "why": "",
        "allowed": None,
        "checks": (),
        "changed": True,
        "importance": 0.25,
        "enough": True,
    }
    return Row(**(fields | changes))


_ROWS = {
    "of Welch": _row(),
    "with both parts": _row(effects=Effects(_T, _PAIRED, _T), judged=MODEL_EFFECT, verdict=verdicts.WORSE),
    "of Newcombe": _row(effects=Effects(_NEWCOMBE, None, None), better=None),
    "on the same examples": _row(effects=Effects(_PAIRED, _PAIRED, _NO_DATA), judged=MODEL_EFFECT),
    "of the baseline alone": _row(candidate=None, effects=None, judged="", verdict=verdicts.ONLY_BASELINE),
    "of the candidate alone": _row(baseline=None, effects=None, judged="", enough=False),
    "infinite": _row(candidate=Side(-math.inf, None, None, None), effects=Effects(_UNKNOWN, None, None)),
    "of text": _row(candidate=Side("na\udcefve", None, 3, 4), effects=None, judged="", changed=False),
    "of a structure": _row(baseline=Side([{"threshold": 0.5, "count": 3}], None, None, 2.0), effects=None),
    "of arrays": _row(
        candidate=Side([1.0, 2.0], Interval([0.0], [3.0], None, None), 5.0, None), effects=None
    ),
    "with thresholds": _row(
        slice=DE,
        checks=(
            check("auc", "lower", 0.5, slice_=DE),
            check("auc", "absolute", -0.1, "higher is better", DE),
        ),
        allowed=0.1,
        why=verdicts.WITHIN_ALLOWED,
    ),
    "whole numbers": _row(slice=FR, baseline=Side(1, None, 7, 7), importance=0.0),
}


@pytest.mark.parametrize("name", _ROWS)
def test_a_packed_row_is_the_row_it_was_made_of(name: str) -> None:
    packed = PackedRows([_row(metric="before"), _ROWS[name], _row(metric="after")])

    assert packed[1] == _ROWS[name]
    # 1 and 1.0 are equal, and are not written the same.
    assert repr(packed[1]) == repr(_ROWS[name])


def test_numbers_that_are_none_stay_so() -> None:
    [row] = PackedRows([_row(baseline=Side(math.nan, None, 1.0, None), importance=math.nan)])

    assert row.baseline and math.isnan(row.baseline.value) and math.isnan(row.importance)


def test_packed_rows_are_a_sequence() -> None:
    rows = tuple(_ROWS.values())

    packed = PackedRows(rows)

    assert (len(packed), tuple(packed), packed[-1], packed[2:5]) == (len(rows), rows, rows[-1], rows[2:5])
    assert packed == rows and packed != rows[1:] and PackedRows() == ()
    with pytest.raises(IndexError):
        packed[len(rows)]


def test_rows_are_ranked_and_chosen_by_their_outlines() -> None:
    rows = tuple(_ROWS.values())
    ranked = PackedRows(rows).ranked()

    assert tuple(ranked) == tuple(sorted(rows, key=rank))
    for row, one in zip(ranked, ranked.outlines(), strict=True):
        known = [
            side.examples for side in (row.baseline, row.candidate) if side and side.examples is not None
        ]
        assert (one.slice, one.metric, one.verdict) == (row.slice, row.metric, row.verdict)
        assert (one.changed, one.enough, one.importance) == (row.changed, row.enough, row.importance)
        assert (one.in_baseline, one.in_candidate) == (row.baseline is not None, row.candidate is not None)
        assert one.examples == min(known, default=None)
        assert one.change == (row.judged_change.value if row.judged_change else None)
        assert ranked.of(one) == row
    german = [one for one in ranked.outlines() if one.slice == DE]
    assert tuple(ranked.chosen(german)) == (_ROWS["with thresholds"],)


def test_a_verdict_can_be_set_when_all_tests_are_known() -> None:
    packed = PackedRows([_row(), _row(effects=None, judged="")])
    levels = Levels(0.95, 0.99)

    assert packed.tested(0) == (_T.difference, "higher", None) and packed.tested(1) is None
    packed.judge(0, verdicts.SUSPECT, verdicts.NOT_CORRECTED, levels)

    assert (packed[0].verdict, packed[0].why, packed[0].levels) == ("suspect", verdicts.NOT_CORRECTED, levels)
    assert packed[1].verdict == verdicts.BETTER


def test_rows_of_a_comparison_are_numbered_by_slice_and_metric() -> None:
    base = evaluated(1, part(FR, loss=0.3, auc=0.6), part(loss=0.4, auc=0.8), part(DE, loss=0.2, auc=0.7))
    other = evaluated(2, part(DE, auc=0.1, loss=0.2), part(loss=0.3, auc=0.9), part(FR, auc=0.6, loss=0.2))

    found = compare(base, other).rows

    numbered = sorted(found.outlines(), key=lambda one: one.number)
    assert [(one.slice, one.metric) for one in numbered] == [
        (slice_, metric) for slice_ in (OVERALL, DE, FR) for metric in ("auc", "loss")
    ]
    assert [one.number for one in found.outlines()] != [one.number for one in numbered]


_COMPARED = """
import dataclasses, gc, sys
from mlmd_panel.evaluation import diff
from mlmd_panel.evaluation.evaluated import Evaluated
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import evaluation
from tests.panel.evaluation.evaluations import artifact, run

def evaluated(number, name):
    found = dataclasses.replace(artifact(number, "ModelEvaluation"), uri=f"{sys.argv[1]}/{name}")
    payload = evaluation.read(found, Files((sys.argv[1],)), parts=("validation",), lazy=True)
    return Evaluated(run(number, found), found, payload, artifact(number + 5, "Model"),
        artifact(number + 4, "Model"), (artifact(number + 10, "Examples", span=number),), "")

def compared(one, other):
    return diff.of_two(evaluated(1, one), evaluated(2, other), "run", diff.Options(metrics=("*",)))

def used():
    gc.collect()
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1024

compared("few", "some")
before = used()
found = compared("many", "more")
print(len(found.comparison.rows), used() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells the memory in use")
def test_a_comparison_of_a_thousand_slices_leaves_little_memory_in_use(tmp_path: Path) -> None:
    for seed, (name, slices) in enumerate({"few": 3, "some": 3, "many": 1000, "more": 1000}.items()):
        write(tmp_path / name, slices, seed)
    paths = [str(Path(__file__).parents[3]), str(Path(mlmd_panel.__file__).parents[1])]

    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{_COMPARED}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    rows, grown = done.stdout.split()
    # With all rows as objects it was 60 MB.
    assert int(rows) == 20_020 and float(grown) < 15
