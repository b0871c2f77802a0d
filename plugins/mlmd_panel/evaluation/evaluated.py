"""What an evaluation of a run judged: which model, against which baseline, on which examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from mlmd_panel.errors import NotFound
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import evaluation
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.store.records import Artifact, Execution, RunDetail
from mlmd_panel.store.run_summaries import RunSummary

# Properties of artifacts and executions that `of` looks at, for `Store.run_makers`.
PROPERTIES = ("example_splits", "input_fingerprint", "span", "split_names", "version")


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """An evaluation with what it judged, as the Evaluator's events in the store say.

    Attributes:
      run: Run or branch that the evaluation belongs to.
      artifact: The ModelEvaluation.
      payload: What it says.
      model: The candidate; None if the store does not say.
      baseline_model: The model it was compared with; None if there was none, or the store does not say.
      examples: What it was evaluated on; empty if the store does not say.
      splits: Splits of the examples that were read, as the Evaluator's property has it.
      own_baseline: The values are those of the evaluation's baseline model, not of the candidate.
    """

    run: RunSummary
    artifact: Artifact
    payload: EvaluationPayload
    model: Artifact | None
    baseline_model: Artifact | None
    examples: tuple[Artifact, ...]
    splits: str
    own_baseline: bool = False

    @property
    def judged(self) -> Artifact | None:
        """The model whose values these are."""
        return self.baseline_model if self.own_baseline else self.model


def of(run: RunSummary, details: Callable[[], RunDetail], files: Files, search: str = "") -> Evaluated:
    """Reads the evaluation of a run or branch.

    Args:
      run: With its evaluation.
      details: Gives the run, at least the executions that made its evaluation, with PROPERTIES; not asked when the
        evaluation cannot be read.
      files: Where from.
      search: Text in the names of slices that are read even where the evaluation has more than the panel reads.

    Raises:
      NotFound: It has no evaluation.
      PayloadError: The evaluation is gone or cannot be read.
    """
    if run.evaluation is None:
        what = f"Branch '{run.name}' of run" if run.name else "Run"
        raise NotFound(
            f"{what} '{run.run.label}' has no evaluation: it has no Evaluator, or its Evaluator has not finished."
        )
    payload = evaluation.read(run.evaluation, files, parts=("validation",), search=search, lazy=True)
    detail = details()
    evaluator = _evaluator(detail, run.evaluation)
    if evaluator is None:
        return Evaluated(run, run.evaluation, payload, None, None, (), "")
    inputs = [
        (event.key, detail.artifacts[event.artifact_id])
        for event in sorted(detail.events, key=lambda event: (event.key, event.index))
        if event.execution_id == evaluator.id and event.is_input and event.artifact_id in detail.artifacts
    ]
    models = [artifact for key, artifact in inputs if key == "model"]
    baselines = [artifact for key, artifact in inputs if key == "baseline_model"]
    examples = tuple(artifact for key, artifact in inputs if key == "examples")
    splits = next((str(p.value) for p in evaluator.properties if p.name == "example_splits"), "")
    return Evaluated(
        run,
        run.evaluation,
        payload,
        models[0] if len(models) == 1 else None,
        baselines[0] if len(baselines) == 1 else None,
        examples,
        splits,
    )


def baseline_of(candidate: Evaluated) -> Evaluated:
    """The candidate's own baseline: the model that its Evaluator compared it with, on the same examples.

    Raises:
      NotFound: The evaluation has no baseline model.
    """
    if candidate.payload.baseline is None:
        raise NotFound(
            f"The evaluation of run '{candidate.run.run.label}' has no baseline model: there was none blessed before "
            "it, or its Evaluator is given none. Choose another baseline."
        )
    return dataclasses.replace(candidate, own_baseline=True)


def same_model(one: Evaluated, other: Evaluated) -> bool:
    """The values of the two are of the same Model artifact."""
    return one.judged is not None and other.judged is not None and one.judged.id == other.judged.id


def is_baseline_of(one: Evaluated, other: Evaluated) -> bool:
    """The model that `one` judged is the one that `other` was compared with."""
    if one.judged is None or other.baseline_model is None or other.payload.baseline is None:
        return False
    return one.judged.id == other.baseline_model.id


def same_examples(one: Evaluated, other: Evaluated) -> bool | None:
    """Both were evaluated on the same artifacts, or on as many examples of the same files; None if not known."""
    if not one.examples or not other.examples:
        return None
    if one.splits != other.splits:
        return False
    if {artifact.id for artifact in one.examples} == {artifact.id for artifact in other.examples}:
        return True
    prints = [sorted(map(_fingerprint, side.examples)) for side in (one, other)]
    # Without a fingerprint two artifacts may hold the same examples all the same.
    if any(not fingerprint[0] for side in prints for fingerprint in side):
        return None if _spans(one) == _spans(other) else False
    return prints[0] == prints[1] and not _counts_differ(one, other)


def _counts_differ(one: Evaluated, other: Evaluated) -> bool:
    """A fingerprint is of the files that were read, and says nothing of how they were split."""
    parts = [side.payload.overall_slice for side in (one, other)]
    counts = {part.examples for part in parts if part is not None and part.examples is not None}
    return len(counts) > 1


def _evaluator(detail: RunDetail, artifact: Artifact) -> Execution | None:
    makers = {e.execution_id for e in detail.events if e.artifact_id == artifact.id and e.is_output}
    found = [execution for execution in detail.executions if execution.id in makers]
    return found[-1] if found else None


def _fingerprint(artifact: Artifact) -> tuple[str, str, str, str]:
    names = ("input_fingerprint", "span", "version", "split_names")
    values = [artifact.property(name, "") for name in names]
    return (str(values[0]), str(values[1]), str(values[2]), str(values[3]))


def _spans(one: Evaluated) -> list[str]:
    return sorted(str(artifact.property("span", "")) for artifact in one.examples)


def described_examples(one: Evaluated) -> str:
    """What it was evaluated on, such as `span 201412`; empty if not known."""
    spans = sorted({span for artifact in one.examples if (span := artifact.property("span")) is not None})
    return f"span{'s' * (len(spans) > 1)} {', '.join(map(str, spans))}" if spans else ""
