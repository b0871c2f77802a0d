"""The word count on real clusters, through Beam's portable runner: the counts of one process."""

from __future__ import annotations

import collections
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.bundle import ROOT, TFX_PYTHON
from tests.cluster.flink import Flink
from tests.cluster.job_server import JobServer
from tests.cluster.spark import Spark


def _counts(folder: Path, *options: str) -> collections.Counter[str]:
    folder.mkdir()
    output = folder / "counts.csv"
    done = subprocess.run(
        [TFX_PYTHON, "-m", "include.wordcount.count", f"--output={output}", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines, words = (
        int(re.findall(rf"([\d,]+)  {name}\n", done.stdout)[0].replace(",", ""))
        for name in ("lines", "words")
    )
    rows = [line.rsplit(",", 1) for line in output.read_text().splitlines()]
    counts = collections.Counter({word: int(number) for word, number in rows})
    assert len(counts) == len(rows) and counts.total() == words and lines == 74
    return counts


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> collections.Counter[str]:
    """Counted in one process."""
    return _counts(tmp_path_factory.mktemp("counts") / "in-memory", "--runner=DirectRunner")


def test_flink_has_this_process_count(
    tmp_path: Path, counts: collections.Counter[str], flink: Flink, flink_job_server: JobServer
) -> None:
    before = len(flink.jobs())
    runner = ["--runner=PortableRunner", f"--job_endpoint={flink_job_server.endpoint}"]
    assert _counts(tmp_path / "flink", *runner, "--environment_type=LOOPBACK", "--parallelism=2") == counts
    [job] = flink.jobs()[before:]
    assert job["state"] == "FINISHED"


def test_flink_has_a_worker_pool_count(
    tmp_path: Path,
    counts: collections.Counter[str],
    flink: Flink,
    flink_job_server: JobServer,
    worker_pool: str,
) -> None:
    before = len(flink.jobs())
    runner = ["--runner=PortableRunner", f"--job_endpoint={flink_job_server.endpoint}"]
    workers = ["--environment_type=EXTERNAL", f"--environment_config={worker_pool}"]
    assert _counts(tmp_path / "flink", *runner, *workers) == counts
    [job] = flink.jobs()[before:]
    assert job["state"] == "FINISHED"


def test_spark_has_this_process_count(
    tmp_path: Path, counts: collections.Counter[str], spark: Spark, spark_job_server: JobServer
) -> None:
    before = len(spark.status()["completedapps"])
    runner = ["--runner=PortableRunner", f"--job_endpoint={spark_job_server.endpoint}"]
    assert _counts(tmp_path / "spark", *runner, "--environment_type=LOOPBACK") == counts
    [application] = spark.status()["completedapps"][: -before or None]
    assert application["state"] == "FINISHED"


def test_spark_has_a_worker_pool_count(
    tmp_path: Path,
    counts: collections.Counter[str],
    spark_job_server: JobServer,
    worker_pool: str,
) -> None:
    runner = ["--runner=PortableRunner", f"--job_endpoint={spark_job_server.endpoint}"]
    workers = ["--environment_type=EXTERNAL", f"--environment_config={worker_pool}"]
    assert _counts(tmp_path / "spark", *runner, *workers) == counts
