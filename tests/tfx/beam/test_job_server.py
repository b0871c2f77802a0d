"""Jobs on a job server with a pool of workers: Beam's own server in Python stands for Flink's, the pool is ours."""

from __future__ import annotations

import dataclasses
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from tfx import v1 as tfx

from include.tfx_airflow.contract.beam_runner import BeamRunner, BeamTarget
from include.tfx_airflow.contract.errors import BeamError
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.beam import arguments, job_server_runner, job_service
from include.tfx_airflow.tfx_side.node import node
from include.tfx_airflow.tfx_side.node.beam_work import BeamWork
from tests.pipelines import on_workers
from tests.tfx.beam import servers

pytestmark = pytest.mark.slow

TOKEN = "sesame"


@pytest.fixture(scope="module")
def job_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.job_server(tmp_path_factory.mktemp("job-server")) as address:
        yield address


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.worker_pool(tmp_path_factory.mktemp("pool"), TOKEN) as (address, _):
        yield address


def _target(tmp_path: Path, job_server: str, pool: str = "", **fields: Any) -> BeamTarget:
    runner = BeamRunner("flink", conn_id="beam_flink", workers="pool" if pool else "task")
    return BeamTarget(
        "flink",
        dataclasses.asdict(runner),
        **{
            "job_name": "tfx-test-0123456789-try1",
            "job_endpoint": job_server,
            "worker_pool": pool,
            "worker_pool_token": TOKEN,
            "home": str(tmp_path / "home"),
            **fields,
        },
    )


def _arguments(target: BeamTarget) -> list[str]:
    job_server_runner.use(target)
    return arguments.of_node(target, [], "Count")


def _run(target: BeamTarget, transform: Any) -> None:
    with beam.Pipeline(options=PipelineOptions(_arguments(target))) as pipeline:
        _ = pipeline | beam.Create([1, 2, 3]) | transform


def test_a_job_has_the_bundles_code_and_says_where_it_ran(tmp_path: Path, job_server: str, pool: str) -> None:
    target, work = _target(tmp_path, job_server, pool, ui="http://127.0.0.1:9"), BeamWork("flink")
    with work.observed():
        _run(target, beam.Map(on_workers.write_number_and_module, str(tmp_path)))
    places = {(tmp_path / name).read_text() for name in "123"}
    [place] = places
    assert "/packages/" in place and place.endswith("/tests/pipelines/worker.py")
    found = work.summary()
    [job] = found["jobs"]
    assert found["runner"] == "flink" and job["name"].startswith("tfx-test-0123456789-try1-")
    assert 0 < job["seconds"] < 60 and found["seconds"] == job["seconds"]


def test_workers_in_the_task_have_its_own_modules(tmp_path: Path, job_server: str) -> None:
    _run(_target(tmp_path, job_server), beam.Map(on_workers.write_number_and_module, str(tmp_path)))
    assert {(tmp_path / name).read_text() for name in "123"} == {on_workers.worker.__file__}


def test_no_option_of_a_job_has_an_address_or_a_token(tmp_path: Path, job_server: str, pool: str) -> None:
    target = _target(tmp_path, job_server, pool, token="s3cret-for-the-job-server")
    options = PipelineOptions(_arguments(target))
    handle = job_server_runner._JobServiceHandle(target, "name", options)
    shown = str(handle.get_pipeline_options())
    for secret in (job_server, pool, TOKEN, "s3cret-for-the-job-server"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (on_workers.fail, "ValueError: bad number"),
        (on_workers.need_what_is_missing, "No module named 'no_such_module'"),
    ],
    ids=["error", "import"],
)
def test_user_code_that_fails_says_why(
    tmp_path: Path, job_server: str, pool: str, function: Any, said: str
) -> None:
    with pytest.raises(BeamError, match="on runner 'flink' did not end well") as raised:
        _run(_target(tmp_path, job_server, pool), beam.Map(function))
    assert said in str(raised.value)


def test_a_token_that_is_not_the_pools_is_refused(tmp_path: Path, job_server: str, pool: str) -> None:
    with pytest.raises(BeamError, match="did not end well"):
        _run(_target(tmp_path, job_server, pool, worker_pool_token="other"), beam.Map(on_workers.fail))
    with pytest.raises(BeamError, match="did not end well"):
        _run(_target(tmp_path, job_server, pool, worker_pool_token=""), beam.Map(on_workers.fail))


