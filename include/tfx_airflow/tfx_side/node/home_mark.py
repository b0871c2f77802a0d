"""Where tasks run on several machines: that all nodes of a DAG have one `home`.

The DAG processor marks that folder, and the store keeps the mark that the first node of the DAG found. A machine whose
folder is another one, with a mark by a DAG processor of its own, would write artifacts that the others do not find, and a
Resolver would pass over those of the others.
"""

from __future__ import annotations

from typing import Any

from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.contract import identity
from include.tfx_airflow.contract.errors import SettingsError
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.mlmd import mlmd_store

_TYPE, _PROPERTY = "tfx_airflow_home", "mark"


def check(store: Any, request: NodeRequest) -> None:
    """Compares the mark of this machine's `home` with that of the DAG's first node.

    Args:
      store: Open store, in which nothing else registers types meanwhile.
      request: Its `home_mark` is "" where there is nothing to compare.

    Raises:
      SettingsError: They differ.
    """
    if not request.home_mark:
        return
    known = mlmd_store.retried(lambda: _known(store, request) or _remember(store, request))
    if known != request.home_mark:
        raise SettingsError(
            f"[tfx_airflow] home = {request.roots['TFX_AIRFLOW_HOME']!r} on this machine is not the folder in which other nodes "
            f"of DAG {request.task['dag_id']!r} keep their artifacts: its file 'dag-processor' says {request.home_mark!r}, "
            f"theirs {known!r}; mount one shared folder at that path on all machines. If theirs is given up for good, write "
            f"{known!r} into that file."
        )


def _name(request: NodeRequest) -> str:
    return identity.bounded(request.task["dag_id"])


def _known(store: Any, request: NodeRequest) -> str:
    try:
        found = store.get_context_by_type_and_name(_TYPE, _name(request))
    except errors.NotFoundError:
        return ""
    return found.properties[_PROPERTY].string_value if found else ""


def _remember(store: Any, request: NodeRequest) -> str:
    kind = metadata_store_pb2.ContextType(name=_TYPE, properties={_PROPERTY: metadata_store_pb2.STRING})
    made = metadata_store_pb2.Context(type_id=store.put_context_type(kind), name=_name(request))
    made.properties[_PROPERTY].string_value = request.home_mark
    store.put_contexts([made])
    return request.home_mark
