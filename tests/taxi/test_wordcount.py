"""The word count, on every runner that needs no cluster."""

from __future__ import annotations

import collections
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.wordcount import count


@pytest.fixture
def job_server(tmp_path: Path) -> Iterator[str]:
    """Address of a job server: Beam's own in Python, which speaks the protocol of Flink's."""
    log = tmp_path / "job-server.log"
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", "--port=0"],
            stderr=file,
        )
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"Listening for beam jobs on port (\d+)", log.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"localhost:{found[1]}"
    finally:
        process.kill()
        process.wait()


def test_words_keep_their_apostrophes_and_lose_their_case() -> None:
    line = "And Time's ever-fixed mark, possess'd -- 'tis 2 cafés_"
    assert list(count.words(line)) == ["and", "time's", "ever-fixed", "mark", "possess'd", "tis", "cafés"]


def test_the_text_is_five_sonnets_of_fourteen_lines() -> None:
    sonnets = count.TEXT.read_text(encoding="ascii").strip().split("\n\n")
    assert [len(sonnet.splitlines()) for sonnet in sonnets] == [14] * 5


def _run(tmp_path: Path, capfd: pytest.CaptureFixture[str], *options: str) -> None:
    output = tmp_path / "new" / "counts.csv"
    assert count.main([f"--output={output}", *options]) == 0
    text = count.TEXT.read_text()
    expected = collections.Counter(word for line in text.splitlines() for word in count.words(line))
    found = [line.rsplit(",", 1) for line in output.read_text().splitlines()]
    assert {word: int(number) for word, number in found} == expected and len(found) == len(expected)
    shown = [" ".join(line.split()) for line in capfd.readouterr().out.splitlines()]
    word, number = min(expected.items(), key=lambda pair: (-pair[1], pair[0]))
    assert f"{number} {word}" in shown
    assert f"{len(text.splitlines())} lines" in shown and f"{sum(expected.values())} words" in shown


@pytest.mark.parametrize("mode", ["in_memory", pytest.param("multi_processing", marks=pytest.mark.slow)])
def test_the_counts_are_the_same_in_one_process_and_in_several(
    tmp_path: Path, mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    _run(tmp_path, capfd, f"--direct_running_mode={mode}", "--direct_num_workers=2")


@pytest.mark.slow
def test_the_counts_are_the_same_by_way_of_a_job_server(
    tmp_path: Path, job_server: str, capfd: pytest.CaptureFixture[str]
) -> None:
    endpoint = f"--job_endpoint={job_server}"
    _run(tmp_path, capfd, "--runner=PortableRunner", endpoint, "--environment_type=LOOPBACK")
