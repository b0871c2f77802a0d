"""What an earlier try has left on Dataflow is cancelled: against a server that speaks Dataflow's API."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from include.tfx_airflow.contract.beam_runner import BeamRunner, BeamTarget
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import BeamError
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.beam import dataflow_jobs
from include.tfx_airflow.tfx_side.node import abandon

RUNNER = BeamRunner("dataflow", options=["--region=europe-west1", "--project=mine"])


class Dataflow:
    """Jobs by id, each with name and state; `stubborn` ones do not end, `hasty` ones before they are cancelled."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, str]] = {}
        self.stubborn: set[str] = set()
        self.hasty: set[str] = set()
        self.questions: list[str] = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.server = server

    def arguments(self) -> list[str]:
        """Beam's, of a client that asks this server."""
        return [
            *RUNNER.options,
            f"--dataflow_endpoint=http://127.0.0.1:{self.server.server_port}",
            "--no_auth",
            "--temp_location=gs://mine/tmp",
        ]

    def add(self, name: str, state: str) -> str:
        """A job, by its id."""
        job_id = f"id-{len(self.jobs)}"
        self.jobs[job_id] = {"id": job_id, "name": name, "currentState": state}
        return job_id

    def _handler(dataflow) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def _answer(self, body: object, status: int = 200) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                assert asked.path == "/v1b3/projects/mine/locations/europe-west1/jobs"
                query = parse_qs(asked.query)
                dataflow.questions.append(query["filter"][0])
                active = [
                    job
                    for job in dataflow.jobs.values()
                    if job["currentState"] in ("JOB_STATE_RUNNING", "JOB_STATE_PENDING")
                ]
                at = int(query.get("pageToken", ["0"])[0])  # pages of one job
                page = {"jobs": active[at : at + 1]}
                self._answer({**page, "nextPageToken": str(at + 1)} if at + 1 < len(active) else page)

            def do_PUT(self) -> None:
                job = dataflow.jobs[urlsplit(self.path).path.rpartition("/")[2]]
                wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if job["id"] in dataflow.hasty:
                    job["currentState"] = "JOB_STATE_DONE"
                    self._answer({"error": {"code": 400, "status": "FAILED_PRECONDITION"}}, 400)
                    return
                if job["id"] not in dataflow.stubborn:
                    job["currentState"] = wanted["requestedState"]
                self._answer(job)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def dataflow() -> Iterator[Dataflow]:
    made = Dataflow()
    yield made
    made.server.shutdown()


def _target(attempt: int) -> BeamTarget:
    return BeamTarget("dataflow", dataclasses.asdict(RUNNER), job_name=f"tfx-taxi-0123456789-try{attempt}")


def test_jobs_of_earlier_tries_are_cancelled_and_no_others(dataflow: Dataflow) -> None:
    other = dataflow.add("tfx-taxi-9876543210-try1", "JOB_STATE_RUNNING")
    ended = dataflow.add("tfx-taxi-0123456789-try1", "JOB_STATE_DONE")
    runs = dataflow.add("tfx-taxi-0123456789-try2", "JOB_STATE_RUNNING")
    waits = dataflow.add("tfx-taxi-0123456789-try1", "JOB_STATE_PENDING")
    assert dataflow_jobs.cancel_earlier(_target(3), dataflow.arguments(), poll_seconds=0.01) == [
        "tfx-taxi-0123456789-try1",
        "tfx-taxi-0123456789-try2",
    ]
    states = {job_id: job["currentState"] for job_id, job in dataflow.jobs.items()}
    assert states == {
        other: "JOB_STATE_RUNNING",
        ended: "JOB_STATE_DONE",
        runs: "JOB_STATE_CANCELLED",
        waits: "JOB_STATE_CANCELLED",
    }
    assert set(dataflow.questions) == {"ACTIVE"}


def test_a_first_try_asks_nobody(dataflow: Dataflow) -> None:
    assert dataflow_jobs.cancel_earlier(_target(1), ["--region=nowhere"]) == []


def test_a_job_that_goes_on_is_told_by_name(dataflow: Dataflow) -> None:
    dataflow.stubborn.add(dataflow.add("tfx-taxi-0123456789-try1", "JOB_STATE_RUNNING"))
    with pytest.raises(BeamError, match=r"\['tfx-taxi-0123456789-try1'\] .* have not ended 0 s after"):
        dataflow_jobs.cancel_earlier(_target(2), dataflow.arguments(), seconds=0, poll_seconds=0.01)


