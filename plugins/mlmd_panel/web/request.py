"""What a view knows of its request, and the types of path and query parameters."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request

from mlmd_panel.evaluation.changes.code_lines import NoRepository
from mlmd_panel.files.allowed import Files
from mlmd_panel.files.repository import Repository
from mlmd_panel.store.reconnecting import FreshStore
from mlmd_panel.store.store import Store
from mlmd_panel.web.links import Links, NoLinks, Urls

_MAX = 2**63 - 1  # MLMD's ids and times are 64 bit integers

Id = Annotated[int, Path(ge=1, le=_MAX, description="Id in ML Metadata")]
OptionalId = Annotated[int | None, Query(ge=1, le=_MAX)]
Cursor = Annotated[int | None, Query(ge=1, le=_MAX, description="Only rows older than the one with this id")]
Limit = Annotated[int, Query(ge=1, le=200, description="Rows per page")]
Time = Annotated[int | None, Query(ge=0, le=_MAX, description="Milliseconds since 1970, UTC")]
MapIndex = Annotated[
    int | None, Query(ge=-1, lt=2**31, description="Airflow's map index; -1 for a task that is not mapped")
]
Text = Annotated[str | None, Query(max_length=500)]


@dataclasses.dataclass(frozen=True)
class Panel:
    """The panel's store, files, links, title and repository.

    Attributes:
      store: The MLMD store.
      files: Reads the artifacts' files.
      links: Addresses of Airflow's pages.
      title: Name at the top of each page.
      repository: Where the lines of code are; None to show none.
    """

    store: Store | FreshStore
    files: Files
    links: Links = NoLinks()
    title: str = "ML Metadata"
    repository: Repository | None = None


@dataclasses.dataclass(frozen=True)
class Visit:
    """One request to the panel.

    Attributes:
      panel: The panel.
      dags: DAGs the user may read; None means all.
      urls: Makes links.
      cookies: The request's, by name.
      may_read_code: Tells whether the user may read the code of every DAG; asked only by pages with code.
    """

    panel: Panel
    dags: Any
    urls: Urls
    cookies: Mapping[str, str] = dataclasses.field(default_factory=dict)
    may_read_code: Callable[[], bool] = lambda: True

    @cached_property
    def store(self) -> Store:
        """The MLMD store, whose index of runs is brought up to date once for all that the request asks."""
        return self.panel.store.for_request()

    @cached_property
    def code(self) -> Repository | NoRepository | None:
        """Where the lines of code are, if the user may read them: modules are of no DAG alone."""
        if self.panel.repository is not None and (self.dags is not None or not self.may_read_code()):
            return NoRepository("lines are shown to those who may read the runs and the code of every DAG.")
        return self.panel.repository


def urls_of(request: Request) -> Urls:
    """Links of a request, below the path that the panel is mounted at."""
    root = request.scope.get("root_path", "").rstrip("/")
    path = request.scope["path"]
    return Urls(
        root, path[len(root) :] if path.startswith(root) else path, tuple(request.query_params.multi_items())
    )


async def visit(request: Request) -> Visit:
    """The request's Visit; a dependency of the route has put the DAGs there before."""
    state = request.app.state
    may_read_code = functools.partial(state.may_read_code, request)
    return Visit(state.panel, request.state.dags, urls_of(request), request.cookies, may_read_code)


Visiting = Annotated[Visit, Depends(visit)]
