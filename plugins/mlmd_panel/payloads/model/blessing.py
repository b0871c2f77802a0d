"""Reads ModelBlessings and InfraBlessings: whether a model may be pushed."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadError, PayloadGone
from mlmd_panel.files.allowed import Files
from mlmd_panel.store.records import Artifact

# Of the Evaluator and of the InfraValidator.
_YES = ("BLESSED", "INFRA_BLESSED")
_NO = ("NOT_BLESSED", "INFRA_NOT_BLESSED")


@dataclasses.dataclass(frozen=True)
class BlessingPayload:
    """A blessing.

    Attributes:
      blessed: By the file, which is what the Pusher of old looks for, else by the property; None when neither says.
      file: Name of the file that says it, or empty.
      by_property: What the property says, or None.
      current_model: URI of the model judged, or None.
      current_model_id: Artifact id of the model judged, or None.
      baseline_model: URI of the model that it was compared with, or None.
      baseline_model_id: Its artifact id, or None.
      message: What the Evaluator says about it, or None.
      warmed_up: An InfraBlessing holds a model with requests to warm it up.
      problem: A sentence when file and property differ, or empty.
    """

    kind: ClassVar[str] = "blessing"
    blessed: bool | None
    file: str
    by_property: bool | None
    current_model: str | None
    current_model_id: int | None
    baseline_model: str | None
    baseline_model_id: int | None
    message: str | None
    warmed_up: bool
    problem: str = ""


def read(artifact: Artifact, files: Files) -> BlessingPayload:
    """Reads a blessing.

    Raises:
      PayloadError: Neither the folder nor the properties say anything.
    """
    flag = artifact.property("blessed")
    by_property = bool(flag) if isinstance(flag, (bool, int, float)) else None
    names: list[str] = []
    problem = ""
    try:
        names = [entry.name for entry in files.list(artifact.uri, depth=1)]
    except PayloadGone:
        if by_property is None:
            raise
        problem = "The blessing's file is missing; this is from the artifact's property `blessed`."
    except PayloadError as error:
        if by_property is None:
            raise
        problem = str(error)
    said = [name for name in names if name in _YES + _NO]
    by_file = said[0] in _YES if len(said) == 1 else None
    if len(said) > 1:
        problem = f"The blessing's files contradict each other: {', '.join(said)}."
    elif by_file is not None and by_property is not None and by_file != by_property:
        problem = (
            f"The blessing's file is {said[0]}, but the artifact's property `blessed` is {int(by_property)}."
        )
    return BlessingPayload(
        blessed=by_file if by_file is not None else by_property,
        file=said[0] if len(said) == 1 else "",
        by_property=by_property,
        current_model=_text(artifact.property("current_model")),
        current_model_id=_id(artifact.property("current_model_id")),
        baseline_model=_text(artifact.property("baseline_model")),
        baseline_model_id=_id(artifact.property("baseline_model_id")),
        message=_text(artifact.property("blessing_message")),
        warmed_up=bool(artifact.property("has_model")),
        problem=problem,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _id(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
