"""Compares the exec properties of each node, and the hyperparameters of the Trainer."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

from mlmd_panel.errors import PayloadError
from mlmd_panel.evaluation.changes import wording
from mlmd_panel.evaluation.changes.changed import Changed, Findings, Link, of_artifact, of_execution
from mlmd_panel.evaluation.changes.code import FINGERPRINT, VERSION
from mlmd_panel.evaluation.changes.code_files import FILES
from mlmd_panel.evaluation.changes.schemas import FieldChange
from mlmd_panel.evaluation.changes.sides import TRAINER, Side, component, of_json
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.model import hyperparameters
from mlmd_panel.store.records import Execution

MAX_PATHS = 100
MAX_DEPTH = 30
MAX_TEXT = 2000
# They differ from run to run by what they are: which data was read, which code, why it ran, how long it took; all told
# elsewhere.
_HIDDEN = (
    "span", "version", "input_fingerprint", "range_config", FINGERPRINT, FILES, VERSION, "module_path", "module_file",
    "not_cached", "executor_hash", "beam_work",
)  # fmt: skip
# ... and this names the files of a span.
_OF_SPAN = "input_config"
# Numbers, and what stands for them where the result came from the cache.
_DIGITS = re.compile(r"\d+|\{(SPAN|VERSION|YYYY|MM|DD)(:\d+)?\}")
_EXECUTOR_SETTINGS = ("pipeline_info", "pipeline_name", "pipeline_root", "tmp_dir")
_MISSING = object()


@dataclasses.dataclass(frozen=True)
class ParameterChange:
    """Other exec properties of a node, or other hyperparameters.

    Attributes:
      node: Whose.
      component: Its type in short, such as Trainer.
      parameters: What differs; inside of JSON by path, such as `train_args.num_steps`.
      cut: There are more.
    """

    node: str
    component: str
    parameters: tuple[FieldChange, ...]
    cut: bool


def compare(sides: tuple[Side, Side]) -> Findings:
    """Compares the exec properties of nodes that both runs have, and names those that only one has."""
    items: list[Changed] = []
    same: list[str] = []
    for node in dict.fromkeys([*sides[0].nodes, *sides[1].nodes]):
        one, two = sides[0].nodes.get(node), sides[1].nodes.get(node)
        if one is None or two is None:
            continue
        found = list(_differences(one, two))
        if not found:
            same.append(node)
            continue
        items.append(
            Changed(
                "parameters",
                f"Parameters of {node}: {_sentence(found)}",
                {change.name: change.baseline for change in found[:MAX_PATHS]},
                {change.name: change.candidate for change in found[:MAX_PATHS]},
                (of_execution(one),),
                (of_execution(two),),
                ParameterChange(node, component(two), tuple(found[:MAX_PATHS]), len(found) > MAX_PATHS),
            )
        )
    items += [item for place in (0, 1) if (item := _only(sides, place)) is not None]
    return Findings(tuple(items), (f"Parameters of {wording.joined(same)}",) if same else ())


def _only(sides: tuple[Side, Side], place: int) -> Changed | None:
    """Nodes that only one of the runs has, if there are any."""
    mine, theirs = sides[place].nodes, sides[1 - place].nodes
    found = [mine[node] for node in mine if node not in theirs]
    if not found:
        return None
    names = [execution.label for execution in found]
    links = tuple(map(of_execution, found))
    what = f"Node{'s' * (len(names) > 1)} {wording.some(names)} ran only in the {sides[place].name}'s run"
    values: list[list[str] | None] = [None, None]
    all_links: list[tuple[Link, ...]] = [(), ()]
    values[place], all_links[place] = names, links
    return Changed("nodes", what, values[0], values[1], all_links[0], all_links[1])


def _sentence(found: list[FieldChange]) -> str:
    return wording.some(
        [f"{change.name} {wording.arrow(change.baseline, change.candidate)}" for change in found], 3
    )


def _differences(one: Execution, two: Execution) -> Iterator[FieldChange]:
    values = [{p.name: p.value for p in execution.properties} for execution in (one, two)]
    for name in sorted({*values[0], *values[1]}):
        before, now = values[0].get(name, _MISSING), values[1].get(name, _MISSING)
        if before == now or name in _HIDDEN or name in _EXECUTOR_SETTINGS or name.startswith("__"):
            continue
        if name == _OF_SPAN and _DIGITS.sub("", str(before)) == _DIGITS.sub("", str(now)):
            continue
        parsed = [of_json(value) if value is not _MISSING else _MISSING for value in (before, now)]
        if all(isinstance(value, (dict, list)) for value in parsed):
            yield from _inside(name, parsed[0], parsed[1], MAX_DEPTH)
        else:
            yield _change(name, before, now)


def _inside(path: str, before: Any, now: Any, depth: int) -> Iterator[FieldChange]:
    """What differs in two JSON values."""
    if before == now:
        return
    if depth and isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            yield from _inside(f"{path}.{key}", before.get(key, _MISSING), now.get(key, _MISSING), depth - 1)
    elif depth and isinstance(before, list) and isinstance(now, list):
        for place in range(max(len(before), len(now))):
            sides = [some[place] if place < len(some) else _MISSING for some in (before, now)]
            yield from _inside(f"{path}[{place}]", sides[0], sides[1], depth - 1)
    else:
        yield _change(path, before, now)


def _change(name: str, before: Any, now: Any) -> FieldChange:
    return FieldChange(name[:MAX_TEXT], *(_short(value) for value in (before, now)))


def _short(value: Any) -> Any:
    """A value that is not too long for a list; one that is becomes the beginning of its text."""
    if value is _MISSING:
        return None
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return value if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def compare_hyperparameters(sides: tuple[Side, Side], files: Files) -> Findings:
    """Compares the HyperParameters that the Trainers read; nothing if the store does not tell what they read."""
    if not all(side.inputs for side in sides):
        return Findings()
    two = [
        next((a for some in side.inputs.values() for a in some if a.type == "HyperParameters"), None)
        for side in sides
    ]
    if two[0] is None and two[1] is None:
        return Findings()
    if two[0] is not None and two[1] is not None and two[0].id == two[1].id:
        return Findings(same=("Hyperparameters (the same artifact)",))
    values: list[dict[str, Any]] = []
    for side, artifact in zip(sides, two, strict=True):
        try:
            values.append(hyperparameters.read(artifact, files).values() if artifact else {})
        except PayloadError as error:
            return Findings(unknown=(f"Hyperparameters of the {side.name}: {error}",))
    found = [
        FieldChange(name, values[0].get(name), values[1].get(name))
        for name in sorted({*values[0], *values[1]})
        if values[0].get(name) != values[1].get(name)
    ]
    if not found and all(two):
        return Findings(same=("Hyperparameters",))
    told = _sentence(found) or "none → the same as the Trainer's own"
    if two[0] is None or two[1] is None:
        told = f"tuned ones only for the {'candidate' if two[0] is None else 'baseline'} ({told})"
    links = [(of_artifact(artifact),) if artifact else () for artifact in two]
    details = ParameterChange("Trainer", TRAINER, tuple(found[:MAX_PATHS]), len(found) > MAX_PATHS)
    item = Changed(
        "hyperparameters", f"Hyperparameters: {told}", values[0], values[1], links[0], links[1], details
    )
    return Findings((item,))
