"""A Flink cluster on this machine: a JobManager and a TaskManager."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cluster import java
from tests.cluster.process import Process, free_port, get_json

# Without Flink's scripts a TaskManager computes none of these, in MiB. A Transform shuffles in many stages at once,
# each with its own buffers: below 1 GiB of them it fails with "Insufficient number of network buffers".
_MEMORY = {
    "framework.heap.size": 128,
    "task.heap.size": 1200,
    "framework.off-heap.size": 128,
    "task.off-heap.size": 128,
    "network.min": 2048,
    "managed.size": 512,
    "jvm-metaspace.size": 256,
    "jvm-overhead.min": 192,
}


@dataclasses.dataclass(frozen=True)
class Flink:
    """A running cluster.

    Attributes:
      address: Host and port of its REST interface, which job servers and browsers ask.
      job_manager: The process that plans jobs.
      task_manager: The process that runs them.
    """

    address: str
    job_manager: Process
    task_manager: Process

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs of this cluster, the newest last: `jid`, `name`, `state`, `start-time`, `duration` in ms."""
        return sorted(self.get("jobs/overview")["jobs"], key=lambda job: job["start-time"])

    def get(self, path: str) -> Any:
        """What its REST interface answers."""
        return get_json(f"http://{self.address}/{path}")


@contextlib.contextmanager
def running(folder: Path, slots: int = 2) -> Iterator[Flink]:
    """A cluster with its files and logs below a folder.

    Args:
      folder: Its own; not the bundle's root, since Flink takes a folder `plugins` of its working directory for its own.
      slots: How many parallel parts of jobs run at once.
    """
    rest, rpc = free_port(), free_port()
    settings = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": rpc,
        "jobmanager.bind-host": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": rest,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": slots,
        "parallelism.default": 1,
        "io.tmp.dirs": folder,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
    class_path = sorted(map(str, (java.distribution("pyflink") / "lib").glob("*.jar")))
    conf = ["-c", str(folder)]
    job_manager = Process(
        "flink-jobmanager",
        java.command(
            "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
            class_path,
            [*conf, "--executionMode", "cluster"],
            folder,
            ["-Xmx768m"],
        ),
        folder,
    )
    try:
        job_manager.wait_until(lambda: get_json(f"http://127.0.0.1:{rest}/overview"))
        task_manager = Process(
            "flink-taskmanager",
            java.command(
                "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
                class_path,
                [*conf, *_memory_settings(slots)],
                folder,
                _memory_options(),
            ),
            folder,
        )
        try:
            task_manager.wait_until(
                lambda: get_json(f"http://127.0.0.1:{rest}/overview")["slots-total"] == slots
            )
            yield Flink(f"127.0.0.1:{rest}", job_manager, task_manager)
        finally:
            task_manager.end()
    finally:
        job_manager.end()


def _memory_settings(slots: int) -> list[str]:
    settings = {f"memory.{name}": f"{size}m" for name, size in _MEMORY.items()}
    settings["memory.process.size"] = f"{sum(_MEMORY.values())}m"
    for name in ("network", "jvm-overhead"):
        settings[f"memory.{name}.max"] = settings[f"memory.{name}.min"]
    settings["cpu.cores"] = str(slots)
    return [part for name, value in settings.items() for part in ("-D", f"taskmanager.{name}={value}")]


def _memory_options() -> list[str]:
    heap = _MEMORY["framework.heap.size"] + _MEMORY["task.heap.size"]
    direct = sum(_MEMORY[name] for name in ("framework.off-heap.size", "task.off-heap.size", "network.min"))
    return [
        f"-Xmx{heap}m",
        f"-XX:MaxDirectMemorySize={direct}m",
        f"-XX:MaxMetaspaceSize={_MEMORY['jvm-metaspace.size']}m",
    ]
