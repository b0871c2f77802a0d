"""Artifacts that TFX's libraries wrote, with what those libraries read in them; made once for all tests."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

from mlmd_panel.files.allowed import Files
from mlmd_panel.store.records import Artifact, Property

from tests.panel.written import written


@dataclasses.dataclass(frozen=True)
class Data:
    """The artifacts `examples`, `sequences`, `statistics`, `schema` and `anomalies` below a folder, and answers."""

    folder: Path
    answers: dict[str, Any]

    @property
    def files(self) -> Files:
        """Reads below the folder."""
        return Files([str(self.folder)])

    def artifact(self, name: str, **properties: Any) -> Artifact:
        """One of them."""
        return artifact(f"{self.folder}/{name}", **properties)


def artifact(uri: str, **properties: Any) -> Artifact:
    """An artifact of no matter which type."""
    held = tuple(Property(name, value, type(value).__name__, False) for name, value in properties.items())
    return Artifact(1, "Type", "", uri, "LIVE", 0, 0, held)


@functools.cache
def official_data() -> Data:
    """What tests/panel/official_data.py wrote."""
    folder = written().folder / "data"
    return Data(folder, json.loads((folder / "answers.json").read_text()))
