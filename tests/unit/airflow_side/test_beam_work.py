"""Beam's seconds and counters at the end of a task's log."""

from __future__ import annotations

from include.tfx_airflow.airflow_side.beam_work import MAX_COUNTERS, MAX_STEPS, in_xcom, lines


def test_steps_and_counters_are_a_table() -> None:
    work = {
        "pipelines": 1,
        "seconds": 12.34,
        "steps": [["Read/Decode", 10.04], ["Write", 0.2]],
        "counters": [["tfx:rows", 15002]],
        "distributions": [],
    }
    assert lines(work) == [
        "1 Beam pipeline in 12.3 s; steps by sampled seconds, and counters:",
        "  10.0 s  Read/Decode",
        "   0.2 s  Write",
        "   15002  tfx:rows",
    ]


def test_what_has_no_place_is_counted() -> None:
    work = {
        "pipelines": 2,
        "steps": [[f"step {n}", 0.5] for n in range(MAX_STEPS + 2)],
        "steps_left_out": [3, 0.6],
        "counters": [[f"c{n}", n] for n in range(MAX_COUNTERS + 1)],
        "distributions": [["size", 1, 2, 2.0, 2]],
        "counters_left_out": 5,
    }
    found = lines(work)
    assert found[0] == "2 Beam pipelines; steps by sampled seconds, and counters:"
    assert found[MAX_STEPS + 1].split(maxsplit=2) == ["1.6", "s", "in 5 other steps"]
    assert found[-1].strip() == "and 7 more counters"
    assert len(found) == 1 + MAX_STEPS + 1 + MAX_COUNTERS + 1


def test_no_pipelines_no_lines() -> None:
    assert lines({}) == []


def test_a_runner_that_tells_nothing_has_one_line() -> None:
    work = {"pipelines": 1, "steps": [], "counters": [], "distributions": []}
    assert lines(work) == ["1 Beam pipeline; steps by sampled seconds, and counters:"]


def test_the_runner_and_its_jobs_are_told_with_their_page_and_stages() -> None:
    job = {
        "name": "tfx-a-try1-1",
        "id": "tfx-a_7",
        "seconds": 9.54,
        "link": "http://flink/#/job/5e",
        "stages": [["Map", 7.0]],
    }
    work = {
        "pipelines": 1,
        "seconds": 9.6,
        "steps": [],
        "counters": [],
        "distributions": [],
        "runner": "flink",
        "jobs": [job],
    }
    assert lines(work) == [
        "1 Beam pipeline on 'flink' in 9.6 s; steps by sampled seconds, and counters:",
        "Job tfx-a-try1-1 (tfx-a_7), 9.5 s: http://flink/#/job/5e",
        "  7.0 s  stage Map",
    ]
    assert in_xcom(work) == {"beam": {"runner": "flink", "jobs": [job]}}
    assert in_xcom({**work, "runner": ""}) == {}
