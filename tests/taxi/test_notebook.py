"""The notebook, run as a user runs it, in a copy of the bundle: what it shows, makes and leaves behind."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from include.taxi.sample import sample_data_root

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "include" / "notebooks" / "taxi.ipynb"
TYPES = {
    "Examples",
    "ExampleStatistics",
    "Schema",
    "ExampleAnomalies",
    "TransformGraph",
    "Model",
    "ModelEvaluation",
    "ModelBlessing",
    "PushedModel",
}
ROWS = 5000  # of the 15,002 trips: the cells take half the time
# Seconds for one cell; the longest takes about 25.
CELL_TIMEOUT = 300

# Before the Evaluator's cell: each of TFMA's 20 buckets is a part of the pipeline.
FEWER_BUCKETS = """
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator
metrics_plots_and_validations_evaluator._DEFAULT_NUM_JACKKNIFE_BUCKETS = 5
"""
PROBE = """
import json
print(json.dumps({
    "listed": [[row.type, row.uri, os.path.exists(row.uri)] for row in artifacts.itertuples()],
    "blessed": blessing.get_int_custom_property("blessed"),
    "served": sorted(os.listdir(destination)),
    "probabilities": predicted.numpy()[:, 0].tolist(),
}))
"""
COLUMNS = """
import json
[transformed] = transform.outputs["transformed_examples"].get()
print(json.dumps({"id": transformed.id, "columns": list(tables.rows(tables.records(transformed, "eval", 1)))}))
"""


@dataclass
class Run:
    """A run of all cells, what was then found in the kernel, and the files that were there before and after."""

    cells: dict[str, nbformat.NotebookNode]
    found: dict[str, Any]
    again: dict[str, Any]
    files: tuple[dict[str, str], dict[str, str]]
    temporary: Path


def _source(name: str) -> str:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    return next(cell.source for cell in cells if cell.id == name)


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _html(cell: nbformat.NotebookNode) -> str:
    return "\n".join(output.data.get("text/html", "") for output in cell.outputs if "data" in output)


def _printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs all cells from the notebook's folder, then Transform again with edited code."""
    folder = tmp_path_factory.mktemp("notebook")
    bundle, temporary, kernel = folder / "bundle", folder / "tmp", folder / "jupyter" / "kernels" / "tfx"
    shutil.copytree(ROOT / "include", bundle / "include", ignore=shutil.ignore_patterns("__pycache__"))
    for made in (temporary, kernel, folder / "data"):
        made.mkdir(parents=True)
    [sample] = Path(sample_data_root()).glob("*.csv")
    with open(sample, encoding="utf-8") as trips:
        (folder / "data" / "data.csv").write_text(
            "".join(itertools.islice(trips, ROWS + 1)), encoding="utf-8"
        )
    with open(bundle / "include" / "taxi" / "sample.py", "a", encoding="utf-8") as code:
        code.write(f"\n\ndef sample_data_root() -> str:\n    return {str(folder / 'data')!r}\n")
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "tfx", "language": "python"})
    )
    env = {**os.environ, "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1", "IPYTHONDIR": str(folder)}
    notebook = nbformat.read(bundle / NOTEBOOK.relative_to(ROOT), as_version=4)
    [evaluator] = [place for place, cell in enumerate(notebook.cells) if cell.id == "evaluator"]
    notebook.cells.insert(evaluator, nbformat.v4.new_code_cell(FEWER_BUCKETS))
    notebook.cells += [nbformat.v4.new_code_cell(text) for text in (PROBE, _source("transform"), COLUMNS)]
    before = _files(bundle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        client = NotebookClient(notebook, timeout=CELL_TIMEOUT, kernel_name="tfx")
        with client.setup_kernel(env=env, cwd=str(bundle / "include" / "notebooks")):
            *cells, transform_again, columns = enumerate(notebook.cells)
            for index, cell in cells:
                client.execute_cell(cell, index)
            after = _files(bundle)
            preprocessing = bundle / "include" / "taxi" / "preprocessing.py"
            text = preprocessing.read_text(encoding="utf-8")
            added = '    outputs["added"] = tf.identity(outputs[features.LABEL])\n    return outputs\n'
            assert text.endswith("    return outputs\n")
            preprocessing.write_text(text.removesuffix("    return outputs\n") + added, encoding="utf-8")
            for index, cell in (transform_again, columns):
                client.execute_cell(cell, index)
    yield Run(
        cells={cell.id: cell for _, cell in cells},
        found=json.loads(_printed(cells[-1][1])),
        again=json.loads(_printed(columns[1])),
        files=(before, after),
        temporary=temporary,
    )


def test_the_committed_notebook_holds_neither_outputs_nor_machine_paths() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert str(ROOT) not in text
    assert re.findall(r"/(?:home|root|tmp|opt|Users|mnt)/\S*", text) == []


@pytest.mark.parametrize("folder", [".", "include/notebooks", "tests/taxi"])
def test_the_code_is_found_from_anywhere_in_the_repository(folder: str) -> None:
    source = f"{_source('root')}\nprint(root)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", source], cwd=ROOT / folder, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(ROOT), done.stderr


