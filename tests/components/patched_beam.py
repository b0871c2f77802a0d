"""Beam as it is in the process of a node, for tests in which it is only a tool: the same in a quarter less time."""

from __future__ import annotations

import contextlib

from include.tfx_airflow.tfx_side.patches.applied import PATCHES, applied

_OF_BEAM = tuple(patch for patch in PATCHES if patch.module.startswith(("apache_beam", "dill")))


def patched_beam() -> contextlib.AbstractContextManager[None]:
    """Applies the patches of Beam inside the block; TensorFlow and TFMA are as they are."""
    return applied(_OF_BEAM)
