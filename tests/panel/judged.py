"""A year of a pipeline in short, for what compares runs: written once for all tests that ask for it."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.panel import tfx_child


def run(
    run_id: str,
    model: str,
    baseline: str | None,
    slices: dict[str, Any] | None,
    blessed: int = 1,
    span: int = 201401,
    pipeline: str = "taxi",
) -> dict[str, Any]:
    """A run for `write_judged`."""
    return {
        "run_id": run_id,
        "pipeline": pipeline,
        "model": model,
        "baseline": baseline,
        "slices": slices,
        "blessed": blessed,
        "span": span,
    }


def auc(
    examples: int, value: float, baseline: float | None = None, error: float = 0.01, paired: float = 0.002
) -> dict[str, Any]:
    """A slice with its AUC, and that of the baseline on the same examples."""
    difference = None if baseline is None else [value - baseline, paired]
    return {
        "examples": examples,
        "auc": [[value, error], None if baseline is None else [baseline, error], difference],
    }


# January's model is blessed; February's data are easier and the model is the same; March's model is worse; of April's
# nobody can tell; the next run has no evaluation; then six examples are all there is.
RUNS = (
    run("january", "a", None, {"": auc(400, 0.92), "payment=Cash": auc(200, 0.6)}, span=201401),
    run(
        "february",
        "b",
        "a",
        {"": auc(420, 0.96, 0.96), "payment=Cash": auc(210, 0.61, 0.61), "payment=+1": auc(50, 0.9, 0.9)},
        span=201402,
    ),
    run("march", "c", "b", {"": auc(400, 0.90, 0.95), "payment=Cash": auc(200, 0.5, 0.6)}, 0, 201403),
    run("april", "g", "b", {"": auc(400, 0.945, 0.95, paired=0.01)}, 0, 201404),
    run("broken", "d", None, None),
    run("tiny", "e", None, {"": auc(6, 1.0, error=0.0)}, 0, 201405),
    run("alone", "f", None, {"": auc(500, 0.7)}, 1, 201401, "other"),
    run("new", "h", None, None, pipeline="idle"),
)


@functools.cache
def judged() -> Path:
    """Folder with `mlmd/metadata.db` and the evaluations of RUNS."""
    folder = Path(tempfile.mkdtemp(prefix="panel-judged-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "mlmd").mkdir()
    text = json.dumps(RUNS)
    tfx_child.run("write_judged", folder / "mlmd" / "metadata.db", folder / "pipelines", text=text)
    return folder
