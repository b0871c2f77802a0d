"""A component that lets a run continue or fail when its data has anomalies.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

from typing import TypedDict

from absl import logging
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component

from include.tfx_airflow.tfx_side.anomalies import Anomaly, found_in

POLICIES = ("fail", "warn", "ignore")


class AnomaliesError(Exception):
    """The data has anomalies, and the policy is to fail."""


class AnomalyCount(TypedDict):
    """Outputs of `AnomalyGate`."""

    count: int


@component
def AnomalyGate(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    anomalies: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleAnomalies],
    policy: tfx.dsl.components.Parameter[str] = "fail",
) -> AnomalyCount:
    """Lets a run continue, or fails it, when ExampleValidator found anomalies.

    Args:
        examples: The data with the anomalies. Not read, but recorded as an input, by which `RollingWindow` knows
            that they passed this gate.
        anomalies: Output of ExampleValidator or DistributionValidator.
        policy: "fail" fails with the list of anomalies, "warn" only logs it, "ignore" does neither.

    Returns:
        Number of anomalies.

    Raises:
        AnomaliesError: There are anomalies and the policy is "fail".
        ValueError: There is no such policy.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy = {policy!r} is not one of {POLICIES}.")
    found = [_described(anomaly) for anomaly in found_in(anomalies.uri)]
    if found and policy != "ignore":
        counted = "1 anomaly" if len(found) == 1 else f"{len(found)} anomalies"
        text = f"{counted} in {anomalies.uri}:\n" + "\n".join(found)
        if policy == "fail":
            raise AnomaliesError(f"{text}\nFix the data or the schema, or run again with policy 'warn'.")
        logging.warning(text)
    elif not found:
        logging.info("No anomalies.")
    return {"count": len(found)}


def _described(anomaly: Anomaly) -> str:
    if not anomaly.feature:
        return f"  {anomaly.split}: {anomaly.description}"
    return f"  {anomaly.split}: {anomaly.feature}: {anomaly.short.rstrip('.')}: {anomaly.description}"
