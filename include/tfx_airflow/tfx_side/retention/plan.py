"""The plan: what would be deleted, why, and how large it is; and whether it still holds."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from include.tfx_airflow.contract.errors import RetentionError
from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.tfx_side.mlmd.database import describe
from include.tfx_airflow.tfx_side.retention import graph as graphs
from include.tfx_airflow.tfx_side.retention.files import size
from include.tfx_airflow.tfx_side.retention.graph import MARKED_AT, Graph
from include.tfx_airflow.tfx_side.retention.orphans import orphans
from include.tfx_airflow.tfx_side.retention.places import Places
from include.tfx_airflow.tfx_side.retention.progress import told
from include.tfx_airflow.tfx_side.retention.roots import DAY
from include.tfx_airflow.tfx_side.retention.survey import DELETED, MARKED, Survey, survey

FORMAT = 1
_PLANS = 20  # that are kept on disk
_REFUSED = 10  # reasons that an error names


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to delete; plain values, as they stand in its file.

    Attributes:
      made_at: Seconds since the epoch.
      store: The store's address, without a password.
      roots: Folders below which files may be deleted.
      keep: Fields of `Keep`.
      seen: Newest event and execution of the store.
      artifacts: Of each artifact id, type, uri, pipelines, path (of the files that go), bytes and reason.
      orphans: Of each folder path, bytes and reason.
      set_aside: Places and bytes that earlier plans have set aside, and those of them whose grace time is over.
      again: Artifacts that are marked but are kept now, and why: they are restored.
      left_alone: Why other artifacts that nothing kept refers to stay, and how many.
      kept: Number of artifacts that are kept.
    """

    made_at: float
    store: str
    roots: list[str]
    keep: dict[str, Any]
    seen: dict[str, int]
    artifacts: list[dict[str, Any]]
    orphans: list[dict[str, Any]]
    set_aside: dict[str, int]
    again: dict[str, str]
    left_alone: dict[str, int]
    kept: int
    format: int = FORMAT

    @property
    def hash(self) -> str:
        """Of all that the plan says."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def totals(self) -> dict[str, int]:
        """Sums for people."""
        return {
            "artifacts": len(self.artifacts),
            "bytes": sum(found["bytes"] for found in self.artifacts),
            "orphans": len(self.orphans),
            "orphan_bytes": sum(found["bytes"] for found in self.orphans),
            "restored": len(self.again),
            "kept": self.kept,
            **self.set_aside,
        }

    def write(self, folder: str) -> str:
        """Writes `plan-<hash>.json` into a folder, where only the newest stay; returns its path."""
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"plan-{self.hash}.json")
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
            json.dump({"hash": self.hash, **dataclasses.asdict(self), "totals": self.totals}, file, indent=1)
        os.replace(file.name, path)
        plans = sorted(Path(folder).glob("plan-*.json"), key=os.path.getmtime)
        for old in plans[:-_PLANS]:
            old.unlink(missing_ok=True)
        return path

    @property
    def rows(self) -> list[list[Any]]:
        """How much goes: pipeline, type, number and bytes."""
        rows: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for found in self.artifacts:
            row = rows[", ".join(found["pipelines"]), found["type"]]
            row[0] += 1
            row[1] += found["bytes"]
        for found in self.orphans:
            row = rows["", "left by killed attempts"]
            row[0] += 1
            row[1] += found["bytes"]
        return [[*key, *row] for key, row in sorted(rows.items())]

    @property
    def notes(self) -> list[str]:
        """What else there is to say."""
        notes = [f"{self.kept} artifacts are kept."]
        notes += [f"{number} are left alone: {reason}." for reason, number in self.left_alone.items()]
        if self.set_aside["quarantined"]:
            notes.append(
                f"{self.set_aside['quarantined']} artifacts are set aside already; the grace time of "
                f"{self.set_aside['expired']} is over."
            )
        return notes + [
            f"Artifact {id_} is set aside, and is restored: {why}." for id_, why in self.again.items()
        ]


def read(folder: str, hash_: str) -> Plan:
    """Reads a plan that was written.

    Raises:
      RetentionError: There is none of that hash, or it was changed.
    """
    path = Path(folder, f"plan-{hash_}.json")
    if not hash_.isalnum() or not path.is_file():
        raise RetentionError(
            f"there is no plan {hash_!r} in {folder!r}; make one with 'gc', whose last line is its hash."
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        plan = Plan(**{field.name: found[field.name] for field in dataclasses.fields(Plan)})
    except (ValueError, KeyError, TypeError) as error:
        raise RetentionError(f"{str(path)!r} is no plan ({error!r}); make a new one with 'gc'.") from None
    if plan.hash != hash_ or plan.format != FORMAT:
        raise RetentionError(f"{str(path)!r} was changed after it was made; make a new one with 'gc'.")
    return plan


def make(address: dict[str, Any], roots: list[str], home: str, keep: Keep, now: float | None = None) -> Plan:
    """Makes a plan; changes nothing.

    Args:
      address: The store.
      roots: Folders below which files may be deleted.
      home: `[tfx_airflow] home`.
      keep: What to keep.
      now: Seconds since the epoch; None for the present.
    """
    now = time.time() if now is None else now
    return of(survey(address, roots, keep, now), address, roots, home, keep, now)


def of(found: Survey, address: dict[str, Any], roots: list[str], home: str, keep: Keep, now: float) -> Plan:
    """The plan that a survey leads to; arguments as for `make`."""
    artifacts = []
    for place, ids in told(found.going.items(), "measuring what would go"):
        for id_ in ids:
            artifact = found.graph.artifacts[id_]
            makers = found.graph.makers(id_)
            artifacts.append(
                {
                    "id": id_,
                    "type": artifact.type,
                    "uri": artifact.uri,
                    "pipelines": sorted({name for maker in makers for name in maker.pipelines}),
                    "path": place.path,
                    "bytes": size(place.path) if id_ == ids[0] else 0,  # shared files count once
                    "reason": _why(found.graph, id_, keep),
                }
            )
    expired = sum(1 for ids in found.marked.values() for id_ in ids if is_over(found.graph, id_, keep, now))
    return Plan(
        made_at=now,
        store=describe(address),
        roots=list(roots),
        keep=dataclasses.asdict(keep),
        seen={"event": found.graph.seen.event, "execution": found.graph.seen.execution},
        artifacts=sorted(artifacts, key=lambda one: one["id"]),
        orphans=[
            {"path": place.path, "bytes": size(place.path), "reason": why}
            for place, why in sorted(
                orphans(found.graph, Places(roots), home, now).items(), key=lambda one: one[0].path
            )
        ],
        set_aside={"quarantined": sum(map(len, found.marked.values())), "expired": expired},
        again={str(id_): reason for id_, reason in found.again.items()},
        left_alone=dict(sorted(Counter(found.left_alone.values()).items())),
        kept=len(found.kept),
    )


def is_over(graph: Graph, artifact: int, keep: Keep, now: float) -> bool:
    """Whether the grace time of a marked artifact is over."""
    return graph.number(MARKED_AT, artifact) + keep.grace * DAY <= now


def _why(graph: Graph, artifact: int, keep: Keep) -> str:
    used = max([event.time for event in graph.of_artifact[artifact]] + [graph.artifacts[artifact].created])
    day = time.strftime("%Y-%m-%d", time.gmtime(used / 1000))
    return f"nothing that is kept was made from it; last made or used on {day}, before the newest {keep.runs} runs"


def check(plan: Plan, found: Survey, address: dict[str, Any], roots: list[str]) -> None:
    """Refuses a plan that no longer holds.

    What is in the store but not in the plan is left for the next plan; what an interrupted try has done already holds.

    Raises:
      RetentionError: It is of another store or other roots, or says what would not be planned now; the message says why.
    """
    if plan.store != describe(address) or plan.roots != list(roots):
        raise RetentionError(
            f"plan {plan.hash} is of {plan.store} with roots {plan.roots}, not of {describe(address)} with {list(roots)}; "
            "make a new one with 'gc'."
        )
    now = {id_: (place, ids) for place, ids in found.going.items() for id_ in ids}
    planned = {one["id"] for one in plan.artifacts}
    wrong = []
    for one in plan.artifacts:
        id_ = one["id"]
        artifact = found.graph.artifacts.get(id_)
        if artifact is None:
            wrong.append(f"artifact {id_} is no longer in the store")
        elif artifact.uri != one["uri"]:
            wrong.append(f"artifact {id_} now has the URI {artifact.uri!r}")
        elif id_ in found.again:
            continue
        elif artifact.state in (MARKED, DELETED) and id_ in found.graph.properties[graphs.MARKED_AT]:
            continue
        elif id_ not in now:
            reason = found.kept.get(id_) or found.left_alone.get(id_) or f"its state is {artifact.state}"
            wrong.append(f"artifact {id_} is now kept because {reason}")
        elif others := set(now[id_][1]) - planned:
            wrong.append(f"artifact {id_} shares its files with {min(others)}, which is not in the plan")
    if wrong:
        more = f"; and {len(wrong) - _REFUSED} more" if len(wrong) > _REFUSED else ""
        raise RetentionError(
            f"plan {plan.hash} no longer holds: {'; '.join(wrong[:_REFUSED])}{more}. Nothing more was changed; make a new "
            "plan with 'gc'."
        )
