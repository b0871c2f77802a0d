"""A running Airflow for tests, driven as users drive it: through the UI's REST API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests.bundle import ROOT, Bundle
from tests.server import wait_until

_POLL = 1.5  # seconds
_ATTEMPTS = 5
_READING = 3  # seconds


class Scheduler:
    """Client of a running Airflow; raises AssertionError with the answer when one is not what it should be."""

    def __init__(self, url: str, user: str, password: str):
        """Logs in."""
        self.url, self.user, self.password = url, user, password
        self._token = ""
        self._token = self.call("POST", "/auth/token", {"username": user, "password": password})[
            "access_token"
        ]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; JSON in, JSON out."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        for attempt in range(_ATTEMPTS):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    text = answer.read().decode()
                    return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                said = error.read().decode()[:1000]
                # Where Airflow's own database is SQLite, one write may hold its lock for longer than another waits;
                # the request that is refused so is rolled back.
                locked = error.code == 500 and "Database error" in said
                if not locked or attempt == _ATTEMPTS - 1:
                    raise AssertionError(f"{method} {path}: {error.code} {said}") from None
                time.sleep(2**attempt)
        raise AssertionError("unreachable")

    def trigger(self, dag_id: str, run_id: str | None = None, conf: dict[str, Any] | None = None) -> str:
        """Triggers a run as the form does, with a null logical date; returns its run id."""
        self.unpause(dag_id)
        body = {"logical_date": None, "conf": conf or {}, **({"dag_run_id": run_id} if run_id else {})}
        run = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        assert run["logical_date"] is None
        return run["dag_run_id"]

    def wait_for_dag(self, dag_id: str) -> None:
        """Waits until the DAG processor has parsed a DAG."""
        wait_until(lambda: dag_id in self._dag_ids(), 180, f"DAG {dag_id!r} to be parsed", _POLL)

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = 600) -> str:
        """Waits until a run has ended; returns its state."""
        path = self._run_path(dag_id, run_id)
        wait_until(
            lambda: self.call("GET", path)["state"] in ("success", "failed"),
            seconds,
            f"the end of {path}",
            _POLL,
        )
        return self.call("GET", path)["state"]

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Task instances of a run by task id."""
        answer = self.call("GET", f"{self._run_path(dag_id, run_id)}/taskInstances")
        return {task["task_id"]: task for task in answer["task_instances"]}

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """Log of a task as text."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}?full_content=true"
        return json.dumps(self.call("GET", path))

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """A value that a task has left, as the XCom tab of the UI shows it."""
        return self.call(
            "GET", f"{self._run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        )["value"]

    def run_ids(self, dag_id: str) -> list[str]:
        """Ids of a DAG's runs."""
        runs = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns?limit=100")["dag_runs"]
        return [run["dag_run_id"] for run in runs]

    def unpause(self, dag_id: str, paused: bool = False) -> None:
        """Lets a DAG run, once it is there; or not, with `paused`."""
        self.wait_for_dag(dag_id)
        self.call("PATCH", f"/api/v2/dags/{dag_id}?update_mask=is_paused", {"is_paused": paused})

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clears a task and what comes after it."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "include_downstream": True,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self.call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

    def fail_task(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Marks a running task as failed, as the button in the UI does."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{task_id}"
        self.call("PATCH", path, {"new_state": "failed"})

    def question(self, dag_id: str, run_id: str, task_id: str, seconds: float = 600) -> dict[str, Any]:
        """What a task asks a person, once it does: subject, body, options, who has answered."""

        def asked() -> bool:
            state = self.tasks(dag_id, run_id)[task_id]["state"]
            assert state not in ("success", "failed", "upstream_failed", "skipped"), state
            return state == "awaiting_input"

        wait_until(asked, seconds, f"{task_id} to ask", _POLL)
        return self.call("GET", self._question_path(dag_id, run_id, task_id))

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, **params: Any) -> None:
        """Answers the question of a task, as the form under Required Actions does; again, should it be asked again.

        Airflow 3.3.2 fails a task whose answer comes before its scheduler has noticed that the task waits.
        """
        path, body = (
            self._question_path(dag_id, run_id, task_id),
            {
                "chosen_options": [option],
                "params_input": params,
            },
        )

        def taken() -> bool:
            state = self.tasks(dag_id, run_id)[task_id]["state"]
            assert state not in ("failed", "skipped", "removed"), state
            if state == "awaiting_input" and not self.call("GET", path)["response_received"]:
                time.sleep(_READING)
                self.call("PATCH", path, body)
            return state == "success"

        wait_until(taken, 600, f"{task_id} to be answered", _POLL)

    def _question_path(self, dag_id: str, run_id: str, task_id: str) -> str:
        return f"{self._run_path(dag_id, run_id)}/taskInstances/{task_id}/-1/hitlDetails"

    def wait_for_try(self, dag_id: str, run_id: str, task_id: str, number: int, seconds: float = 300) -> None:
        """Waits until a given try of a task has ended: after a clear, the run may still say success."""

        def ended() -> bool:
            task = self.tasks(dag_id, run_id)[task_id]
            return task["try_number"] == number and task["state"] in ("success", "failed")

        wait_until(ended, seconds, f"the end of try {number} of {task_id}", _POLL)

    def _dag_ids(self) -> set[str]:
        errors = self.call("GET", "/api/v2/importErrors")["import_errors"]
        assert not errors, errors
        return {dag["dag_id"] for dag in self.call("GET", "/api/v2/dags?limit=100")["dags"]}

    def _run_path(self, dag_id: str, run_id: str) -> str:
        return f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}"


@contextlib.contextmanager
def running(bundle: Bundle, log: Any) -> Iterator[Scheduler]:
    """Runs `up` as `make up` does, in a process group of its own; logs in; stops all of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["python", "-m", "include.tfx_airflow", "up", "--port", str(port)],
        env=bundle.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines = []
    try:
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        found = [line.split() for line in lines if line.startswith("Login:")]
        assert found, "".join(lines)
        yield Scheduler(f"http://localhost:{port}", found[0][1], found[0][3])
    finally:
        os.kill(process.pid, signal.SIGINT)
        log(process.communicate(timeout=60)[0])
