"""Read-only queries of an ML Metadata store, bounded in time and limited to what the user may see."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Optional

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from mlmd_panel.errors import NotFound
from mlmd_panel.store import (
    artifact_events,
    context_rows,
    database_errors,
    listing,
    run_rows,
    statistics_of_examples,
    visibility,
)
from mlmd_panel.store.context_rows import Context, ContextDetail
from mlmd_panel.store.filters import ArtifactFilter, ContextFilter, ExecutionFilter, RunFilter
from mlmd_panel.store.index_reader import IndexReader
from mlmd_panel.store.lineage import Walk
from mlmd_panel.store.records import (
    Artifact,
    ArtifactEvents,
    Event,
    Execution,
    Lineage,
    Page,
    Pipeline,
    Run,
    RunDetail,
)
from mlmd_panel.store.rows import Rows
from mlmd_panel.store.run_index import RunIndex
from mlmd_panel.store.run_rows import run_state
from mlmd_panel.store.tables import ARTIFACT_KIND, CONTEXT_KIND, EXECUTION_KIND, tables
from mlmd_panel.store.text_encoding import Letters

__all__ = ["Dags", "Store", "run_state"]

# DAG ids that the user may read; None for everything in the store, even what belongs to no run.
Dags = Optional[frozenset[str]]  # noqa: UP045 - evaluated at import, on Python 3.10 too


class Store:
    """A store of ML Metadata, schema version 10, on SQLite, MySQL, MariaDB or PostgreSQL.

    Creating one opens nothing; threads may share it. Every method raises StoreError if the store cannot be read. The
    first call reads which runs there are and which executions they have, later calls only what is new.
    """

    def __init__(self, engine: Engine, seconds: float = listing.SECONDS, recent: int = 0):
        """Args:
        engine: From `mlmd_panel.store.engine.make_engine(url)`.
        seconds: How long a filtered list is searched before the page shows how far it got.
        recent: How many of the newest rows of Association are read, see `IndexReader`; 0 for all.
        """
        self._engine = engine
        self._seconds = seconds
        self._tables = tables(engine.dialect.name)
        self._letters = Letters(engine.dialect.name)
        self._reader = IndexReader(self._tables, self._letters, recent)
        self._keeps = False
        self._index: RunIndex | None = None
        self._held: Rows | None = None

    def for_request(self) -> Store:
        """The same store for the calls of one request, which all see the runs that existed at the first call."""
        mine = copy.copy(self)
        mine._keeps, mine._index = True, None
        return mine

    @contextmanager
    def connected(self) -> Iterator[Store]:
        """The same store over one connection, for calls of one thread that follow each other.

        A server is asked several things for each new connection, and what types there are is read once. Read no files
        meanwhile: there are few connections.
        """
        with self._rows() as rows:
            mine = copy.copy(self)
            mine._held = rows
            yield mine

    @contextmanager
    def _rows(self) -> Iterator[Rows]:
        missing = database_errors.file_missing(self._engine)
        if missing:
            raise missing
        try:
            if self._held is not None:
                yield self._held
                return
            with self._engine.connect() as connection:
                yield Rows(connection, self._runs(connection), self._tables, self._letters)
        except SQLAlchemyError as error:
            raise database_errors.to_store_error(self._engine, error) from None

    def _runs(self, connection: sa.engine.Connection) -> RunIndex:
        if self._index is not None:
            return self._index
        database_errors.check_version(connection, self._tables)
        index = self._reader.current(connection)
        if self._keeps:
            self._index = index
        return index

    def check(self) -> None:
        """Checks that the store can be read.

        Raises:
          StoreError: It cannot be read.
        """
        with self._rows():
            pass

    def pipelines(self, dags: Dags) -> tuple[Pipeline, ...]:
        """Pipelines with a run that the user may see, by name; all pipelines for users who may see everything."""
        with self._rows() as rows:
            index = rows.index
            ids = {name: id_ for id_, name in sorted(index.pipelines.items(), reverse=True)}
            found = index.summary(dags)
            names = set(found) | (set(ids) if dags is None else set())
            return tuple(
                Pipeline(ids.get(name, 0), name, tuple(sorted(filter(None, of))), count, index.run(newest))
                for name in sorted(filter(None, names))
                for of, count, newest in [found.get(name, (set(), 0, 0))]
            )

    def runs(self, wanted: RunFilter, dags: Dags, limit: int = 25, after: int | None = None) -> Page[Run]:
        """A page of runs, the newest first."""
        with self._rows() as rows:
            return run_rows.page(rows, wanted, dags, limit, after, self._seconds)

    def run(self, id: int, dags: Dags) -> Run:
        """A run by the id of its context.

        Raises:
          NotFound: It does not exist, or the user may not see it.
        """
        with self._rows() as rows:
            run = rows.runs([id]).get(id)
            if run is None or not rows.index.is_run(id) or not rows.index.run_visible(id, dags):
                raise _not_found(f"run {id}", dags)
            return run

    def run_named(self, dag_id: str, run_id: str, dags: Dags) -> Run:
        """A run by its Airflow ids; the newest when there are two.

        Raises:
          NotFound: It does not exist, as before its first node starts, or the user may not see it.
        """
        with self._rows() as rows:
            run = rows.index.named(dag_id, run_id, dags)
        if run is None:
            raise NotFound(
                f"{_not_found(f'run {run_id!r} of DAG {dag_id!r}', dags)} "
                "A run appears when its first node starts."
            )
        return run

    def run_details(self, runs: Sequence[Run], properties: Collection[str] | None = ()) -> list[RunDetail]:
        """Details of some runs, in their order, with few queries.

        Args:
          properties: Names of the properties of artifacts and executions to read; None for all.
        """
        with self._rows() as rows:
            return run_rows.of(rows, runs, properties)

    def run_makers(
        self, runs: Sequence[Run], made: Collection[int], properties: Collection[str] | None = ()
    ) -> list[RunDetail]:
        """Of some runs, in their order, only the executions that made one of some artifacts or found it in the cache,
        without tasks, with their events and the artifacts of these.

        Args:
          made: Ids of the artifacts.
          properties: Names of the properties of artifacts and executions to read; None for all.
        """
        with self._rows() as rows:
            return run_rows.makers(rows, runs, made, properties)

    def run_outlines(
        self, runs: Sequence[Run], properties: Collection[str] = (), types: Collection[str] | None = None
    ) -> list[RunDetail]:
        """Some runs, in their order, as lists show them: only output events, and only tasks that distinguish
        executions of a node.

        Args:
          properties: Names of the properties of artifacts to read; executions have none.
          types: Names of the types of artifacts to read, with their events; None for all.
        """
        with self._rows() as rows:
            return run_rows.outlines(rows, runs, properties, types)

    def with_output(self, runs: Sequence[Run], type_name: str) -> list[Run]:
        """Those of some runs that have made an artifact of a type, in their order; faster than by their outlines."""
        with self._rows() as rows:
            found = run_rows.with_output(rows, [run.id for run in runs], type_name)
        return [run for run in runs if run.id in found]

    def execution(self, id: int, dags: Dags) -> Execution:
        """An execution with all its properties.

        Raises:
          NotFound: It does not exist, or the user may not see it.
        """
        with self._rows() as rows:
            _see_execution(rows, id, dags)
            return rows.executions([id], None)[id]

    def executions(
        self, wanted: ExecutionFilter, dags: Dags, limit: int = 25, after: int | None = None
    ) -> Page[Execution]:
        """A page of executions, the newest first, without properties."""
        with self._rows() as rows:
            return listing.executions(rows, wanted, dags, limit, after, self._seconds)

    def artifact(self, id: int, dags: Dags) -> Artifact:
        """An artifact with all its properties.

        Raises:
          NotFound: It does not exist, or the user may not see it.
        """
        with self._rows() as rows:
            _see_artifact(rows, id, dags)
            return rows.artifacts([id], None)[id]

    def artifacts(
        self, wanted: ArtifactFilter, dags: Dags, limit: int = 25, after: int | None = None
    ) -> Page[Artifact]:
        """A page of artifacts, the newest first, without properties."""
        with self._rows() as rows:
            return listing.artifacts(rows, wanted, dags, limit, after, self._seconds)

    def context(self, id: int, dags: Dags) -> ContextDetail:
        """A context of any type with all its properties, its parents and its children.

        Raises:
          NotFound: It does not exist, or the user may not see it.
        """
        with self._rows() as rows:
            seen = _is_id(id) and context_rows.is_visible(rows, id, dags)
            found = context_rows.detail(rows, id, dags) if seen else None
            if found is None:
                raise _not_found(f"context {id}", dags)
            return found

    def contexts(
        self, wanted: ContextFilter, dags: Dags, limit: int = 25, after: int | None = None
    ) -> Page[Context]:
        """A page of contexts of any type, the newest first, without properties.

        Users who may not see everything see only runs.
        """
        with self._rows() as rows:
            return listing.contexts(rows, wanted, dags, limit, after, self._seconds)

    def artifact_properties(
        self, ids: Collection[int], names: Collection[str] | None = None
    ) -> dict[int, Artifact]:
        """Artifacts with properties, without a check whether the user may see them.

        Args:
          names: Names of the properties to read; None for all.
        """
        with self._rows() as rows:
            return rows.artifacts(ids, names)

    def events_of_artifact(self, id: int, dags: Dags, limit: int = 200) -> ArtifactEvents:
        """Executions that produced an artifact, used it, or took it from the cache (CACHED, with it as OUTPUT).

        Returns:
          Events with their executions, the oldest execution first; if there are many, the first with it as output and
          the newest. What the user may not see is left out. Only the first executions with it as output have tasks.

        Raises:
          NotFound: The artifact does not exist, or the user may not see it.
        """
        with self._rows() as rows:
            _see_artifact(rows, id, dags)
            return artifact_events.of_artifact(rows, id, dags, limit)

    def events_of_execution(
        self, id: int, dags: Dags, limit: int = 1000
    ) -> tuple[list[tuple[Event, Artifact]], bool]:
        """Events of an execution with their artifacts, without properties, and whether there are more.

        Raises:
          NotFound: The execution does not exist, or the user may not see it.
        """
        with self._rows() as rows:
            _see_execution(rows, id, dags)
            events = rows.events_of_executions([id], limit + 1)
            artifacts = rows.artifacts({e.artifact_id for e in events})
            shown = [(e, artifacts[e.artifact_id]) for e in events[:limit] if e.artifact_id in artifacts]
            return shown, len(events) > limit

    def lineage(self, artifact_id: int, dags: Dags, up: int = 6, down: int = 6, limit: int = 300) -> Lineage:
        """The graph around an artifact.

        Args:
          up: Generations of what it was made from.
          down: Generations of what was made from it.
          limit: Maximum number of artifacts and executions together.

        Returns:
          The graph.

        Raises:
          NotFound: The artifact does not exist, or the user may not see it.
        """
        with self._rows() as rows:
            _see_artifact(rows, artifact_id, dags)
            return Walk(rows, dags, limit).around(artifact_id, up, down)

    def statistics_of(self, examples: Collection[int], dags: Dags) -> dict[int, tuple[Artifact, ...]]:
        """ExampleStatistics that were computed of each of some Examples alone, with all their properties.

        Only of those among the first executions that read the Examples; what the user may not see is left out.
        """
        with self._rows() as rows:
            return statistics_of_examples.of(rows, examples, dags)

    def run_types(self, dags: Dags) -> list[str]:
        """Types of the contexts that are runs, of those that the user may see."""
        if self._index is not None:
            return sorted(self._index.types(dags))
        with self._rows() as rows:
            return sorted(rows.index.types(dags))

    def types(self, dags: Dags) -> dict[str, list[str] | None]:
        """Types of what the user may see, by `artifact`, `execution` and `context`.

        Of artifacts and executions None for users who may not see everything: that none of a type is theirs would only
        show when all of that type were looked at.
        """
        with self._rows() as rows:
            if dags is not None:
                return {"artifact": None, "execution": None, "context": sorted(rows.index.types(dags))}
            return {
                "artifact": rows.used_types(rows.tables.artifact, ARTIFACT_KIND),
                "execution": rows.used_types(rows.tables.execution, EXECUTION_KIND),
                "context": rows.used_types(rows.tables.context, CONTEXT_KIND),
            }


def _see_artifact(rows: Rows, id_: int, dags: Dags) -> None:
    if not (
        _is_id(id_)
        and id_ in visibility.visible_artifacts(rows, [id_], dags)
        and id_ in rows.artifacts([id_])
    ):
        raise _not_found(f"artifact {id_}", dags)


def _see_execution(rows: Rows, id_: int, dags: Dags) -> None:
    if not (_is_id(id_) and rows.index.visible(id_, dags) and id_ in rows.states([id_])):
        raise _not_found(f"execution {id_}", dags)


def _not_found(what: str, dags: Dags) -> NotFound:
    """The error for an object that does not exist or is hidden; nothing is hidden from users who see everything."""
    return NotFound(f"There is no {what} in the store{'' if dags is None else ', or you may not see it'}.")


def _is_id(id_: int) -> bool:
    """Whether databases accept it as an id."""
    return 0 < id_ < 2**31