def test_a_job_that_ends_by_itself_meanwhile_is_no_error(dataflow: Dataflow) -> None:
    job = dataflow.add("tfx-taxi-0123456789-try1", "JOB_STATE_RUNNING")
    dataflow.hasty.add(job)
    dataflow_jobs.cancel_earlier(_target(2), dataflow.arguments(), poll_seconds=0.01)
    assert dataflow.jobs[job]["currentState"] == "JOB_STATE_DONE"


@contextlib.contextmanager
def _program(dataflow: Dataflow, tmp_path: Path, code: str) -> Iterator[subprocess.Popen[str]]:
    """A Beam program of the second try; its task lives as long as its standard input is open."""
    (tmp_path / "beam_program.py").write_text(code)
    target = dataclasses.replace(_target(2), runner={**dataclasses.asdict(RUNNER), "code": "installed"})
    with (
        open(tmp_path / "jobs", "wb") as told,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "include.tfx_airflow.tfx_side.beam_job", str(told.fileno()), "20"),
                *("beam_program", *dataflow.arguments()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=BUNDLE_ROOT,
            env={**os.environ, "PYTHONPATH": f"{BUNDLE_ROOT}:{tmp_path}"},
            start_new_session=True,
            pass_fds=[told.fileno()],
        ) as program,
    ):
        assert program.stdin
        program.stdin.write(json.dumps(dataclasses.asdict(target)) + "\n")
        program.stdin.flush()
        yield program


@pytest.mark.slow
def test_a_beam_program_cancels_what_its_earlier_try_has_left(dataflow: Dataflow, tmp_path: Path) -> None:
    job = dataflow.add("tfx-taxi-0123456789-try1", "JOB_STATE_RUNNING")
    code = "import sys\nprint('started with', *sys.argv[1:3])\n"
    with _program(dataflow, tmp_path, code) as program:
        said = program.stdout.read()
    assert "'tfx-taxi-0123456789-try1' (id-0) is still at work" in said
    assert "started with --region=europe-west1 --project=mine" in said
    assert dataflow.jobs[job]["currentState"] == "JOB_STATE_CANCELLED"


@pytest.mark.slow
def test_the_job_of_a_beam_program_is_cancelled_when_its_task_is_killed(
    dataflow: Dataflow, tmp_path: Path
) -> None:
    other = dataflow.add("tfx-taxi-9876543210-try2", "JOB_STATE_RUNNING")
    with _program(
        dataflow, tmp_path, "import time\nprint('at work', flush=True)\ntime.sleep(600)\n"
    ) as program:
        assert any(line == "at work\n" for line in program.stdout)
        job = dataflow.add("tfx-taxi-0123456789-try2", "JOB_STATE_RUNNING")
        program.stdin.close()
        assert program.wait(60) == -signal.SIGKILL
    states = [dataflow.jobs[one]["currentState"] for one in (job, other)]
    assert states == ["JOB_STATE_CANCELLED", "JOB_STATE_RUNNING"]


def test_the_job_of_a_node_whose_process_was_killed_is_cancelled(
    dataflow: Dataflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = dataflow.add("tfx-taxi-0123456789-try2", "JOB_STATE_RUNNING")
    monkeypatch.setattr(dataflow_jobs, "_POLL_SECONDS", 0.01)
    # Where it runs is said by the pipeline's own arguments, but for a placeholder.
    runner = BeamRunner("dataflow", options=["--region=europe-west1"])
    given = [one for one in dataflow.arguments() if not one.startswith("--region")]
    specs = {"Transform": {"beamPipelineArgs": [*given, ""]}}
    (tmp_path / "pipeline.json").write_text(json.dumps({"deploymentConfig": {"executorSpecs": specs}}))
    request = NodeRequest(
        ir=str(tmp_path / "pipeline.json"),
        node_id="Transform",
        run="taxi:first",
        task={},
        parameters={},
        mlmd={},
        roots={},
        beam=dataclasses.asdict(dataclasses.replace(_target(2), runner=dataclasses.asdict(runner))),
    )
    abandon.cancel_jobs(request)
    assert dataflow.jobs[job]["currentState"] == "JOB_STATE_CANCELLED"


@pytest.mark.slow  # it is asked for half a minute
def test_a_service_that_does_not_answer_is_told(dataflow: Dataflow) -> None:
    dataflow.server.shutdown()
    dataflow.server.server_close()
    with pytest.raises(BeamError, match="project 'mine', region 'europe-west1'.*cannot be known"):
        dataflow_jobs.cancel_earlier(_target(2), dataflow.arguments())