@pytest.mark.parametrize(
    ("path", "expected"),
    [([str(ROOT)], str(ROOT)), ([], "set PYTHONPATH to the repository's root.")],
    ids=["PYTHONPATH", "nothing"],
)
def test_elsewhere_the_code_is_found_through_pythonpath_and_the_error_says_so(
    tmp_path: Path, path: list[str], expected: str
) -> None:
    # As with an interpreter that is not in the repository either.
    bare = f"import os, pathlib, sys, warnings; sys.path, sys.prefix = {path}, os.getcwd()"
    source = f"{bare}\n{_source('root')}\nprint(root)"
    done = subprocess.run([sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout + done.stderr).strip().endswith(expected)


@pytest.mark.slow
def test_every_component_runs_and_its_artifacts_are_listed_with_uris_that_exist(run: Run) -> None:
    listed = run.found["listed"]
    assert {kind for kind, _, _ in listed} >= TYPES
    assert [uri for _, uri, exists in listed if not exists] == []
    table = _html(run.cells["artifacts"])
    assert all(f"<td>{kind}</td>" in table and f"<td>{uri}</td>" in table for kind, uri, _ in listed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        ("examples", ["First rows of the train split", "First rows of the eval split", "trip_miles"]),
        (
            "statistics",
            ["Artifact at", "median", "trip_seconds", "█", "most common", "Taxi Affiliation Services"],
        ),
        ("schema", ["Presence", "&#x27;payment_type&#x27;|'payment_type'", "Credit Card"]),
        ("anomalies", ["train", "eval", "No anomalies found"]),
        ("transform", ["big_tip", "fare_scaled", "company_code"]),
        (
            "evaluator",
            ["All examples", "auc", "lower", "By slice", "trip_start_hour = 23", "payment_type = Cash"],
        ),
    ],
)
def test_what_a_step_made_is_shown_below_its_cell(run: Run, cell: str, texts: list[str]) -> None:
    html = _html(run.cells[cell])
    assert [text for text in texts if not re.search(text, html)] == []


@pytest.mark.slow
def test_nothing_shown_is_loaded_from_the_network_and_no_library_warns(run: Run) -> None:
    outputs = [(name, output) for name, cell in run.cells.items() for output in cell.get("outputs", ())]
    assert [
        (name, str(output)[:500]) for name, output in outputs if re.search("https?://", str(output))
    ] == []
    assert [(name, output.text) for name, output in outputs if output.get("name") == "stderr"] == []


@pytest.mark.slow
def test_the_model_is_blessed_and_pushed_and_gives_probabilities(run: Run) -> None:
    assert "BLESSED" in _printed(run.cells["blessing"]) and run.found["blessed"] == 1
    assert "saved_model.pb" in run.found["served"]
    probabilities = run.found["probabilities"]
    assert len(probabilities) == 200
    assert all(0 <= value <= 1 for value in probabilities)
    assert min(probabilities) < 0.1 and max(probabilities) > 0.5
    assert "probability" in _html(run.cells["prediction"])


@pytest.mark.slow
def test_edited_code_is_used_when_its_cell_runs_again(run: Run) -> None:
    assert "added" in run.again["columns"]
    assert "added" not in _html(run.cells["transform"])


@pytest.mark.slow
def test_nothing_is_written_into_the_repository_and_the_artifacts_go_with_the_kernel(run: Run) -> None:
    before, after = run.files
    assert after == before
    assert all(uri.startswith(str(run.temporary)) for _, uri, _ in run.found["listed"])
    assert list(run.temporary.glob("taxi-notebook-*")) == []
