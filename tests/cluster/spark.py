"""A standalone Spark cluster on this machine: a master and a worker."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cluster import java
from tests.cluster.process import Process, free_port, get_json


@dataclasses.dataclass(frozen=True)
class Spark:
    """A running cluster.

    Attributes:
      master: Its address, `spark://host:port`, which job servers ask for executors.
      ui: Host and port of the master's pages.
    """

    master: str
    ui: str

    def status(self) -> dict[str, Any]:
        """What the master knows: among others `workers`, `activeapps` and `completedapps`."""
        return get_json(f"http://{self.ui}/json/")


def class_path() -> list[str]:
    """The jars of the distribution."""
    return sorted(map(str, (java.distribution("pyspark") / "jars").glob("*.jar")))


@contextlib.contextmanager
def running(folder: Path, cores: int = 2) -> Iterator[Spark]:
    """A cluster with its files and logs below a folder.

    Args:
      folder: Its own.
      cores: How many tasks run at once.
    """
    port, ui = free_port(), free_port()
    spark = Spark(f"spark://127.0.0.1:{port}", f"127.0.0.1:{ui}")
    environment = {
        **java.home(),
        "SPARK_HOME": str(java.distribution("pyspark")),
        "SPARK_SCALA_VERSION": "2.12",  # else the worker looks for it in folders that only a build of Spark has
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    master = _start("Master", "spark-master", port, ui, [], folder, environment)
    try:
        master.wait_until(spark.status)
        resources = ["--cores", str(cores), "--memory", "4g", "--work-dir", str(folder / "work")]
        worker = _start("Worker", "spark-worker", 0, 0, [*resources, spark.master], folder, environment)
        try:
            worker.wait_until(lambda: spark.status()["aliveworkers"] == 1)
            yield spark
        finally:
            worker.end()
    finally:
        master.end()


def _start(
    kind: str,
    name: str,
    port: int,
    ui: int,
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
) -> Process:
    ports = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(ui)]
    return Process(
        name,
        java.command(
            f"org.apache.spark.deploy.{kind.lower()}.{kind}",
            class_path(),
            [*ports, *arguments],
            folder,
            ["-Xmx512m"],
        ),
        folder,
        environment,
    )
