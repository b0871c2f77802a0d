"""Compares the code of the nodes: by the fingerprint that the store has of it, else by the name of its wheel.

Which lines changed is not in the store; `code_lines.py` asks git.
"""

from __future__ import annotations

import dataclasses
import re

from mlmd_panel.evaluation.changes import code_files, wording
from mlmd_panel.evaluation.changes.changed import Changed, Findings, of_execution
from mlmd_panel.evaluation.changes.code_files import FileChange
from mlmd_panel.evaluation.changes.sides import TRAINER, TRANSFORM, Side, component, property_of
from mlmd_panel.store.records import Execution

# The orchestrator's key over the source of a node's modules and all that they import of the user's files.
FINGERPRINT = "code_fingerprint"
# TFX packages user modules as wheels whose version is a hash of the sources.
_WHEEL = re.compile(r"\+([0-9a-f]{16,})-")
# The commit that it is from, with `+changes` behind it if a file was not as committed.
VERSION = "bundle_version"
MAX_VERSION = 200


@dataclasses.dataclass(frozen=True)
class CodeChange:
    """Other code.

    Attributes:
      node: Whose.
      component: Its type in short, such as Trainer.
      baseline_module: Name or file of the module; "" when the store does not say.
      candidate_module: The candidate's.
      baseline_hash: Fingerprint of the source.
      candidate_hash: The candidate's.
      baseline_version: Commit or other version of the bundle; "" when the store does not say. Behind a commit,
        `+changes` if a file was not as committed, `+unchecked` if that was not found out.
      candidate_version: The candidate's.
      files: Which files are not the same; None when the store does not say.
      cut: There are more files than the store lists.
      diff: Unified diff of these files, from one commit to the other; "" when it is not known.
      diff_cut: There is more of it.
      not_as_committed: Files that ran otherwise than the commits have them, so that the diff is not what changed.
    """

    node: str
    component: str
    baseline_module: str
    candidate_module: str
    baseline_hash: str
    candidate_hash: str
    baseline_version: str = ""
    candidate_version: str = ""
    files: tuple[FileChange, ...] | None = None
    cut: bool = False
    diff: str = ""
    diff_cut: bool = False
    not_as_committed: tuple[str, ...] = ()


def compare(sides: tuple[Side, Side]) -> Findings:
    """Compares the code of nodes that both runs have."""
    items: list[Changed] = []
    same: list[str] = []
    unknown: list[str] = []
    for node in dict.fromkeys([*sides[0].nodes, *sides[1].nodes]):
        one, two = sides[0].nodes.get(node), sides[1].nodes.get(node)
        if one is None or two is None:
            continue
        hashes, modules = [_hash(e) for e in (one, two)], [_module(e) for e in (one, two)]
        if hashes[0] and hashes[0] == hashes[1]:
            same.append(node)
        elif all(hashes):
            items.append(_changed(node, (one, two), modules, hashes))
        elif any(hashes) or any(modules) or component(one) in (TRAINER, TRANSFORM):
            where = wording.joined(
                [side.name for side, found in zip(sides, hashes, strict=True) if not found]
            )
            unknown.append(
                f"Code of {node}: the store has no hash of it for the {where}"
                f" (no property `{FINGERPRINT}`, and no wheel named by its content)."
            )
    unknown += _not_told(
        "files", code_files.FILES, [item.details for item in items if item.details.files is None]
    )
    unversioned = [
        d for d in (item.details for item in items) if not d.baseline_version or not d.candidate_version
    ]
    unknown += _not_told("lines", VERSION, unversioned)
    unknown += [
        f"Code of {item.details.node}: it has more files than the store lists."
        for item in items
        if item.details.cut
    ]
    told = (f"Code of {wording.joined(same)}",) if same else ()
    return Findings(tuple(items), told, tuple(unknown))


def between(node: str, before: Execution, now: Execution) -> Changed | None:
    """How the code of a node changed from one execution to another; None if it is the same, or not known of both."""
    hashes = [_hash(before), _hash(now)]
    if not all(hashes) or hashes[0] == hashes[1]:
        return None
    return _changed(node, (before, now), [_module(before), _module(now)], hashes)


def _not_told(what: str, name: str, found: list[CodeChange]) -> list[str]:
    """That the store does not tell which files or lines changed."""
    if not found:
        return []
    nodes = wording.joined([one.node for one in found])
    return [
        f"Which {what} of the code of {nodes} changed: the store does not say for both sides (property `{name}`)."
    ]


def _changed(node: str, two: tuple[Execution, Execution], modules: list[str], hashes: list[str]) -> Changed:
    lists = [code_files.read(execution) for execution in two]
    files = code_files.compare(lists[0], lists[1]) if lists[0] and lists[1] else None
    named = modules[1] if modules[0] == modules[1] else " → ".join(one or "no module" for one in modules)
    told = code_files.sentence(files) if files else f"{hashes[0]} → {hashes[1]}"
    return Changed(
        "code",
        f"Code of {node}{f' ({named})' if named else ''}: {told}",
        hashes[0],
        hashes[1],
        (of_execution(two[0]),),
        (of_execution(two[1]),),
        CodeChange(
            node=node,
            component=component(two[1]),
            baseline_module=modules[0],
            candidate_module=modules[1],
            baseline_hash=hashes[0],
            candidate_hash=hashes[1],
            baseline_version=_text(two[0], VERSION)[:MAX_VERSION],
            candidate_version=_text(two[1], VERSION)[:MAX_VERSION],
            files=files,
            cut=any(one is not None and one.left_out > 0 for one in lists),
        ),
    )


def _hash(execution: Execution) -> str:
    found = property_of(execution, FINGERPRINT)
    if isinstance(found, str) and found:
        return found
    wheel = _WHEEL.search(_text(execution, "module_path"))
    return wheel.group(1) if wheel else ""


def _module(execution: Execution) -> str:
    """`include.taxi.model`, or the name of the file; of a module in a wheel the module."""
    path = _text(execution, "module_path").partition("@")[0]
    return path or _text(execution, "module_file").rpartition("/")[2]


def _text(execution: Execution, name: str) -> str:
    value = property_of(execution, name)
    return value if isinstance(value, str) else ""
