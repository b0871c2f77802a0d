"""Says which claims about causes two runs cannot support, and which rerun would."""

from __future__ import annotations

import dataclasses
import json
import shlex

from mlmd_panel.evaluation.changes import wording
from mlmd_panel.evaluation.changes.changed import Changed, Changes
from mlmd_panel.evaluation.changes.code import CodeChange
from mlmd_panel.evaluation.changes.data import TRAIN, DataChange
from mlmd_panel.evaluation.changes.parameters import ParameterChange

_DATA, _CODE, _PARAMETERS = "the training data", "the code", "the parameters"
_NAMES = {
    "hyperparameters": "the hyperparameters",
    "starting_model": "the model that training started from",
    "schema": "the schema",
    "libraries": "the libraries",
}
# Chosen by resolvers from earlier runs, so that a rerun on other data may find others.
_RESOLVED = (_NAMES["hyperparameters"], _NAMES["starting_model"])
# What they do makes no other model.
_BESIDE_THE_MODEL = (
    "BulkInferrer", "DistributionValidator", "Evaluator", "ExampleValidator", "InfraValidator", "Pusher",
    "StatisticsGen",
)  # fmt: skip
_EVALUATION = "Evaluator"


@dataclasses.dataclass(frozen=True)
class Rerun:
    """A run that would tell causes apart.

    Attributes:
      what: What to run.
      tells: What it would tell.
      command: To type, or empty where the store does not tell enough to know it.
    """

    what: str
    tells: str
    command: str = ""


@dataclasses.dataclass(frozen=True)
class Causes:
    """What two runs can tell of causes.

    Attributes:
      of_model: What changed that may have made another model.
      of_measurement: What changed that may have made other metrics of the same model.
      sentences: Which claims the two runs support, and which they do not.
      reruns: What would tell apart what they do not.
    """

    of_model: tuple[str, ...]
    of_measurement: tuple[str, ...]
    sentences: tuple[str, ...]
    reruns: tuple[Rerun, ...]


def causes(changes: Changes) -> Causes:
    """Which claims about causes the two runs of `changes` support."""
    of_model = tuple(dict.fromkeys(filter(None, map(_of_model, changes.items))))
    of_measurement = tuple(dict.fromkeys(filter(None, map(_of_measurement, changes.items))))
    same_model = _same_model(changes)
    sentences = [_about_model(of_model, same_model)]
    sentences += _about_measurement(of_measurement, same_model, changes)
    if changes.unknown:
        sentences.append(
            f"{wording.counted(len(changes.unknown), 'thing')} could not be compared and may have changed as well."
        )
    reruns = [] if same_model else _of_causes(of_model, changes)
    if _are_mixed(of_measurement, same_model, changes):
        reruns.append(_of_measurement_rerun(changes))
    return Causes(of_model, of_measurement, tuple(sentences), tuple(reruns))


def _of_model(item: Changed) -> str:
    """What of a model's making an item is; "" if it makes no other model."""
    details = item.details
    if isinstance(details, DataChange):
        return _DATA if details.role == TRAIN else ""
    if isinstance(details, CodeChange):
        return "" if details.component in _BESIDE_THE_MODEL else _CODE
    if item.kind == "parameters" and isinstance(details, ParameterChange):
        return "" if details.component in _BESIDE_THE_MODEL else _PARAMETERS
    return _NAMES.get(item.kind, "")


def _of_measurement(item: Changed) -> str:
    details = item.details
    if isinstance(details, DataChange):
        return "" if details.role == TRAIN else "the evaluated data"
    if isinstance(details, (CodeChange, ParameterChange)) and details.component == _EVALUATION:
        return "the Evaluator's code" if isinstance(details, CodeChange) else "the Evaluator's configuration"
    return "the libraries" if item.kind == "libraries" else ""


def _same_model(changes: Changes) -> bool:
    judged = changes.baseline.evaluated_model
    return judged is not None and judged == changes.candidate.evaluated_model


def _judged_both(changes: Changes) -> bool:
    """The candidate's Evaluator judged the baseline's model, too, on its own data."""
    judged = changes.baseline.evaluated_model
    return judged is not None and judged == changes.candidate.baseline_model


def _about_model(of_model: tuple[str, ...], same_model: bool) -> str:
    if same_model:
        return "Both runs judged the same model: no change of a metric is the model's."
    if not of_model:
        return (
            "Nothing that the store tells of how the models were made changed: what is different about them is chance"
            " in training, or was not recorded."
        )
    if len(of_model) == 1:
        return (
            f"Of what the models were made from only {of_model[0]} changed, as far as the store tells: what is"
            " different about the models is due to that, or to chance in training."
        )
    return (
        f"{_capital(wording.joined(of_model))} changed at once: these two runs cannot tell which of them made the model"
        " better or worse."
    )


