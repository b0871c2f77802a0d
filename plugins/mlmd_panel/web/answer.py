"""What views return: the data for both the page and its JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
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
      csv: Makes the CSV, if it is more than the rows of a list.
      markdown: Makes the Markdown, of pages that have one.
      cookies: To set, by name; None removes one.
    """

    template: str
    title: str
    data: Mapping[str, Any]
    only_html: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    csv: Callable[[], str] | None = None
    markdown: Callable[[], str] | None = None
    cookies: Mapping[str, str | None] = dataclasses.field(default_factory=dict)


class ArtifactRow(TypedDict):
    """An artifact that an execution read or made."""

    event: Event
    artifact: Artifact


class ExecutionRow(TypedDict):
    """An execution that read or made an artifact."""

    event: Event
    execution: Execution
