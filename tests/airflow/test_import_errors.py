"""What Airflow shows when a DAG file's pipeline cannot become a DAG: one clear sentence, or its traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundle import Bundle

_DAG = "from include.tfx_airflow import AirflowDagRunner\ndag = AirflowDagRunner().run({reference!r})\n"


def test_a_syntax_error_in_the_pipeline_ends_with_that_traceback(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "crooked.py").write_text("def create(:\n    pass\n")
    environment = {"AIRFLOW__TFX_AIRFLOW__PYTHONPATH": str(tmp_path)}
    text = _DAG.format(reference="crooked:create")
    error = bundle.import_error(text, **environment).strip()
    assert "Pipeline did not compile: 'crooked:create'" in error
    assert error.endswith("SyntaxError: invalid syntax") and "crooked.py" in error
    assert "def create(:" in error[-300:]

    # The failure is remembered for what the files hold, and forgotten with an edit.
    again = bundle.import_error(text, **environment).strip()
    assert "_raise_known_failure" in again and again.endswith(
        error[error.index("Pipeline did not compile") :]
    )
    (tmp_path / "crooked.py").write_text("from tests.pipelines.small import write_and_read as create\n")
    assert bundle.import_error(text, **environment) == ""


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("tests.pipelines.small:nothing", "has no function 'nothing'; its functions are ['write_and_read'"),
        ("tests.pipelines.nowhere:create", "no module 'tests.pipelines.nowhere'"),
        ("tests.pipelines.small", "is not a reference of the form 'package.module:function'"),
        ("tests.pipelines.small:cycle", "it has a cycle:"),
        ("tests.pipelines.small:for_each", "'Read' is in a ForEach"),
        ("tests.pipelines.small:container", "'InContainer' is a container component ('alpine')"),
    ],
)
def test_what_cannot_be_a_dag_is_refused_by_name(bundle: Bundle, reference: str, sentence: str) -> None:
    assert sentence in bundle.import_error(_DAG.format(reference=reference)).strip().splitlines()[-1]


def test_an_exception_of_the_pipeline_function_ends_with_its_traceback(bundle: Bundle) -> None:
    error = bundle.import_error(_DAG.format(reference="tests.pipelines.small:raises")).strip()
    assert error.endswith("RuntimeError: the pipeline function is broken")
    assert "tests/pipelines/small.py" in error[error.index("Pipeline did not compile") :]


def test_a_missing_tfx_interpreter_is_one_sentence(bundle: Bundle, tmp_path: Path) -> None:
    text = _DAG.format(reference="tests.pipelines.small:write_and_read")
    home = {"AIRFLOW__TFX_AIRFLOW__HOME": str(tmp_path)}
    error = bundle.import_error(text, AIRFLOW__TFX_AIRFLOW__PYTHON="/nowhere/bin/python", **home)
    assert (
        error.strip()
        .splitlines()[-1]
        .endswith(
            "[tfx_airflow] python = '/nowhere/bin/python' is not an executable file; run 'make setup' "
            "or set AIRFLOW__TFX_AIRFLOW__PYTHON to a Python that has TFX."
        )
    )
    error = bundle.import_error(text, AIRFLOW__TFX_AIRFLOW__PYTHON="", **home)
    assert "no TFX interpreter: set [tfx_airflow] python" in error.strip().splitlines()[-1]
