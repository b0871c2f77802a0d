"""What a run may choose of a Beam program: a runner by its name, and files below a folder."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError

from include.taxi import hyperparameters
from include.tfx_airflow.airflow_side.beam import BeamProgramOperator, files_param, runner_param
from include.tfx_airflow.contract.beam_runner import table
from include.tfx_airflow.contract.errors import ConfigError
from include.tfx_airflow.contract.input_files import PATTERN

_CONTEXT: Any = {
    "ti": SimpleNamespace(map_index=-1, try_number=1),
    "run_id": "first",
    "task_state_store": None,
}


def _operator(**arguments: Any) -> BeamProgramOperator:
    with DAG("d", start_date=datetime(2014, 1, 1), schedule=None):
        return BeamProgramOperator(task_id="count", module="include.wordcount.count", **arguments)


def test_a_runner_that_is_not_in_the_table_is_an_error_in_the_dag_file() -> None:
    with pytest.raises(ConfigError, match=r"runner of 'count' is 'Spark', .* has \['dataflow', 'flink', "):
        _operator(runner="Spark")
    assert _operator(runner="flink").runner == "flink"


@pytest.mark.parametrize(
    "argument", [{"py_requirements": ["h3"]}, {"py_interpreter": "/opt/python"}, {"deferrable": True}]
)
def test_arguments_that_can_have_no_effect_are_refused(argument: dict[str, Any]) -> None:
    [name] = argument
    with pytest.raises(
        ConfigError, match=rf"'count' has \['{name}'\]: the program runs in the TFX interpreter"
    ):
        _operator(**argument)


def test_a_name_for_the_job_on_dataflow_is_refused() -> None:
    for config in ({"job_name": "mine"}, SimpleNamespace(job_name="mine")):
        with pytest.raises(
            ConfigError, match=r"dataflow_config of 'count' has job_name 'mine'.*remove job_name"
        ):
            _operator(dataflow_config=config)
    # What Google's provider has where nobody gives one.
    config = SimpleNamespace(job_name="{{task.task_id}}")
    _operator(dataflow_config=config)


@pytest.mark.parametrize("name", ["DirectRunner", "PortableRunner", "", ["in_memory"], None])
def test_a_rendered_runner_is_one_of_the_table(name: Any) -> None:
    operator = _operator(runner="{{ params.runner }}")
    operator.runner = name  # as Airflow renders it
    with pytest.raises(AirflowFailException, match="which is not a Beam runner"):
        operator.execute(_CONTEXT)


def test_options_are_in_no_template() -> None:
    fields = set(BeamProgramOperator.template_fields)
    assert "runner" in fields and not fields & {"job_endpoint", "beam_options", "py_options"}


def test_the_form_offers_the_runners_by_name() -> None:
    param = runner_param("in_memory", "flink")
    assert param.resolve() == "in_memory" and param.resolve("flink") == "flink"
    for value in ("processes", "DirectRunner", "--runner=x", None, {}):
        with pytest.raises(ParamValidationError):
            param.resolve(value)
    assert runner_param().schema["enum"] == list(table())
    with pytest.raises(ConfigError, match="a name given to runner_param\\(\\) is 'Flink', which is not"):
        runner_param("Flink")


@pytest.mark.parametrize(
    "name", ["a.csv", "2014/*.csv", "**/trips-?????.csv", "[ab]/Café 1.csv", "a..b/c-d_e"]
)
def test_names_below_the_folder_are_taken(name: str) -> None:
    assert files_param("/srv", "").resolve(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/..",
            "./a",
            "a//b",
            "a/",
            "~/a",
            "-x",
            "a/-x",
            "--runner=x",
        ),
        *(
            "s3://bucket/a",
            "file:a",
            "http:a",
            "${TFX_PREFIX}/a",
            "$HOME",
            "a\n",
            "a\nb",
            "a\r",
            "a\0b",
            "a\\..\\b",
        ),
        *("", " a", ".hidden", "a/.hidden", "{{ 1 }}", "a;b", "a|b", "a`b`", "\u202ea", "a" * 251),
    ],
    ids=repr,
)
def test_what_leads_elsewhere_is_refused_in_the_form(name: str) -> None:
    with pytest.raises(ParamValidationError):
        files_param("/srv", "").resolve(name)


def test_a_pattern_is_read_in_no_time() -> None:
    assert not re.search(PATTERN, "a/" * 120 + "\n")


@pytest.mark.parametrize(
    "given",
    [
        {"__tfx_object_type__": "class", "__module__": "antigravity", "__class__": "x"},
        {"learning_rate": {"__tfx_object_type__": "class", "__module__": "antigravity", "__class__": "x"}},
        {"hidden_units": [{"__tfx_object_type__": "jsonable"}]},
        {"module_file": "/tmp/x.py"},
    ],
    ids=["class", "inside", "in-a-list", "unknown"],
)
def test_hyperparameters_name_no_code(given: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        Param({}, **hyperparameters.SCHEMA).resolve(given)


def test_all_hyperparameters_are_in_the_schema_and_their_defaults_fit() -> None:
    defaults = dataclasses.asdict(hyperparameters.Hyperparameters())
    assert set(hyperparameters.SCHEMA["properties"]) == set(defaults)
    values = {**defaults, "hidden_units": list(defaults["hidden_units"])}
    assert Param({}, **hyperparameters.SCHEMA).resolve(values) == values


def test_a_program_with_files_in_home_does_not_start_on_a_machine_with_another_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__HOME", str(tmp_path))
    operator = _operator(pipeline_options={"output": "${TFX_AIRFLOW_HOME}/counts"})
    with pytest.raises(AirflowFailException, match="'include.wordcount.count' reads or writes files in it"):
        operator.execute(_CONTEXT)
    assert list(tmp_path.iterdir()) == []
