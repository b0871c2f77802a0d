"""The artifacts that an input's channels offer, asked of the database by the contexts that they name.

TFX's own resolution (`tfx/orchestration/portable/input_resolution/channel_resolver.py`) loads every execution of each
of these contexts, so it takes longer with every run that the store has seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from typing import Any

from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.orchestration.portable.mlmd import event_lib, execution_lib
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import artifact_utils

from include.tfx_airflow.contract import mlmd_facts
from include.tfx_airflow.tfx_side.mlmd.reader import Reader, among

_Artifact, _Event = metadata_store_pb2.Artifact, metadata_store_pb2.Event
_OUTPUTS = f"({_Event.OUTPUT}, {_Event.INTERNAL_OUTPUT}, {_Event.DECLARED_OUTPUT})"


class Candidates:
    """The live artifacts of one input's channels, of which a Resolver's strategy takes some."""

    def __init__(
        self,
        store: Any,
        reader: Callable[[], Reader],
        channels: Iterable[pipeline_pb2.InputSpec.Channel],
        left_out: Collection[int] = (),
    ):
        """Asks nothing yet.

        Args:
          store: Open `MetadataStore`.
          reader: Gives a connection to the same store.
          channels: Those of the input.
          left_out: Ids of artifacts that are not offered: their files are gone.
        """
        self._store, self._reader, self._left_out = store, reader, left_out
        self._channels = list(channels)

    @functools.cached_property
    def ids(self) -> frozenset[int]:
        """Ids of all of them."""
        return frozenset(artifact for made in self._made for artifact in made)

    @property
    def type_names(self) -> frozenset[str]:
        """Artifact types of the channels."""
        return frozenset(channel.artifact_query.type.name for channel in self._channels)

    @property
    def of_this_run(self) -> bool:
        """Whether a channel offers what this run made; then another choice would be wrong."""
        return any(
            q.type.name == "pipeline_run" for channel in self._channels for q in channel.context_queries
        )

    def property(self, name: str, only: Collection[int] | None = None) -> dict[int, int | str]:
        """A custom property of those that have it.

        Args:
          name: Of the property, a whole number or text.
          only: Ids of those to ask for; None for all.
        """
        ids = self.ids if only is None else self.ids & frozenset(only)
        found: dict[int, int | str] = {}
        for condition in among("artifact_id", ids):
            rows = self._reader().rows(
                "select artifact_id, int_value, string_value from ArtifactProperty"
                f" where {condition} and name = %s and is_custom_property = true",
                (name,),
            )
            found.update({artifact: text if number is None else number for artifact, number, text in rows})
        return found

    def uris(self) -> dict[int, tuple[str, str]]:
        """Type name and URI of each."""
        found: dict[int, tuple[str, str]] = {}
        for condition in among("a.id", self.ids):
            rows = self._reader().rows(
                f"select a.id, t.name, a.uri from Artifact a join Type t on t.id = a.type_id where {condition}"
            )
            found.update({artifact: (kind, uri or "") for artifact, kind, uri in rows})
        return found

    def artifacts(self, only: Collection[int] | None = None) -> list[types.Artifact]:
        """Artifacts as TFX resolves the channels: by channel and execution, each once.

        Args:
          only: Ids of those to get; None for all.
        """
        result: dict[int, types.Artifact] = {}
        for channel, made in zip(self._channels, self._made, strict=True):
            wanted = {artifact: made[artifact] for artifact in made if only is None or artifact in only}
            if not wanted:
                continue
            ids = [
                event.artifact_id
                for event in self._store.get_events_by_execution_ids(sorted(set(wanted.values())))
                if event_lib.is_valid_output_event(event, channel.output_key) and event.artifact_id in wanted
            ]
            kind = self._store.get_artifact_type(channel.artifact_query.type.name)
            found = self._store.get_artifacts_by_id(list(dict.fromkeys(ids)))
            for artifact in artifact_utils.deserialize_artifacts(kind, found):
                result.setdefault(artifact.id, artifact)
        return list(result.values())

    @functools.cached_property
    def _made(self) -> list[dict[int, int]]:
        """Of each channel the artifacts, and the first execution that has it as an output."""
        found: list[dict[int, int]] = []
        for channel in self._channels:
            try:
                kind = self._store.get_artifact_type(channel.artifact_query.type.name)
            except errors.NotFoundError:
                found.append({})
                continue
            names = [(q.type.name, q.name.field_value.string_value) for q in channel.context_queries]
            tries = [name for type_name, name in names if type_name == mlmd_facts.TRIES_CONTEXT]
            if tries:
                made = self._of_latest_try(tries[0], channel.output_key, kind.id)
            else:
                made = self._in_all_contexts(names, channel.output_key, kind.id)
            found.append({artifact: made[artifact] for artifact in made if artifact not in self._left_out})
        return found

    def _of_latest_try(self, name: str, key: str, type_id: int) -> dict[int, int]:
        """What the latest try of a task instance made; by ml_metadata's own look-ups, which take no time.

        Nothing when that one failed: what a try before it made is of before the task was cleared.
        """
        context = self._store.get_context_by_type_and_name(mlmd_facts.TRIES_CONTEXT, name)
        tries = self._store.get_executions_by_context(context.id) if context else []
        latest = max(tries, key=lambda execution: execution.id, default=None)
        if latest is None or not execution_lib.is_execution_successful(latest):
            return {}
        ids = [
            event.artifact_id
            for event in self._store.get_events_by_execution_ids([latest.id])
            if event_lib.is_valid_output_event(event, key)
        ]
        found = self._store.get_artifacts_by_id(ids)
        return {a.id: latest.id for a in found if a.type_id == type_id and a.state == _Artifact.LIVE}

    def _in_all_contexts(self, names: list[tuple[str, str]], key: str, type_id: int) -> dict[int, int]:
        """What executions made that are in all of these contexts."""
        contexts = [self._store.get_context_by_type_and_name(*named) for named in names]
        if not contexts or not all(contexts):
            return {}
        first, *others = contexts
        joins = "".join(
            f" join Association a{n} on a{n}.execution_id = first.execution_id and a{n}.context_id = {other.id}"
            for n, other in enumerate(others)
        )
        has_key = " and exists (select 1 from EventPath p where p.event_id = e.id and p.step_key = %s)"
        return dict(
            self._reader().rows(
                f"select e.artifact_id, min(e.execution_id) from Association first{joins}"
                f" join Event e on e.execution_id = first.execution_id and e.type in {_OUTPUTS}"
                f" join Artifact a on a.id = e.artifact_id and a.type_id = {type_id} and a.state = {_Artifact.LIVE}"
                f" where first.context_id = {first.id}{has_key if key else ''} group by e.artifact_id",
                (key,) if key else (),
            )
        )
