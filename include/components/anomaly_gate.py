"""A component that decides what anomalies in the data mean for the run.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

from collections.abc import Iterator
from typing import TypedDict

from absl import logging
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component

from include.tfx_airflow.tfx_side.anomalies import read

POLICIES = ("fail", "warn", "ignore")


class AnomaliesError(Exception):
    """The data have anomalies, and the policy says that nothing is to be made of such data."""


class AnomalyCount(TypedDict):
    """Outputs of `AnomalyGate`."""

    count: int


@component
def AnomalyGate(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    anomalies: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleAnomalies],
    policy: tfx.dsl.components.Parameter[str] = "fail",
) -> AnomalyCount:
    """Lets a run go on, or not, when ExampleValidator found anomalies.

    Args:
        examples: What the anomalies are in. Only read by name: examples that came through here are known
            by it, see `RollingWindow`.
        anomalies: Output of ExampleValidator or DistributionValidator.
        policy: "fail" ends the run with the list of anomalies, "warn" only logs it, "ignore" says nothing.

    Returns:
        Number of anomalies.

    Raises:
        AnomaliesError: There are anomalies and the policy is "fail".
        ValueError: There is no such policy.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy = {policy!r} is not one of {POLICIES}.")
    found = list(_descriptions(anomalies.uri))
    if found and policy != "ignore":
        text = f"{len(found)} anomalies in {anomalies.uri}:\n" + "\n".join(found)
        if policy == "fail":
            raise AnomaliesError(f"{text}\nMend the data or the schema, or run again with policy 'warn'.")
        logging.warning(text)
    elif not found:
        logging.info("No anomalies.")
    return {"count": len(found)}


def _descriptions(folder: str) -> Iterator[str]:
    for name, anomalies in read(folder):
        for feature, info in sorted(anomalies.anomaly_info.items()):
            yield f"  {name}: {feature}: {info.short_description}: {info.description}"
        if anomalies.HasField("dataset_anomaly_info"):
            yield f"  {name}: {anomalies.dataset_anomaly_info.description}"
        for skew in anomalies.drift_skew_info:
            for measure in (*skew.drift_measurements, *skew.skew_measurements):
                if measure.value > measure.threshold:
                    yield f"  {name}: {'/'.join(skew.path.step)}: distance {measure.value:.3f} > {measure.threshold:.3f}"
