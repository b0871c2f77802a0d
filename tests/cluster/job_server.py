"""Beam's job servers: they take pipelines of any language and run them on a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from tests.cluster import java, spark
from tests.cluster.flink import Flink
from tests.cluster.process import Process, free_port, listens
from tests.cluster.spark import Spark


@dataclasses.dataclass(frozen=True)
class JobServer:
    """A running job server.

    Attributes:
      endpoint: Host and port, Beam's `--job_endpoint`.
      process: The server itself.
    """

    endpoint: str
    process: Process


def for_flink(flink: Flink, folder: Path) -> contextlib.AbstractContextManager[JobServer]:
    """The job server of a Flink cluster, with its files and log below a folder."""
    return _running(
        "flink-job-server",
        "org.apache.beam.runners.flink.FlinkJobServerDriver",
        java.locked_jars("flink"),
        [f"--flink-master={flink.address}"],
        folder,
    )


def for_spark(cluster: Spark, folder: Path) -> contextlib.AbstractContextManager[JobServer]:
    """The job server of a Spark cluster, with its files and log below a folder; it is Spark's driver too."""
    beam = java.locked_jars("spark")
    # Beam's jars first here and in executors: Spark's Guava is too old for it. Executors find them where they are.
    executors = {
        "extraClassPath": os.pathsep.join(beam),
        "memory": "3g",
    }
    return _running(
        "spark-job-server",
        "org.apache.beam.runners.spark.SparkJobServerDriver",
        [*beam, *spark.class_path()],
        [f"--spark-master-url={cluster.master}"],
        folder,
        [f"-Dspark.executor.{name}={value}" for name, value in executors.items()],
    )


@contextlib.contextmanager
def _running(
    name: str,
    main: str,
    class_path: list[str],
    arguments: list[str],
    folder: Path,
    options: list[str] | None = None,
) -> Iterator[JobServer]:
    port = free_port()
    # Clients are told the port for artifacts.
    ports = ["--job-host=127.0.0.1", f"--job-port={port}", "--artifact-port=0", "--expansion-port=0"]
    process = Process(
        name,
        java.command(
            main,
            class_path,
            [*ports, f"--artifacts-dir={folder / 'artifacts'}", *arguments],
            folder,
            ["-Xmx1g", *(options or [])],
        ),
        folder,
        java.home(),
    )
    try:
        process.wait_until(lambda: listens(port))
        yield JobServer(f"127.0.0.1:{port}", process)
    finally:
        process.end()
