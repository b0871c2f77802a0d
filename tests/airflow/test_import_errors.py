"""What Airflow shows when a DAG file's pipeline cannot become a DAG: one clear sentence, or its traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundle import Bundle

_DAG = "from include.tfx_airflow import AirflowDagRunner\ndag = AirflowDagRunner().run({reference!r})\n"


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
