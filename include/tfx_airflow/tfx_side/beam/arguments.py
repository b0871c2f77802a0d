"""The Beam arguments of a pipeline that runs on a named runner."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from include.tfx_airflow.contract.beam_runner import BeamTarget, contradictions, joined, named
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import ManifestError
from include.tfx_airflow.tfx_side.beam import bundle_package

# Unless one of these is given, TFX builds a source package of itself for Beam's workers, which takes seconds.
_TFX_IS_THERE = ("extra_package", "extra_packages", "setup_file", "requirements_file", "sdk_container_image")


def of_node(target: BeamTarget, given: Iterable[str], node: str) -> list[str]:
    """The arguments of a node's pipelines.

    Args:
      target: Where they run.
      given: What the pipeline gives the node.
      node: Its id.

    Raises:
      ManifestError: The pipeline wants another runner: in arguments that were placeholders at a parse.
    """
    runner, given = target.of, list(given)
    if wrong := contradictions(runner, given):
        raise ManifestError(
            f"the Beam runner of {node!r} is {target.name!r}, but the pipeline's beam_pipeline_args give it {wrong}; remove "
            "one of the two."
        )
    arguments = [*joined(runner, given), *of_code(target)]
    if runner.kind == "dataflow" and target.job_name:
        arguments.append(f"--job_name={target.job_name}")
    if runner.kind != "dataflow" and not any(name in _TFX_IS_THERE for name, _ in named(arguments)):
        arguments.append("--sdk_container_image=unused")
    return arguments


def as_compiled(target: BeamTarget, ir: str, node: str) -> list[str]:
    """The arguments that say where a node's jobs are, without those that were placeholders when it was compiled.

    Args:
      target: Where its pipelines run.
      ir: Path of the compiled `pipeline.json`.
      node: Its id.
    """
    deployed = json.loads(Path(ir).read_text(encoding="utf-8"))["deploymentConfig"]
    given = deployed["executorSpecs"].get(node, {}).get("beamPipelineArgs", ())
    return joined(target.of, [argument for argument in given if argument.startswith("--")])


def of_code(target: BeamTarget) -> list[str]:
    """The argument that sends the bundle's code to workers elsewhere; none where they have it."""
    runner = target.of
    elsewhere = runner.kind == "dataflow" or (runner.uses_job_server and runner.workers == "pool")
    if not elsewhere or runner.code == "installed":
        return []
    # The bundle's, [tfx_airflow] pythonpath, and that of a module file elsewhere.
    extra = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    folders = list(dict.fromkeys([str(BUNDLE_ROOT), *extra]))
    return [f"--extra_package={bundle_package.build(folders, target.home)}"]
