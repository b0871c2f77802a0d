"""Reads HyperParameters and TunerResults: the tuner's best values, and its trials."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadError, PayloadUnknown
from mlmd_panel.files import json_documents
from mlmd_panel.files.allowed import Files
from mlmd_panel.store.records import Artifact

FILE = "best_hyperparameters.txt"
RESULTS = "tuner_results.json"
MAX_BYTES = 4 << 20
MAX_PARAMETERS = 500
MAX_TRIALS = 1000
# Of the search space, in the order in which they are shown.
_SPACE = ("values", "min_value", "max_value", "step", "sampling", "value", "default")


@dataclasses.dataclass(frozen=True)
class HyperParameter:
    """A hyperparameter.

    Attributes:
      name: Its name.
      value: What was chosen; None when it was not active.
      kind: KerasTuner's kind, such as Float, Int, Choice, Boolean, Fixed; empty if the search space does not tell.
      space: What could have been chosen, such as {"min_value": 0, "max_value": 1}.
    """

    name: str
    value: Any
    kind: str
    space: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class HyperParametersPayload:
    """The best hyperparameters.

    Attributes:
      parameters: In the order of the search space, then others by name.
      cut: There are more.
    """

    kind: ClassVar[str] = "hyperparameters"
    parameters: tuple[HyperParameter, ...]
    cut: bool = False

    def values(self) -> dict[str, Any]:
        """Value by name."""
        return {one.name: one.value for one in self.parameters}


@dataclasses.dataclass(frozen=True)
class Trial:
    """A trial of the tuner.

    Attributes:
      id: Its id.
      score: By the tuner's objective; None when it had none.
      values: Hyperparameters by name.
    """

    id: str
    score: float | None
    values: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class TunerResultsPayload:
    """Trials, best first as the tuner wrote them.

    Attributes:
      trials: The trials.
      names: Names of hyperparameters, in order.
      cut: There are more trials.
    """

    kind: ClassVar[str] = "tuner_results"
    trials: tuple[Trial, ...]
    names: tuple[str, ...]
    cut: bool = False


def read(artifact: Artifact, files: Files) -> HyperParametersPayload:
    """Reads best_hyperparameters.txt: KerasTuner's configuration, or a plain object of values.

    Raises:
      PayloadError: Gone, broken or too large.
    """
    name = _only(files, artifact.uri, FILE, (".txt", ".json"))
    found = json_documents.read(files, artifact.uri, name, MAX_BYTES)
    if not isinstance(found, dict):
        raise PayloadError(f"{name} is not a valid KerasTuner configuration.")
    values, space = found.get("values"), found.get("space")
    if not isinstance(values, dict):
        values, space = found, []
    if not isinstance(space, list):
        space = []
    parameters: dict[str, HyperParameter] = {}
    for item in space:
        settings = item.get("config") if isinstance(item, dict) else None
        if not isinstance(settings, dict) or not isinstance(settings.get("name"), str):
            continue
        own = settings["name"]
        # A name may occur again under another condition; its value is one.
        if own not in parameters:
            kind = item.get("class_name")
            limits = {key: _plain(settings[key]) for key in _SPACE if settings.get(key) is not None}
            parameters[own] = HyperParameter(
                own, _plain(values.get(own)), kind if isinstance(kind, str) else "", limits
            )
    for own in sorted(values):
        parameters.setdefault(own, HyperParameter(own, _plain(values[own]), "", {}))
    kept = list(parameters.values())
    return HyperParametersPayload(tuple(kept[:MAX_PARAMETERS]), len(kept) > MAX_PARAMETERS)


def read_results(artifact: Artifact, files: Files) -> TunerResultsPayload:
    """Reads tuner_results.json.

    Raises:
      PayloadError: Gone, broken or too large.
    """
    name = _only(files, artifact.uri, RESULTS, (".json",))
    found = json_documents.read(files, artifact.uri, name, MAX_BYTES)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise PayloadError(f"{name} is not a list of trials.")
    trials = []
    names: dict[str, None] = {}
    for row in found[:MAX_TRIALS]:
        values = {key: _plain(value) for key, value in row.items() if key not in ("trial_id", "score")}
        values = dict(list(values.items())[:MAX_PARAMETERS])
        names.update(dict.fromkeys(values))
        score = row.get("score")
        number = isinstance(score, (int, float)) and not isinstance(score, bool)
        trials.append(Trial(str(row.get("trial_id", ""))[:200], score if number else None, values))
    return TunerResultsPayload(tuple(trials), tuple(list(names)[:MAX_PARAMETERS]), len(found) > MAX_TRIALS)


def _only(files: Files, uri: str, usual: str, endings: tuple[str, ...]) -> str:
    """The usual file, else the only one with such an ending, as custom tuners choose their own names."""
    names = [entry.name for entry in files.list(uri, depth=1)]
    if usual in names or names == [""]:  # the URI itself is the file
        return usual if names != [""] else ""
    alike = [name for name in names if name.endswith(endings)]
    if len(alike) == 1:
        return alike[0]
    raise PayloadUnknown(f"The artifact has no {usual}, and no single other file that could be it.")


def _plain(value: Any) -> Any:
    """A value that is short enough to be shown."""
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if isinstance(value, str):
        return value[:1000]
    if (
        isinstance(value, list)
        and len(value) <= 200
        and all(isinstance(v, (str, bool, int, float)) for v in value)
    ):
        return [_plain(one) for one in value]
    return json.dumps(value)[:1000]
