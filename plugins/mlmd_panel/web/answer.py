"""What views return: the data for both the page and its JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypedDict

from mlmd_panel.store.records import Artifact, Event, Execution


@dataclasses.dataclass(frozen=True)
class Answer:
    """Data of one page.

    Attributes:
      template: Name of the Jinja template that shows it.
      title: Title of the page.
      data: Content of the JSON; each key is a variable of the template.
      only_html: Data for the template only, such as the layout of a picture.
    """

    template: str
    title: str
    data: Mapping[str, Any]
    only_html: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class ArtifactRow(TypedDict):
    """An artifact that an execution read or made."""

    event: Event
    artifact: Artifact


class ExecutionRow(TypedDict):
    """An execution that read or made an artifact."""

    event: Event
    execution: Execution