def test_a_job_server_that_is_away_is_told_in_seconds(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(BeamError, match=rf"'flink' does not answer at {address} .* Connection 'beam_flink'"):
        _run(_target(tmp_path, address), beam.Map(print))
    assert time.monotonic() - began < 30


def test_a_later_try_cancels_what_the_earlier_one_left(tmp_path: Path, job_server: str, pool: str) -> None:
    target = _target(tmp_path, job_server, pool)
    options = PipelineOptions(_arguments(target))
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | beam.Create([1]) | beam.Map(on_workers.sleep)
    left = pipeline.run()
    other = dataclasses.replace(target, job_name="tfx-test-9876543210-try1")
    assert job_service.cancel_earlier(other) == []
    assert left.state not in ("CANCELLED", "FAILED", "DONE")
    later = dataclasses.replace(target, job_name="tfx-test-0123456789-try2")
    assert job_service.cancel_earlier(later) == [left.name]
    assert job_service.cancel_earlier(later) == []


def test_a_later_try_from_the_cache_cancels_it_too(
    tmp_path: Path,
    job_server: str,
    pool: str,
    make_request: Callable[..., NodeRequest],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x\n" + "1\n" * 9)
    gen = tfx.components.CsvExampleGen(input_base=str(tmp_path / "data"))
    pipeline = tfx.dsl.Pipeline("gen", pipeline_root="", components=[gen], enable_cache=True)
    assert node.run(make_request(pipeline, "CsvExampleGen")).state == "executed"
    target = _target(tmp_path, job_server, pool)
    job = beam.Pipeline(options=PipelineOptions(_arguments(target)))
    _ = job | beam.Create([1]) | beam.Map(on_workers.sleep)
    left = job.run()

    def second_try(run: str, address: str) -> str:
        later = dataclasses.replace(target, job_endpoint=address, job_name="tfx-test-0123456789-try2")
        request = make_request(pipeline, "CsvExampleGen", run=run, try_number=2)
        return node.run(dataclasses.replace(request, beam=dataclasses.asdict(later))).state

    assert second_try("second", "127.0.0.1:9") == "cached"
    [said] = [line for line in caplog.messages if line.startswith("A job that an earlier try has left may")]
    assert "the job server of Beam runner 'flink' does not answer at 127.0.0.1:9" in said
    assert left.state not in ("CANCELLED", "FAILED", "DONE")
    assert second_try("third", job_server) == "cached"
    assert left.state == "CANCELLED"


def _on_spark(target: BeamTarget) -> BeamTarget:
    runner = BeamRunner("spark", conn_id="beam_spark")
    return dataclasses.replace(target, name="spark", runner=dataclasses.asdict(runner), ui="")


def test_jobs_on_spark_take_turns(tmp_path: Path, job_server: str, pool: str) -> None:
    target = _on_spark(_target(tmp_path, job_server, pool))
    files = [tmp_path / name for name in ("first", "second", "third")]
    with futures.ThreadPoolExecutor(len(files)) as threads:
        list(threads.map(lambda file: _run(target, beam.Map(on_workers.note_when, str(file))), files))
    times = []
    for file in files:
        lines = [[float(moment) for moment in line.split()] for line in file.read_text().splitlines()]
        assert len(lines) == 3
        times.append((min(began for began, _ in lines), max(ended for _, ended in lines)))
    times.sort()
    assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(times))


def test_a_job_on_spark_that_another_one_was_faster_than_is_handed_over_again(
    tmp_path: Path, job_server: str, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_server_runner, "_REFUSED_SECONDS", 0.1)
    target, work = _on_spark(_target(tmp_path, job_server, pool)), BeamWork("spark")
    with work.observed():
        _run(target, beam.Map(on_workers.fail_at_first, str(tmp_path / "failed once")))
    [job] = work.summary()["jobs"]
    assert (tmp_path / "failed once").exists() and job["seconds"] > 0


def test_any_other_error_on_spark_is_told_at_once(tmp_path: Path, job_server: str, pool: str) -> None:
    with pytest.raises(BeamError, match="on runner 'spark' did not end well") as raised:
        _run(_on_spark(_target(tmp_path, job_server, pool)), beam.Map(on_workers.fail))
    assert "ValueError: bad number" in str(raised.value)


def test_a_killed_tasks_jobs_are_cancelled(tmp_path: Path, job_server: str, pool: str) -> None:
    target = _target(tmp_path, job_server, pool)
    pipeline = beam.Pipeline(options=PipelineOptions(_arguments(target)))
    _ = pipeline | beam.Create([1]) | beam.Map(on_workers.sleep)
    result = pipeline.run()
    waiting = threading.Thread(target=lambda: pytest.raises(BeamError, result.wait_until_finish))
    waiting.start()
    began = time.monotonic()
    job_server_runner.cancel_all()
    waiting.join(20)
    assert not waiting.is_alive() and time.monotonic() - began < 20
    assert job_service.cancel_earlier(target) == []


def test_a_pool_for_others_without_a_token_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="give it a token"):
        with servers.worker_pool(tmp_path, host="0.0.0.0"):
            pass
