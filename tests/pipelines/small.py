"""Pipelines of custom Python components, whose executors take no time.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import os
import signal
import subprocess
import time

from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.control_flow import for_each as for_each_lib

_String = tfx.types.standard_artifacts.String


@component
def Write(
    message: tfx.dsl.components.Parameter[str],
    text: tfx.dsl.components.OutputArtifact[_String],
    moment: tfx.dsl.components.OutputArtifact[_String],
) -> None:
    """Writes a message, and when it was written."""
    text.value = message
    moment.value = str(time.time_ns())


@component
def Read(
    text: tfx.dsl.components.InputArtifact[_String],
    copy: tfx.dsl.components.OutputArtifact[_String],
) -> None:
    """Copies a text."""
    copy.value = text.value


@component
def FailOnce(
    marker: tfx.dsl.components.Parameter[str],
    text: tfx.dsl.components.OutputArtifact[_String],
) -> None:
    """Fails when first run: leaves half an output and a marker behind."""
    if not os.path.exists(marker):
        with open(marker, "w") as file:
            file.write("failed once")
        text.value = "half"
        raise ValueError("the first attempt fails")
    text.value = "whole"


@component
def Sleep(
    started: tfx.dsl.components.Parameter[str],
    seconds: tfx.dsl.components.Parameter[int],
    text: tfx.dsl.components.OutputArtifact[_String],
) -> None:
    """Says its process id in a file, then sleeps."""
    with open(started + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(started + ".new", started)
    time.sleep(seconds)
    text.value = "slept"


@component
def KillItself(
    marker: tfx.dsl.components.Parameter[str],
    text: tfx.dsl.components.OutputArtifact[_String],
) -> None:
    """Dies of SIGKILL when first run."""
    if not os.path.exists(marker):
        with open(marker, "w") as file:
            file.write("killed once")
        os.kill(os.getpid(), signal.SIGKILL)
    text.value = "alive"


@component
def Calculate(
    count: tfx.dsl.components.Parameter[int],
    rate: tfx.dsl.components.Parameter[float],
    label: tfx.dsl.components.Parameter[str],
    options: tfx.dsl.components.Parameter[str],
    result: tfx.dsl.components.OutputArtifact[_String],
) -> None:
    """Shows what reached it of four runtime parameters."""
    result.value = f"{count!r} {rate!r} {label!r} {options!r}"


def _parameter(name: str, kind: type, default: object = None) -> tfx.dsl.experimental.RuntimeParameter:
    return tfx.dsl.experimental.RuntimeParameter(name, kind, default, f"the {name}")


def write_and_read(name: str = "write_and_read", message: str = "hello") -> tfx.dsl.Pipeline:
    """Two nodes."""
    write = Write(message=message)
    read = Read(text=write.outputs["moment"])
    return tfx.dsl.Pipeline(name, pipeline_root="", components=[write, read], enable_cache=True)


def fail_once(marker: str) -> tfx.dsl.Pipeline:
    """A node that fails when first run, and one that reads what it made."""
    first = FailOnce(marker=marker)
    read = Read(text=first.outputs["text"])
    return tfx.dsl.Pipeline("fail_once", pipeline_root="", components=[first, read])


def kill_itself(marker: str) -> tfx.dsl.Pipeline:
    """A node that dies of SIGKILL when first run."""
    return tfx.dsl.Pipeline("kill_itself", pipeline_root="", components=[KillItself(marker=marker)])


def sleep(started: str, seconds: int = 600) -> tfx.dsl.Pipeline:
    """A node that sleeps."""
    node = Sleep(started=started, seconds=seconds)
    return tfx.dsl.Pipeline("sleep", pipeline_root="", components=[node])


def parameters() -> tfx.dsl.Pipeline:
    """One runtime parameter of each kind; the count's default is 0, which TFX's compiler drops."""
    node = Calculate(
        count=_parameter("count", int, 0),
        rate=_parameter("rate", float, 0.5),
        label=_parameter("label", str, "plain"),
        options=_parameter("options", str, '{"depth": 2}'),
    )
    return tfx.dsl.Pipeline("parameters", pipeline_root="", components=[node])


def conditional() -> tfx.dsl.Pipeline:
    """A node in a Cond that is false, and one that reads it."""
    write = Write(message="no")
    with tfx.dsl.Cond(write.outputs["text"].future()[0].value == "yes"):
        read = Read(text=write.outputs["text"])
    again = Read(text=read.outputs["copy"]).with_id("ReadAgain")
    return tfx.dsl.Pipeline("conditional", pipeline_root="", components=[write, read, again])


def cycle() -> tfx.dsl.Pipeline:
    """Two nodes that wait for each other."""
    first, second = Write(message="a").with_id("First"), Write(message="b").with_id("Second")
    first.add_upstream_node(second)
    second.add_upstream_node(first)
    return tfx.dsl.Pipeline("cycle", pipeline_root="", components=[first, second])


def for_each() -> tfx.dsl.Pipeline:
    """A node in a ForEach."""
    write = Write(message="a")
    with for_each_lib.ForEach(write.outputs["text"]) as text:
        read = Read(text=text)
    return tfx.dsl.Pipeline("for_each", pipeline_root="", components=[write, read])


def container() -> tfx.dsl.Pipeline:
    """A container component."""
    node = tfx.dsl.experimental.create_container_component(
        name="InContainer", image="alpine", command=["echo", "hello"]
    )()
    return tfx.dsl.Pipeline("container", pipeline_root="", components=[node])


def sub_pipeline() -> tfx.dsl.Pipeline:
    """A pipeline in a pipeline."""
    inner = tfx.dsl.Pipeline("inner", pipeline_root="", components=[Write(message="a")])
    return tfx.dsl.Pipeline("outer", pipeline_root="", components=[inner])


def resolver_without_input() -> tfx.dsl.Pipeline:
    """A node whose input is required and cannot be resolved: TFX only logs that."""
    latest = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        text=tfx.dsl.Channel(type=_String, producer_component_id="Nobody"),
    ).with_id("latest")
    read = Read(text=latest.outputs["text"])
    return tfx.dsl.Pipeline("resolver_without_input", pipeline_root="", components=[latest, read])


def not_a_pipeline() -> int:
    """Returns something else."""
    return 42


def raises() -> tfx.dsl.Pipeline:
    """Raises."""
    raise RuntimeError("the pipeline function is broken")


@component
def Work(
    pids: tfx.dsl.components.Parameter[str],
    seconds: tfx.dsl.components.Parameter[float],
    text: tfx.dsl.components.OutputArtifact[_String],
) -> None:
    """Starts a worker of its own, writes half of its output, works, and writes the whole."""
    worker = subprocess.Popen(["sleep", "600"])
    with open(pids, "a") as file:
        file.write(f"{os.getpid()}\n{worker.pid}\n")
    text.value = "half"
    time.sleep(seconds)
    text.value = "whole"
    worker.kill()


def work(pids: str, seconds: float = 0.3) -> tfx.dsl.Pipeline:
    """A node that works for a while."""
    node = Work(pids=pids, seconds=seconds)
    return tfx.dsl.Pipeline("work", pipeline_root="", components=[node])
