"""Summarizes what an execution made, for the end of the task's log, for XCom and for the report.

Nothing here may fail a node that succeeded: what cannot be read is mentioned in the note.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.contract.evidence import EvidenceVerdict
from include.tfx_airflow.tfx_side.node import record_counts

_Event = metadata_store_pb2.Event
_MAX_FAILURES = 10
_MAX_METRICS = 100  # XCom is small
_OUTPUT_EVENTS = (_Event.OUTPUT, _Event.INTERNAL_OUTPUT, _Event.DECLARED_OUTPUT)


def describe(
    store: Any, execution_id: int, local: Callable[[str], str] = str
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Lists the output artifacts of an execution.

    Args:
      store: Open `MetadataStore`.
      execution_id: An execution that is COMPLETE or CACHED.
      local: Gives the path of an artifact's files by its URI, for libraries that cannot open it.

    Returns:
      By output key, a list of {id, type, uri, note}, of examples with span and version; and a summary such as
      {"blessed": True, "metrics": {"auc": {"value": 0.9, "lower": 0.89, "upper": 0.91}}}.
    """
    all_events = store.get_events_by_execution_ids([execution_id])
    events = [e for e in all_events if e.type in _OUTPUT_EVENTS]
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    from_outside = not any(event.type == _Event.INPUT for event in all_events)
    outputs: dict[str, list[dict[str, Any]]] = {}
    summary: dict[str, Any] = {}
    for event in events:
        artifact = artifacts[event.artifact_id]
        facts: dict[str, Any] = {}
        reader = _READERS.get(artifact.type)
        if reader:
            try:
                facts = _evaluation(local(artifact.uri)) if reader is _evaluation else reader(artifact)
                # For examples that the node only passes on, the node before has given the number.
                if artifact.type == "Examples" and from_outside and event.type == _Event.OUTPUT:
                    facts |= _records(artifact, facts.get("note", ""))
            except Exception as error:
                facts = {"unreadable": f"{type(error).__name__}: {error}"}
        if event.type != _Event.INTERNAL_OUTPUT:  # a Resolver's: what an earlier run made
            summary.update({k: v for k, v in facts.items() if k not in ("note", "version")})
        for key in {step.key for step in event.path.steps if step.key} or {artifact.type}:
            outputs.setdefault(key, []).append(
                {
                    "id": artifact.id,
                    "type": artifact.type,
                    "uri": artifact.uri,
                    "note": facts.get("note") or facts.get("unreadable", ""),
                    **{name: facts[name] for name in ("span", "version") if name in facts},
                }
            )
    return {key: outputs[key] for key in sorted(outputs)}, summary


def _property(artifact: metadata_store_pb2.Artifact, name: str) -> Any:
    for properties in (artifact.properties, artifact.custom_properties):
        if name in properties:
            return getattr(properties[name], properties[name].WhichOneof("value"))
    return None


def _examples(artifact: metadata_store_pb2.Artifact) -> dict[str, Any]:
    span, version = _property(artifact, "span"), _property(artifact, "version")
    if span is None:
        return {}
    found = {"span": int(span), "version": int(version or 0)}
    return {**found, "note": f"span {found['span']}, version {found['version']}"}


def _records(artifact: metadata_store_pb2.Artifact, note: str) -> dict[str, Any]:
    found = record_counts.count(artifact)
    if not found:
        return {}
    empty = [name for name, number in found.items() if number == 0]
    warnings = {"warnings": [f"no records in split {name!r}" for name in empty]} if empty else {}
    return {
        "records": found,
        "note": "; ".join(filter(None, [note, record_counts.as_text(found)])),
        **warnings,
    }


def _infra_blessing(artifact: metadata_store_pb2.Artifact) -> dict[str, Any]:
    value = _property(artifact, "blessed")
    if value is None:
        return {"note": "not validated"}
    return {"infra_blessed": bool(value), "note": "BLESSED" if value else "NOT BLESSED"}


def _blessing(artifact: metadata_store_pb2.Artifact) -> dict[str, Any]:
    value = _property(artifact, "blessed")
    if value is None:
        return {"note": "not evaluated"}
    if _property(artifact, "decides") is not None:
        return _evidence(artifact)
    return {"blessed": bool(value), "note": "BLESSED" if value else "NOT BLESSED"}


