"""Splits of an artifact: the folders `Split-<name>` below its URI, or `<name>` as old TFX wrote them."""

from __future__ import annotations

import json
from collections.abc import Collection

from mlmd_panel.errors import PayloadGone
from mlmd_panel.files import Files
from mlmd_panel.models import Artifact

MAX_SPLITS = 50
_PREFIXES = ("Split-", "SplitPair-")  # pairs are DistributionValidator's


def named(artifact: Artifact) -> tuple[str, ...]:
    """The splits that the artifact's property `split_names` names; none when it does not say."""
    value = artifact.property("split_names", "")
    try:
        names = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return ()
    if not isinstance(names, list):
        return ()
    return tuple(name for name in names[:MAX_SPLITS] if isinstance(name, str))


def split_of(folder: str) -> str:
    """Name of the split that a folder holds."""
    return next((folder[len(prefix) :] for prefix in _PREFIXES if folder.startswith(prefix)), folder)


def find(artifact: Artifact, files: Files, basenames: Collection[str]) -> tuple[list[tuple[str, str]], bool]:
    """The file of each split.

    Args:
      artifact: Whose.
      files: Where from.
      basenames: What the file may be called, the preferred name first.

    Returns:
      (split, file name below the URI), in the order of `split_names`; the split is "" of a file that lies directly
      below the URI, as Transform's do. And whether there are more than MAX_SPLITS.

    Raises:
      PayloadGone: No split has such a file.
      PayloadError: The files cannot be listed.
    """
    order = list(basenames)
    found: dict[str, str] = {}
    listing = files.list(artifact.uri, depth=2)
    for entry in listing:
        folder, _, base = entry.name.rpartition("/")
        split = split_of(folder)
        held = found.get(split, "").rpartition("/")[2]
        if base in order and (not held or order.index(base) < order.index(held)):
            found[split] = entry.name
    if not found:
        raise PayloadGone(f"None of the artifact's splits has a file {' or '.join(order)}.")
    names = named(artifact)
    ordered = sorted(found, key=lambda split: (names.index(split) if split in names else len(names), split))
    return [(split, found[split]) for split in ordered[:MAX_SPLITS]], len(ordered) > MAX_SPLITS
