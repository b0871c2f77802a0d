"""Has TFX resolve a node's inputs by asking the database for them, and pass over those whose files are gone."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from tfx import types
from tfx.orchestration import mlmd_connection_manager
from tfx.orchestration.portable import inputs_utils
from tfx.orchestration.portable.input_resolution import channel_resolver
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.tfx_side.mlmd.reader import Reader
from include.tfx_airflow.tfx_side.node import gone_files, needed
from include.tfx_airflow.tfx_side.node.candidates import Candidates

log = logging.getLogger(__name__)

_Channels = Sequence[pipeline_pb2.InputSpec.Channel]


@contextlib.contextmanager
def from_database(node: pipeline_pb2.PipelineNode, address: dict[str, Any]) -> Iterator[None]:
    """Replaces TFX's look-up of channels, for which it has no hook.

    The strategies of a Resolver choose among artifacts of earlier runs that still have their files. Only what they
    chose is checked, and all candidates of an input once its choice is gone: a store may hold thousands.

    Args:
      node: The node to resolve.
      address: Of the store, as in a `NodeRequest`.
    """
    original = inputs_utils.resolve_input_artifacts, channel_resolver.resolve_union_channels
    resolution = _Resolution(node, address)
    inputs_utils.resolve_input_artifacts = lambda **arguments: resolution.resolve(original[0], **arguments)
    channel_resolver.resolve_union_channels = resolution.artifacts
    try:
        yield
    finally:
        inputs_utils.resolve_input_artifacts, channel_resolver.resolve_union_channels = original


class _Resolution:
    """One node's; TFX asks for one input after another."""

    def __init__(self, node: pipeline_pb2.PipelineNode, address: dict[str, Any]):
        self._node, self._address = node, address
        self._connections = contextlib.ExitStack()
        self._reader: Reader | None = None
        self._gone: set[int] = set()
        self._candidates: dict[bytes, Candidates] = {}
        self._needed: dict[bytes, Collection[int]] | None = None

    def resolve(self, resolve: Callable[..., Any], **arguments: Any) -> Any:
        """As TFX's `resolve_input_artifacts`."""
        with contextlib.ExitStack() as self._connections:
            self._reader = None
            while True:
                self._candidates, self._needed = {}, None
                found = resolve(**arguments)
                chosen = [a for inputs in found for artifacts in inputs.values() for a in artifacts]
                more = self._gone_of(chosen) if self._node.inputs.input_graphs else {}
                if not more:
                    return found
                for id_, (kind, uri) in sorted(more.items()):
                    log.warning("Passed over: %s #%d, whose files are gone: %s", kind, id_, uri)
                self._gone.update(more)

    def artifacts(self, handle: Any, channels: _Channels) -> list[types.Artifact]:
        """As TFX's `resolve_union_channels`."""
        store = mlmd_connection_manager.get_handle(handle).store
        if self._needed is None:
            found = needed.of_node(self._node, store, lambda spec: self._offered(store, spec.channels))
            self._needed = {_key(self._node.inputs.inputs[name].channels): ids for name, ids in found.items()}
        return self._offered(store, channels).artifacts(self._needed.get(_key(channels)))

    def _offered(self, store: Any, channels: _Channels) -> Candidates:
        key = _key(channels)
        if key not in self._candidates:
            self._candidates[key] = Candidates(store, self._open_reader, channels, self._gone)
        return self._candidates[key]

    def _open_reader(self) -> Reader:
        # Not before it is needed: on a server it is a connection more, and an input of this run does without.
        if self._reader is None:
            self._reader = self._connections.enter_context(Reader(self._address))
        return self._reader

    def _gone_of(self, chosen: list[types.Artifact]) -> dict[int, tuple[str, str]]:
        """Type and URI of chosen artifacts of earlier runs whose files are gone, and then of all such candidates."""
        free = [offered for offered in self._candidates.values() if not offered.of_this_run]
        if not any(
            gone_files.is_gone(artifact.type_name, artifact.uri)
            for artifact in chosen
            if any(artifact.id in offered.ids for offered in free)
        ):
            return {}
        places = {id_: place for offered in free for id_, place in offered.uris().items()}
        return {id_: place for id_, place in places.items() if gone_files.is_gone(*place)}


def _key(channels: _Channels) -> bytes:
    return b"\0".join(channel.SerializeToString(deterministic=True) for channel in channels)
