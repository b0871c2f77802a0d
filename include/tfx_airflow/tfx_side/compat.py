"""What differs between the versions of TFX, Beam and ml_metadata that this bundle runs with; nothing else asks for one.

TFX 1.21.0 with Beam 2.77.0 and ml_metadata 1.21.0 on Python 3.11 to 3.13, where glibc is 2.39 or newer; TFX 1.16.0 with
Beam 2.62.0 and ml_metadata 1.16.0 on Python 3.10 elsewhere. Changes of libraries (`patches/`) go by what they find there.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import importlib.util
from typing import Any

# Of TFX's resolver functions (`tfx/dsl/input_resolution/ops`), those that ask ml_metadata for states by a filter query.
_BY_STATES = frozenset(
    {"tfx.GraphTraversal", "tfx.LatestPipelineRunOutputs", "tfx.LatestPolicyModel", "tfx.Siblings"}
)


def operators_without_support() -> frozenset[str]:
    """Operators of resolver functions that would choose wrong artifacts, or none, without saying so.

    ml_metadata 1.21 has no filter queries any more. What TFX 1.21 has in their place (`_evaluate_filter_query` in
    `tfx/orchestration/portable/input_resolution/mlmd_resolver/metadata_resolver.py`) knows no states.
    """
    return _BY_STATES if _version("ml-metadata") >= (1, 21) else frozenset()


def slices_by_sql() -> bool:
    """Whether TFMA can make slices that are written in SQL.

    tfx_bsl 1.21 has no module for it any more. TFX 1.21 puts a mock in its place (`tfx/components/__init__.py`), with which
    TFMA finds no such slice and says nothing.
    """
    import tfx_bsl.arrow

    name = "tfx_bsl.arrow.sql_util"
    return importlib.machinery.PathFinder.find_spec(name, tfx_bsl.arrow.__path__) is not None


def keep_beam_in_this_process() -> None:
    """Has Beam's DirectRunner run pipelines in this process, or in workers that it starts itself.

    Since 2.68 it prefers Prism, a program that Beam downloads when it first needs it, for all that is not interactive
    (`SwitchingDirectRunner` in `apache_beam/runners/direct/direct_runner.py`).
    """
    if importlib.util.find_spec("apache_beam") is None:
        return  # there is nothing that would run one
    from apache_beam.runners.direct import direct_runner

    direct_runner.SwitchingDirectRunner._is_interactive = True


def is_repeated(field: Any) -> bool:
    """Whether a field of a message is a list; protobuf 3.20 says it by a label, of which protobuf 6 warns."""
    found = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if found is None else found)


def _version(package: str) -> tuple[int, ...]:
    major, minor, *_ = importlib.metadata.version(package).split(".")
    return int(major), int(minor)
