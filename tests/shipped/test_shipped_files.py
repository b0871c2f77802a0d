"""The DAG files that TFX's wheel ships for its Airflow runner, adopted unchanged, as whole runs.

They train 10,000 steps each: `make test-shipped` runs this, `make test` does not. tests/airflow/test_adopt.py compiles them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bundle import TFX_PYTHON, Bundle
from tests.scheduler import running

[_EXAMPLES] = Path(TFX_PYTHON).parents[1].glob("lib/python3.*/site-packages/tfx/examples")
_SIMPLE = _EXAMPLES / "chicago_taxi_pipeline"
_WORKSHOP = _EXAMPLES / "airflow_workshop" / "taxi" / "setup" / "dags"
_ROWS = _SIMPLE / "data" / "simple" / "data.csv"
# Both models are written for Keras 2.
_KERAS_2 = {"TF_USE_LEGACY_KERAS": "1"}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with what both files look for there."""
    _copy(_ROWS, tmp_path / "taxi" / "data" / "simple" / "data.csv")
    _copy(_SIMPLE / "taxi_utils.py", tmp_path / "taxi" / "taxi_utils.py")
    _copy(_ROWS, tmp_path / "airflow" / "data" / "data.csv")
    # The module is the owner's copy. It takes a callback of Keras 3 for a model of Keras 2.
    module = (
        (_WORKSHOP / "taxi_utils.py").read_text().replace("from keras.callbacks", "from tf_keras.callbacks")
    )
    (tmp_path / "airflow" / "dags").mkdir()
    (tmp_path / "airflow" / "dags" / "taxi_utils.py").write_text(module)
    return tmp_path


def _adopt(bundle: Bundle, dag_id: str, path: Path, home: Path) -> str:
    environment = {"HOME": str(home), **_KERAS_2}
    text = (
        f"from include.tfx_airflow import adopt\ndags = adopt({str(path)!r}, environment={environment!r})\n"
    )
    (bundle.folder / "dags" / f"{dag_id}.py").write_text(text)
    return text


def test_the_workshop_runs_to_a_pushed_model_under_the_scheduler(bundle: Bundle, home: Path) -> None:
    text = _adopt(bundle, "taxi", _WORKSHOP / "taxi_pipeline.py", home)
    assert bundle.import_error(text) == ""
    with bundle.dag_bundles(shipped=bundle.folder / "dags"), running(bundle, print) as scheduler:
        run_id = scheduler.trigger("taxi")
        assert scheduler.wait_for_run("taxi", run_id, seconds=1400) == "success"
    executions = bundle.executions("taxi", run_id)
    assert len(executions) == 9 and {one.state for one in executions} == {"COMPLETE"}
    assert list((home / "airflow" / "serving_model" / "taxi").glob("*/saved_model.pb"))
    # The file's own folders are used, its store is not.
    root = home / "airflow" / "tfx" / "pipelines" / "taxi"
    assert all(uri.startswith(str(root)) for one in executions for _, _, uri in one.outputs)
    assert not (home / "airflow" / "tfx" / "metadata").exists()


def test_the_simple_example_runs_to_its_evaluator_as_it_does_without_airflow(
    bundle: Bundle, home: Path
) -> None:
    text = _adopt(bundle, "chicago_taxi_simple", _SIMPLE / "taxi_pipeline_simple.py", home)
    assert bundle.import_error(text) == ""
    done = bundle.dags_test("chicago_taxi_simple")
    # It asks for what models of Estimators had; TFX's LocalDagRunner ends there, too.
    assert done.returncode != 0 and "eval not found in model signatures" in done.stdout
    states = {one.node: one.state for one in bundle.executions("chicago_taxi_simple")}
    assert states.pop("Evaluator") == "FAILED"
    assert len(states) == 7 and set(states.values()) == {"COMPLETE"}
