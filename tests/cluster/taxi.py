"""A run of tests/pipelines/twins.py, and whether the nodes on a cluster made what their twins made in memory."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
from collections.abc import Iterator
from typing import Any

from tests.bundle import ROOT, TFX_PYTHON, Bundle, Execution

_SUFFIX = "_in_memory"  # as in twins.py, which needs TFX
ON_CLUSTER = ("StatisticsGen", "Transform", "Evaluator", "BulkInferrer")
# Node, output, function of tests/pipelines/made.py, and the part by which a number may differ: sums of floats depend on
# their order.
COMPARED = (
    ("StatisticsGen", "statistics", "statistics", 1e-6),
    ("Transform", "transform_graph", "transform_graph", 0.0),
    ("Transform", "transformed_examples", "transformed", 1e-6),
    ("Evaluator", "evaluation", "evaluation", 1e-6),
    ("BulkInferrer", "inference_result", "inferences", 0.0),
)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that has ended well.

    Attributes:
      environment: Of the Airflow that ran it.
      log: All that `airflow dags test` said.
      executions: By node.
    """

    environment: dict[str, str]
    log: str
    executions: dict[str, Execution]

    def differences(self, node: str, key: str, what: str, relative: float = 0.0) -> list[str]:
        """Compares what a node made with its twin.

        Args:
          node: Its id.
          key: Of the output.
          what: A function of tests/pipelines/made.py.
          relative: Part by which a number may differ.

        Returns:
          One line for each number or word that differs by more.
        """
        found, expected = (self.executions[name].uri(key) for name in (node, node + _SUFFIX))
        return differences(self.environment, what, found, expected, relative)


def differences(
    environment: dict[str, str], what: str, found: str, expected: str, relative: float = 0.0
) -> list[str]:
    """Compares what is at two URIs.

    Args:
      environment: Of a process that reads them.
      what: A function of tests/pipelines/made.py.
      found: A URI.
      expected: The URI of what was made in memory.
      relative: Part by which a number may differ.

    Returns:
      One line for each number or word that differs by more.
    """
    done = subprocess.run(
        [TFX_PYTHON, "-m", "tests.pipelines.made", what, found, expected],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    one, other = json.loads(done.stdout)
    return list(_differences(one, other, relative, what))


def run(bundle: Bundle, dag_id: str, beam_runner: str, **connections: str) -> Run:
    """Runs the pipeline with its nodes on a runner and the twins in memory.

    Args:
      bundle: An Airflow.
      dag_id: Of the new DAG.
      beam_runner: A name in include/beam_runners.py.
      **connections: Airflow Connections, as variables AIRFLOW_CONN_...
    """
    twins = ", ".join(f"{node + _SUFFIX!r}: NodeConfig(beam_runner='in_memory')" for node in ON_CLUSTER)
    bundle.write_dag(
        dag_id,
        "tests.pipelines.twins:create_pipeline",
        f"beam_runner={beam_runner!r}, node_configs={{{twins}}}",
        serving_dir=str(bundle.folder / dag_id / "serving"),
    )
    done = bundle.dags_test(dag_id, **connections)
    assert done.returncode == 0, done.stdout[-8000:]
    executions = {execution.node: execution for execution in bundle.executions(dag_id)}
    assert {execution.state for execution in executions.values()} == {"COMPLETE"}
    return Run(bundle.environment, done.stdout, executions)


def _differences(found: Any, expected: Any, relative: float, place: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in sorted({*found, *expected}):
            yield from _differences(found.get(name), expected.get(name), relative, f"{place}, {name}")
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            yield from _differences(one, other, relative, f"{place}, {index}")
    elif isinstance(found, float) and isinstance(expected, float):
        same = math.isclose(found, expected, rel_tol=relative, abs_tol=1e-9)
        if not same and not (math.isnan(found) and math.isnan(expected)):
            yield f"{place}: {found!r}, in memory {expected!r}"
    elif found != expected:
        yield f"{place}: {found!r}, in memory {expected!r}"
