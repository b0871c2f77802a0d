"""A component that blesses a model unless its evaluation proves that it is worse.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import dataclasses
import json
import math
import os
from typing import Any

from absl import logging
from tfx import v1 as tfx
from tfx.components.evaluator import constants
from tfx.dsl.component.experimental.decorators import component
from tfx.utils import io_utils

from include.components.evidence import Evidence, Rules, judge
from include.tfx_airflow.contract.evidence import INCONCLUSIVE, PASSED, EvidenceVerdict

POLICIES = ("pass", "fail", "wait")
# Beside the file BLESSED or NOT_BLESSED.
TABLE_FILE = "evidence.json"
_SHOWN = 50


@component
def EvidenceGate(
    evaluation: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelEvaluation],
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    blessing: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ModelBlessing],
    baseline_model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model] = None,
    inconclusive: tfx.dsl.components.Parameter[str] = "pass",
    value_thresholds: tfx.dsl.components.Parameter[str] = "point",
    min_examples: tfx.dsl.components.Parameter[int] = 30,
    decides: tfx.dsl.components.Parameter[bool] = True,
) -> None:
    """Applies the Evaluator's thresholds, with the confidence intervals that the Evaluator computed.

    A change threshold fails only if the interval of the change excludes what is allowed, and passes only if it
    excludes what is not; in between it is inconclusive, as it is without evidence: no interval, a standard error of
    0, too few examples. The interval of a change is paired: TFMA resamples the same examples for both models. That of
    a relative change is the same one over the baseline's value, which is taken as known exactly.

    gate = EvidenceGate(
        evaluation=evaluator.outputs["evaluation"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        inconclusive="wait",
    )
    Pusher(model=trainer.outputs["model"], model_blessing=gate.outputs["blessing"], ...)

    The blessing is like an Evaluator's, so that Resolvers and Pusher take it; it has the fields of `EvidenceVerdict`
    as custom properties too, and all checks in `evidence.json`.

    Args:
        evaluation: Output of an Evaluator with thresholds and `compute_confidence_intervals`.
        model: The model that was evaluated.
        blessing: Whether it is blessed.
        baseline_model: The model it was compared with, for the record; none in a first run.
        inconclusive: What an inconclusive verdict does: "pass" blesses the model, "fail" does not, "wait" does
            not either, and records that a human should decide (`waiting_for`). Nothing hangs: the run goes on.
        value_thresholds: "point" compares a value itself with its bounds, as TFMA does; "interval" asks for the
            same evidence as of changes.
        min_examples: In a slice of fewer examples nothing is proved; 0 turns the rule off.
        decides: Whether the pipeline follows this blessing; False if it is only recorded beside another.

    Raises:
        ValueError: There is no such policy, or no evaluation.
    """
    if inconclusive not in POLICIES:
        raise ValueError(f"inconclusive = {inconclusive!r} is not one of {POLICIES}.")
    evidence = judge(evaluation.uri, Rules(value_thresholds, min_examples))
    undecided = evidence.verdict == INCONCLUSIVE
    verdict = EvidenceVerdict(
        blessed=evidence.verdict == PASSED or (undecided and inconclusive == "pass"),
        verdict=evidence.verdict,
        decides=decides,
        passed=evidence.count("passed"),
        failed=evidence.count("failed"),
        inconclusive=evidence.count("inconclusive"),
        reason=evidence.reason,
        waiting_for="human" if undecided and inconclusive == "wait" else "",
    )
    rules = {"inconclusive": inconclusive, "value_thresholds": value_thresholds, "min_examples": min_examples}
    _set_models(blessing, model, baseline_model)
    _set_verdict(blessing, verdict)
    _write(blessing.uri, verdict, rules, evidence)
    _log(verdict, evidence)


def _set_models(blessing: Any, model: Any, baseline: Any) -> None:
    """As TFX's Evaluator does."""
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    if baseline is not None:
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id)


def _set_verdict(blessing: Any, verdict: EvidenceVerdict) -> None:
    for name, value in dataclasses.asdict(verdict).items():
        if isinstance(value, str):
            if value:
                blessing.set_string_custom_property(name, value)
        else:
            blessing.set_int_custom_property(name, int(value))


def _write(folder: str, verdict: EvidenceVerdict, rules: dict[str, Any], evidence: Evidence) -> None:
    """Writes TFX's file, and the table of all checks."""
    name = constants.BLESSED_FILE_NAME if verdict.blessed else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(os.path.join(folder, name), "")
    checks = [
        {field: _json(value) for field, value in dataclasses.asdict(check).items()}
        for check in evidence.checks
    ]
    table = {
        **dataclasses.asdict(verdict),
        "rules": rules,
        "compared": evidence.compared,
        "tfma": evidence.tfma,
        "checks": checks,
    }
    text = json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False)
    io_utils.write_string_file(os.path.join(folder, TABLE_FILE), f"{text}\n")


def _json(value: Any) -> Any:
    """NaN and infinity, which JSON lacks, as protobuf spells them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _log(verdict: EvidenceVerdict, evidence: Evidence) -> None:
    logging.info("With evidence: %s. %s", verdict.as_text(), verdict.reason)
    ranked = sorted(
        evidence.checks, key=lambda check: ("failed", "inconclusive", "passed").index(check.outcome)
    )
    for check in ranked[:_SHOWN]:
        logging.info("  %s: %s", check.outcome, check.as_text())
    if len(ranked) > _SHOWN:
        logging.info("  ... and %d more, in %s", len(ranked) - _SHOWN, TABLE_FILE)
