"""Finds the splits of an artifact: folders `Split-<name>` below its URI, or `<name>` from old TFX."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from mlmd_panel.errors import PayloadError, PayloadUnknown
from mlmd_panel.files.allowed import Files
from mlmd_panel.store.records import Artifact

MAX_SPLITS = 50  # others can be requested by name
MAX_SHARDS = 256
_PREFIXES = ("Split-", "SplitPair-")  # pairs are DistributionValidator's
_SHARD = re.compile(r"-(?P<number>\d{5,})-of-(?P<of>\d{5,})(?=$|\.)")
_TEXT = (".pbtxt", ".textproto", ".txtpb", ".prototxt")
_BINARY = (".pb", ".binpb")
_RECORDS = (".tfrecord", ".tfrecords")
_NEVER = 100
Read = TypeVar("Read")


@dataclasses.dataclass(frozen=True)
class SplitFiles:
    """The files of a split that hold what is looked for: one, or all shards of one.

    Attributes:
      split: Its name; "" of files directly below the URI, as Transform's are, and of a URI that is the file.
      names: Below the URI, as `Files.list` gives them.
      missing: Number of missing shards, according to the names of the others.
    """

    split: str
    names: tuple[str, ...]
    missing: int


@dataclasses.dataclass(frozen=True)
class Found:
    """Files by split.

    Attributes:
      splits: In the order of the artifact's `split_names`; no more than MAX_SPLITS.
      count: Number of all splits that have files.
      problems: Sentences about files that are left out.
    """

    splits: tuple[SplitFiles, ...]
    count: int
    problems: tuple[str, ...]


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


def find(artifact: Artifact, files: Files, known: Sequence[str], kind: str, only: str = "") -> Found:
    """The file of each split, or its shards.

    What TFX writes is preferred; else the only one that is of a form which TFDV's library writes.

    Args:
      artifact: Whose.
      files: Where from.
      known: Names that TFX gives the file, the preferred one first.
      kind: What the files hold, for the error.
      only: Name of the split that is wanted; "" for all.

    Raises:
      PayloadGone: There is nothing at the URI.
      PayloadUnknown: There are files, and none that could be it.
      PayloadError: The files cannot be listed.
    """
    listing = files.list(artifact.uri, depth=2)
    if [entry.name for entry in listing] == [""]:
        return Found((SplitFiles("", ("",), 0),), 1, ())
    found, problems = _by_split([entry.name for entry in listing], known, kind)
    if not found:
        raise PayloadUnknown(" ".join(problems) or _sentence(known, kind, bool(listing), listing.cut))
    names = named(artifact)
    ordered = sorted(found, key=lambda split: (names.index(split) if split in names else len(names), split))
    kept = [split for split in ordered if not only or split == only][:MAX_SPLITS]
    for split in kept:
        if found[split].missing:
            missing = found[split].missing
            problems.append(
                f"{missing} shard{'s' * (missing > 1)} besides {found[split].names[0]}"
                f" {'are' if missing > 1 else 'is'} missing."
            )
    gone = [name for name in names if name not in found] if list(found) != [""] and not only else []
    if gone:
        problems.append(
            f"There are no {kind} for split{'s' * (len(gone) > 1)} {', '.join(gone[:10])}, which the artifact lists."
        )
    if only and not kept:
        problems.append(f"There is no split {only!r}.")
    return Found(tuple(found[split] for split in kept), len(ordered), tuple(problems))


def _by_split(
    paths: Sequence[str], known: Sequence[str], kind: str
) -> tuple[dict[str, SplitFiles], list[str]]:
    """The file of each split, or its shards; and sentences about folders where that cannot be said."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folder, _, base = path.rpartition("/")
        if not base.startswith((".", "_")):
            folders.setdefault(folder, []).append(path)
    found: dict[str, SplitFiles] = {}
    problems = []
    for folder in sorted(folders):
        groups = _groups(folders[folder])
        best = min((_rank(base, known) for base in groups), default=None)
        bases = [base for base in groups if _rank(base, known) == best]
        split = split_of(folder)
        if best is None or best == _NEVER or (split in found and not folder.startswith(_PREFIXES)):
            continue
        if len(bases) > 1:
            problems.append(
                f"{folder or 'The folder'} has several files that could be the {kind}: {', '.join(bases[:5])}."
            )
            continue
        names, missing = groups[bases[0]]
        if len(names) > MAX_SHARDS:
            problems.append(f"{names[0]} has {len(names)} shards; the panel reads up to {MAX_SHARDS}.")
            continue
        found[split] = SplitFiles(split, names, missing)
    return found, problems


def each(
    found: Sequence[SplitFiles], read: Callable[[SplitFiles], Read], problems: list[str]
) -> tuple[Read, ...]:
    """Reads each split; one that cannot be read becomes a sentence in `problems`.

    Raises:
      PayloadError: None can be read.
    """
    made, errors = [], []
    for one in found:
        try:
            made.append(read(one))
        except PayloadError as error:
            errors.append(error)
    if errors and not made:
        raise errors[0]
    problems += map(str, errors)
    return tuple(made)


def _rank(base: str, known: Sequence[str]) -> int:
    """What is taken first: the names known, then files named alike, then others; serialized before records and text."""
    if base in known:
        return known.index(base)
    stem, _, ending = base.removesuffix(".gz").partition(".")
    alike = stem in [name.partition(".")[0] for name in known]
    forms = (
        f".{ending}".endswith(_BINARY),
        f".{ending}".endswith(_RECORDS) or (not ending and (alike or stem.endswith("tfrecord"))),
        f".{ending}".endswith(_TEXT),
    )
    return len(known) + forms.index(True) + (0 if alike else len(forms)) if any(forms) else _NEVER


def _groups(names: list[str]) -> dict[str, tuple[tuple[str, ...], int]]:
    """Files with their shards, and the number of missing ones, by the name without the shard's number."""
    shards: dict[str, list[tuple[str, int]]] = {}
    for name in sorted(names):
        base = name.rpartition("/")[2]
        match = _SHARD.search(base)
        whole = base[: match.start()] + base[match.end() :] if match else base
        shards.setdefault(whole, []).append((name, int(match["of"][:9]) if match else 1))
    made = {}
    for whole, found in shards.items():
        of = max(count for _, count in found)
        made[whole] = (tuple(name for name, _ in found), max(0, of - len(found)))
    return made


def _sentence(known: Sequence[str], kind: str, files: bool, cut: bool) -> str:
    if not files:
        return "The artifact's folder is empty."
    if cut:
        return f"None of the files that the panel listed is {' or '.join(known)}, or is known to hold {kind}."
    return f"The artifact has no {' or '.join(known)}, and no other file known to hold {kind}."