def _evidence(artifact: metadata_store_pb2.Artifact) -> dict[str, Any]:
    """Of a gate with evidence: beside TFMA's verdict, never in its place."""
    found = {field.name: _property(artifact, field.name) for field in dataclasses.fields(EvidenceVerdict)}
    flags = {name: bool(found[name]) for name in ("blessed", "decides")}
    verdict = EvidenceVerdict(**{**found, **flags, "waiting_for": found["waiting_for"] or ""})
    return {"evidence": dataclasses.asdict(verdict), "note": verdict.as_text()}


def _pushed(artifact: metadata_store_pb2.Artifact) -> dict[str, Any]:
    destination = _property(artifact, "pushed_destination")
    if not _property(artifact, "pushed"):
        return {"pushed": "", "note": "not pushed"}
    return {"pushed": destination, "note": f"pushed to {destination}"}


def _anomalies(artifact: metadata_store_pb2.Artifact) -> dict[str, Any]:
    from include.tfx_airflow.tfx_side import anomalies

    all_ = anomalies.found_in(artifact.uri)
    found = {f"{one.split}/{one.feature}" if one.feature else one.split: one.short for one in all_}
    text = "; ".join(f"{where}: {what}" for where, what in list(found.items())[:5])
    return {"anomalies": found, "note": f"{len(found)} anomalies: {text}" if found else "no anomalies"}


def _evaluation(uri: str) -> dict[str, Any]:
    import tensorflow_model_analysis as tfma

    from include.tfx_airflow.tfx_side import evaluations

    metrics: dict[str, dict[str, float]] = {}
    for number in evaluations.numbers(uri):
        part = number.record
        overall = not part.slice_key.single_slice_keys and not part.cross_slice_key.ByteSize()
        if overall and not number.key.is_diff:
            metrics[evaluations.metric_name(number.key)] = {"value": number.value, **number.interval}
    shown = dict(sorted(metrics.items())[:_MAX_METRICS])
    more = len(metrics) - len(shown)
    note = ", ".join(f"{name} {value['value']:.4g}" for name, value in shown.items())
    facts = {"metrics": shown, **_validation(tfma.load_validation_result(uri))}
    if more:
        facts["metrics_left_out"] = more
        note += f" and {more} more metrics"
    return {**facts, "note": note}


def _validation(result: Any) -> dict[str, Any]:
    """Why a model was not blessed, the overall slice first; XCom is small, so only the first of many."""
    from include.tfx_airflow.tfx_side.evaluations import metric_name, slice_name

    failures = [
        (
            len(failed.slice_key.single_slice_keys),
            f"{metric_name(metric.metric_key)}{f' [{where}]' if where else ''} {_reason(metric)}",
        )
        for failed in result.metric_validations_per_slice
        for where in (slice_name(failed.slice_key),)
        for metric in failed.failures
    ]
    texts = [text for _, text in sorted(failures)]
    texts += [f"no slice {' '.join(str(spec).split())}" for spec in result.missing_slices]
    if len(texts) > _MAX_FAILURES:
        texts = [*texts[:_MAX_FAILURES], f"... and {len(texts) - _MAX_FAILURES} more"]
    facts: dict[str, Any] = {"failed_thresholds": texts}
    if result.rubber_stamp:
        facts["rubber_stamp"] = True
    return facts


def _reason(failure: Any) -> str:
    """`0.71 is below 0.8`, from TFMA's ValidationFailure."""
    value = getattr(failure.metric_value, failure.metric_value.WhichOneof("type") or "", None)
    number = getattr(value, "value", None)
    if number is None:
        return " ".join(failure.message.split()) or "has no value"
    if failure.metric_key.is_diff:
        bound = failure.metric_threshold.change_threshold
        limits = [f"{k} {getattr(bound, k).value:.4g}" for k in ("absolute", "relative") if bound.HasField(k)]
        return f"changed by {number:+.4g}; allowed: {', '.join(limits)}"
    bound = failure.metric_threshold.value_threshold
    if bound.HasField("lower_bound") and number < bound.lower_bound.value:
        return f"{number:.4g} is below {bound.lower_bound.value:.4g}"
    if bound.HasField("upper_bound") and number > bound.upper_bound.value:
        return f"{number:.4g} is above {bound.upper_bound.value:.4g}"
    return f"{number:.4g} is outside its bounds"


_READERS = {
    "Examples": _examples,
    "InfraBlessing": _infra_blessing,
    "ModelBlessing": _blessing,
    "PushedModel": _pushed,
    "ExampleAnomalies": _anomalies,
    "ModelEvaluation": _evaluation,
}
