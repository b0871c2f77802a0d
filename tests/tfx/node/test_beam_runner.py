"""A node on a named Beam runner: where it runs is no part of its cache key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners import create_runner
from tfx import v1 as tfx

from include.tfx_airflow.contract.beam_runner import BeamRunner, BeamTarget
from include.tfx_airflow.contract.errors import ManifestError
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.beam import arguments
from include.tfx_airflow.tfx_side.node import beam_work, node

pytestmark = pytest.mark.slow

MakeRequest = Callable[..., NodeRequest]
# One, as each imports TFX.
PROCESSES = BeamRunner("processes", options=["--direct_num_workers=1"])


def _pipeline(folder: Path, *arguments: str) -> tfx.dsl.Pipeline:
    data = folder / "data"
    data.mkdir()
    (data / "a.csv").write_text("x,y\n" + "1,2\n" * 20)
    gen = tfx.components.CsvExampleGen(input_base=str(data))
    return tfx.dsl.Pipeline(
        "gen", pipeline_root="", components=[gen], enable_cache=True, beam_pipeline_args=list(arguments)
    )


def _on(request: NodeRequest, name: str, runner: BeamRunner) -> NodeRequest:
    target = BeamTarget(name, dataclasses.asdict(runner))
    return dataclasses.replace(request, beam=dataclasses.asdict(target))


def test_another_runner_takes_the_outputs_from_the_cache(tmp_path: Path, make_request: MakeRequest) -> None:
    pipeline = _pipeline(tmp_path)
    first = node.run(_on(make_request(pipeline, "CsvExampleGen"), "processes", PROCESSES))
    assert (first.state, first.beam["runner"]) == ("executed", "processes")
    assert first.beam["pipelines"] == 1
    for run, runner in (("second", BeamRunner("in_memory")), ("third", None)):
        request = make_request(pipeline, "CsvExampleGen", run=run)
        done = node.run(_on(request, "in_memory", runner) if runner else request)
        assert (done.state, done.outputs) == ("cached", first.outputs)


def test_arguments_that_want_another_runner_are_refused_in_the_run_too(
    tmp_path: Path, make_request: MakeRequest
) -> None:
    request = make_request(_pipeline(tmp_path, "--direct_num_workers=3"), "CsvExampleGen")
    with pytest.raises(
        ManifestError, match=r"runner of 'CsvExampleGen' is 'processes', .*--direct_num_workers=3"
    ):
        node.run(_on(request, "processes", PROCESSES))


def test_what_the_pipeline_gives_besides_is_kept() -> None:
    target = BeamTarget("in_memory", dataclasses.asdict(BeamRunner("in_memory")))
    given = ["--direct_running_mode=in_memory", "--temp_location=/tmp"]
    assert arguments.of_node(target, given, "x") == [
        *given,
        "--runner=DirectRunner",
        "--direct_running_mode=in_memory",
        "--sdk_container_image=unused",
    ]


def test_arguments_for_dataflow_are_what_beams_own_runner_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    # It asks Google, for a warning.
    monkeypatch.setattr(GoogleCloudOptions, "_warn_if_soft_delete_policy_enabled", lambda *_: None)
    options = ["--region=europe-west1", "--project=mine", "--temp_location=gs://mine/tmp"]
    runner = BeamRunner("dataflow", options=[*options, "--sdk_container_image=mine/tfx:1"], code="installed")
    target = BeamTarget("dataflow", dataclasses.asdict(runner), job_name="tfx-taxi-0123456789-try1")
    made = PipelineOptions(arguments.of_node(target, ["--direct_num_workers=1"], "Transform"))
    assert made.get_all_options(drop_default=True)["job_name"] == "tfx-taxi-0123456789-try1"
    assert PipelineOptionsValidator(made, create_runner("DataflowRunner")).validate() == []


def test_a_killed_nodes_job_on_dataflow_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = []

    class Result:
        """As Dataflow's, which has only begun."""

        state = "RUNNING"

        def job_id(self) -> str:
            return "2014-01-01"

        def cancel(self) -> None:
            cancelled.append(self)
            raise RuntimeError("it does not answer")

    results = [Result(), Result()]
    monkeypatch.setattr(beam_work, "_begun", results)
    beam_work.cancel_others()
    assert cancelled == results
