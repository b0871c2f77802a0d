"""Makes links to the panel's pages, below the prefix where it is mounted; and the interface for Airflow's."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from mlmd_panel.store.records import Execution, Run, Task

STATIC = Path(__file__).parent / "static"


class Links(Protocol):
    """Links to Airflow's own pages; None where there is no such page."""

    def task(self, task: Task) -> str | None:
        """Page of a task instance, with its log."""

    def run(self, run: Run) -> str | None:
        """Page of a DAG run."""

    def dag(self, dag_id: str) -> str | None:
        """Page of a DAG."""


class NoLinks:
    """The panel runs without Airflow."""

    def task(self, task: Task) -> str | None:
        """None."""

    def run(self, run: Run) -> str | None:
        """None."""

    def dag(self, dag_id: str) -> str | None:
        """None."""


@dataclasses.dataclass(frozen=True)
class Urls:
    """Makes the panel's own links.

    Attributes:
      root: Path that the panel is mounted at, without a slash at its end; "" at the root of its host.
      path: Path of the current page, below root.
      query: Its query parameters.
    """

    root: str
    path: str
    query: tuple[tuple[str, str], ...]

    def to(self, *parts: Any, **query: Any) -> str:
        """Link to a page, such as `to("runs", 7, "nodes", "Trainer", metrics="auc")`."""
        path = "/".join(quote(str(part), safe="") for part in parts)
        return f"{self.root}/{path}{_query(query)}"

    def same(self, **changes: Any) -> str:
        """Link to this page with some query parameters changed; None removes one."""
        kept = [(key, value) for key, value in self.query if key not in changes]
        new = [(key, value) for key, value in changes.items() if value is not None]
        return f"{self.root}{quote(self.path)}{_query([*kept, *new])}"

    def twin(self, suffix: str) -> str:
        """Link to what this page shows as `json` or `csv`."""
        path = quote(self.path) if self.path != "/" else "/pipelines"
        return f"{self.root}{path}.{suffix}{_query(self.query)}"

    def static(self, file: str) -> str:
        """Link to a static file; it changes with the file, so that browsers may cache it forever."""
        return f"{self.root}/static/{file}?v={version(file)}"


def node_url(urls: Urls, run: int, execution: Execution) -> str:
    """Link to the page of a node in a run, or of the execution's instance if there may be several."""
    task = execution.task if execution.is_one_of_several else None
    where = {"task_id": task.task_id, "map_index": task.map_index} if task else {}
    return urls.to("runs", run, "nodes", execution.node, **where)


@cache
def version(file: str) -> str:
    """A short hash of a static file's content; of plotly's, of its version."""
    path = static_file(file)
    if file == "plotly.min.js":
        from importlib.metadata import version as installed

        return installed("plotly")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path else ""


def static_file(file: str) -> Path | None:
    """Where a static file is; None when there is none of that name."""
    # Only known names are cached, as there may be any number of others.
    return _static_file(file) if file in _FILES else None


@cache
def _static_file(file: str) -> Path | None:
    if file == "plotly.min.js":
        # Only the file is wanted: importing plotly costs 100 ms and 20 MB.
        from importlib.util import find_spec

        spec = find_spec("plotly")
        folder = Path(spec.origin).parent / "package_data" if spec and spec.origin else STATIC
        return folder / file if (folder / file).is_file() else None
    return STATIC / file if (STATIC / file).is_file() else None


_FILES = ("panel.css", "panel.js", "charts.js", "plotly.min.js")


def _query(query: Mapping[str, Any] | list[tuple[str, Any]] | tuple[tuple[str, Any], ...]) -> str:
    pairs = query.items() if isinstance(query, Mapping) else query
    text = urlencode([(key, value) for key, value in pairs if value not in (None, "")], doseq=True)
    return f"?{text}" if text else ""
