"""Reads Models and PushedModels: the SavedModel's folder, signatures, files and sizes."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadError
from mlmd_panel.files.allowed import Entry, Files
from mlmd_panel.payloads.model import saved_model
from mlmd_panel.payloads.model.saved_model import SavedModel
from mlmd_panel.store.records import Artifact

# Folders of a Model that are for something else than serving.
_EVALUATION = ("Format-TFMA", "eval_model_dir")
_SERVING = ("Format-Serving", "serving_model_dir")


@dataclasses.dataclass(frozen=True)
class ModelPayload:
    """A model.

    Attributes:
      folder: Below the URI, that holds the model for serving; "" for the URI itself, None when no SavedModel is there.
      saved_model: Its signatures, or None.
      size: Bytes of all files shown.
      files: The files.
      cut: There are more files.
      evaluation_folder: Folder of a second export for evaluation, or None.
      keras: It carries Keras's own metadata.
      pushed: Whether a PushedModel was pushed; None for others.
      destination: Where it was pushed to, or None.
      version: The version there, or None.
      problem: A sentence when the model's signatures cannot be shown, or empty.
    """

    kind: ClassVar[str] = "model"
    folder: str | None
    saved_model: SavedModel | None
    size: int
    files: tuple[Entry, ...]
    cut: bool
    evaluation_folder: str | None
    keras: bool
    pushed: bool | None
    destination: str | None
    version: str | None
    problem: str = ""


def read(artifact: Artifact, files: Files) -> ModelPayload:
    """Reads a model.

    Raises:
      PayloadError: Its folder is gone or cannot be read.
    """
    listing = files.list(artifact.uri)
    folders = [_folder(entry.name) for entry in listing if entry.name.rpartition("/")[2] == saved_model.FILE]
    serving = [folder for folder in folders if folder.split("/")[0] not in _EVALUATION]
    # The Trainer's layouts first, then the shallowest.
    serving.sort(key=lambda folder: (folder.split("/")[0] not in _SERVING, folder.count("/"), folder))
    evaluation = [folder for folder in folders if folder.split("/")[0] in _EVALUATION]
    found, problem = None, ""
    if serving:
        try:
            found = saved_model.read(files, artifact.uri, serving[0])
        except PayloadError as error:
            problem = str(error)
    elif listing:
        problem = f"The artifact has no {saved_model.FILE}, so its signatures are unknown."
    else:
        problem = "The artifact's folder is empty."
    pushed = artifact.property("pushed")
    return ModelPayload(
        folder=serving[0] if serving else None,
        saved_model=found,
        size=sum(entry.size for entry in listing),
        files=tuple(listing),
        cut=listing.cut,
        evaluation_folder=evaluation[0] if evaluation else None,
        keras=any(
            e.name.rpartition("/")[2] in ("keras_metadata.pb", "config.json") or e.name.endswith(".keras")
            for e in listing
        ),
        pushed=bool(pushed) if isinstance(pushed, (bool, int, float)) else None,
        destination=_text(artifact.property("pushed_destination")),
        version=_text(artifact.property("pushed_version")),
        problem=problem,
    )


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