def _about_measurement(of_measurement: tuple[str, ...], same_model: bool, changes: Changes) -> list[str]:
    if same_model:
        if not of_measurement:
            return ["Nothing that the store tells of how it was evaluated changed either."]
        return [f"What changed is how it was evaluated: {wording.joined(of_measurement)}."]
    found = []
    others = [name for name in of_measurement if name != "the evaluated data"]
    if others:
        found.append(
            f"{_capital(wording.joined(others))} changed: the two runs need not measure the same, whatever the model."
        )
    if "the evaluated data" not in of_measurement:
        return found
    if _judged_both(changes):
        return [
            *found,
            "The evaluated data changed, too. The candidate's Evaluator judged the baseline's model on the same data as"
            " its own, so that the effect of the data on the metrics can be told from that of the model.",
        ]
    return [
        *found,
        "The evaluated data changed, too, and the baseline's model was not judged on the candidate's: a difference"
        " between the two runs' metrics cannot be told to be the model's.",
    ]


def _are_mixed(of_measurement: tuple[str, ...], same_model: bool, changes: Changes) -> bool:
    return "the evaluated data" in of_measurement and not same_model and not _judged_both(changes)


def _of_causes(of_model: tuple[str, ...], changes: Changes) -> list[Rerun]:
    """The one rerun that tells the training data from all else, or else the parameters from all else."""
    if len(of_model) < 2:
        return []
    if _DATA in of_model:
        return [_of_data(of_model, changes)]
    one = next((name for name in (_PARAMETERS, "the hyperparameters") if name in of_model), of_model[-1])
    others = wording.joined([name for name in of_model if name != one])
    return [
        Rerun(
            f"Run the candidate's DAG once more with {one} of the baseline, and all else as it is.",
            f"Compared with the baseline, it shows what {others} did; compared with the candidate, what {one} did.",
        )
    ]


def _of_data(of_model: tuple[str, ...], changes: Changes) -> Rerun:
    """Tells the training data from what is deployed with the bundle, or else from what resolvers chose."""
    resolved = wording.joined([name for name in of_model if name in _RESOLVED])
    deployed = wording.joined([name for name in of_model if name != _DATA and name not in _RESOLVED])
    if not deployed:
        return Rerun(
            f"Train on the candidate's data with {resolved} of the baseline, and all else as it is.",
            "Compared with the baseline, it shows what the training data did; compared with the candidate, what"
            f" {resolved} did.",
        )
    what, command = _on_baseline_data(changes)
    if _PARAMETERS in of_model:
        what += " Give the candidate's parameters again where they were given as Params."
    tells = f"Compared with the baseline, it shows what {deployed} did; compared with the candidate, what {_DATA} did."
    if resolved:
        tells += f" This holds if it finds {resolved} of the baseline, as {_DATA} cannot be told from that otherwise."
    return Rerun(what, tells, command)


def _on_baseline_data(changes: Changes) -> tuple[str, str]:
    """What to run for the candidate's code on the baseline's data, and the command if it is known."""
    baseline, candidate = changes.baseline, changes.candidate
    if candidate.dag_id and candidate.takes_span and baseline.takes_span and len(baseline.spans) == 1:
        conf = json.dumps({"span": baseline.spans[0]})
        return (
            f"Run the candidate's code and parameters on the baseline's data, those of span {baseline.spans[0]}, with the"
            f" bundle version of run {candidate.run_id} deployed.",
            f"airflow dags trigger {shlex.quote(candidate.dag_id)} --conf {shlex.quote(conf)}",
        )
    which = f" (spans {wording.some(list(map(str, baseline.spans)))})" if baseline.spans else ""
    return (
        f"Run the pipeline of the candidate's run {candidate.run_id} once more, with its code and parameters, on the"
        f" Examples of the baseline's run {baseline.run_id}{which}.",
        "",
    )


def _of_measurement_rerun(changes: Changes) -> Rerun:
    judged = changes.baseline.evaluated_model
    which = f"the baseline's model (Model #{judged})" if judged else "the baseline's model"
    return Rerun(
        f"Have an Evaluator judge {which} on the Examples that the candidate was evaluated on.",
        "The difference between the two models there is not due to the evaluated data.",
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
