"""Carries out a plan: marks artifacts, sets their files aside, and deletes them after the grace time.

Each step can be repeated, and what a killed try has left is finished by the next. Artifacts are marked before their files
are touched, and their files are deleted before the store says so.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from include.tfx_airflow.contract.errors import ObjectStoreError, RetentionError
from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.contract.object_store import is_object_store
from include.tfx_airflow.tfx_side.mlmd.lock import StoreLock
from include.tfx_airflow.tfx_side.mlmd.reader import Reader
from include.tfx_airflow.tfx_side.retention import files, marks, plan
from include.tfx_airflow.tfx_side.retention.files import QUARANTINE
from include.tfx_airflow.tfx_side.retention.orphans import orphans, pipeline_roots
from include.tfx_airflow.tfx_side.retention.places import LeftAlone, Place, Places
from include.tfx_airflow.tfx_side.retention.progress import told
from include.tfx_airflow.tfx_side.retention.roots import DAY
from include.tfx_airflow.tfx_side.retention.survey import Survey, survey

log = logging.getLogger(__name__)

# On servers nodes hold no lock of the whole store: one that has chosen an input registers its use within this time.
SETTLE_SECONDS = 30.0
_BATCH = 200  # places: nodes wait for that long
_ORPHANS = ".orphans"  # a folder in quarantine, then the time


@dataclasses.dataclass
class Done:
    """What was done.

    Attributes:
      set_aside: Places.
      deleted: Artifacts.
      restored: Artifacts.
      orphans: Folders set aside.
      orphans_deleted: Folders whose grace time was over.
      problems: What could not be moved or deleted; the next run tries again.
    """

    set_aside: int = 0
    deleted: int = 0
    restored: int = 0
    orphans: int = 0
    orphans_deleted: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)


class Retention:
    """Retention of one store, as of one time."""

    def __init__(
        self, address: dict[str, Any], roots: list[str], home: str, keep: Keep, now: float | None = None
    ):
        """Reads nothing yet.

        Args:
          address: The store.
          roots: Folders below which files may be deleted.
          home: `[tfx_airflow] home`.
          keep: What to keep.
          now: Seconds since the epoch; None for the present.
        """
        self._address, self._roots, self._home, self._keep = address, list(roots), home, keep
        self._now = time.time() if now is None else now
        self._done = Done()

    def carry_out(self, wanted: plan.Plan) -> Done:
        """Carries out a plan, and finishes what earlier ones have begun.

        Raises:
          RetentionError: The plan no longer holds, or was made to keep other things.
          MlmdError: The store cannot be used.
        """
        if wanted.keep != dataclasses.asdict(self._keep):
            raise RetentionError(
                f"plan {wanted.hash} was made with {wanted.keep}, not {self._keep}; make a new one."
            )
        with StoreLock(_own_lock(self._address), "retention"):
            self._mark(wanted)
            if self._address["kind"] != "sqlite":
                time.sleep(SETTLE_SECONDS)
            found = self._survey()
            self._restore(found)
            found = self._move(found)
            self._set_orphans_aside(found, {one["path"] for one in wanted.orphans})
            self._delete(found)
            self._delete_orphans(found)
        return self._done

    def restore(self, artifact: int) -> None:
        """Brings an artifact back, with those that share its files, and pins it.

        Raises:
          RetentionError: It is not set aside, or its files are gone.
        """
        with StoreLock(_own_lock(self._address), "retention"):
            for place, ids in self._survey().marked.items():
                if artifact in ids:
                    if not _back(place):
                        raise RetentionError(
                            f"the files of artifact {artifact} are gone: {place.quarantine!r} does not exist."
                        )
                    with marks.opened(self._address) as store:
                        marks.unmark(store, ids, pinned=artifact)
                    return
        raise RetentionError(
            f"artifact {artifact} is not set aside, so it cannot be restored; the panel shows its state."
        )

    def _survey(self) -> Survey:
        return survey(self._address, self._roots, self._keep, self._now)

    def _mark(self, wanted: plan.Plan) -> None:
        planned = {one["id"]: one for one in wanted.artifacts}
        found = self._survey()
        plan.check(wanted, found, self._address, self._roots)
        going = [place for place, ids in found.going.items() if planned.keys() >= set(ids)]
        for batch in told(_batches(going), f"marking in batches of {_BATCH}"):
            with marks.opened(self._address) as store:
                current = self._current(found)
                if current is not found:
                    plan.check(wanted, current, self._address, self._roots)
                    found = current
                ids = {id_: place.quarantine for place in batch for id_ in found.going.get(place, ())}
                marks.mark(store, self._address, ids, {id_: planned[id_]["reason"] for id_ in ids}, self._now)

    def _current(self, found: Survey) -> Survey:
        """The same survey, or a new one if something may have to be kept since."""
        with Reader(self._address) as reader:
            changed = found.changed(reader)
        return self._survey() if changed else found

    def _restore(self, found: Survey) -> None:
        for place, ids in found.marked.items():
            if not any(id_ in found.again for id_ in ids):
                continue
            if not _back(place):
                self._problem(f"artifact {ids[0]} is kept again, but its files are gone: {place.path!r}")
                continue
            with marks.opened(self._address) as store:
                marks.unmark(store, ids)
            self._done.restored += len(ids)

    def _move(self, found: Survey) -> Survey:
        """Sets aside what is marked; returns what the store was like then."""
        there = [place for place in found.marked if files.exists(place.path)]
        for batch in told(_batches(there), f"setting files aside in batches of {_BATCH}"):
            with marks.opened(self._address):
                found = self._current(found)
                for place in batch:
                    ids = found.marked.get(place, ())
                    if ids and not any(id_ in found.again for id_ in ids) and self._moved(place):
                        self._done.set_aside += 1
        return found

    def _moved(self, place: Place) -> bool:
        try:
            return files.move(place.path, place.quarantine)
        except (OSError, ObjectStoreError) as error:
            self._problem(f"{place.path!r} cannot be set aside: {error}")
            return False

    def _set_orphans_aside(self, found: Survey, planned: set[str]) -> None:
        with marks.opened(self._address):
            now = orphans(self._current(found).graph, Places(self._roots), self._home, self._now)
            for place in now:
                if place.path in planned:
                    root, _, rest = place.quarantine.partition(f"/{QUARANTINE}/")
                    target = f"{root}/{QUARANTINE}/{_ORPHANS}/{int(self._now)}/{rest}"
                    self._done.orphans += self._moved(Place(place.path, target))

    def _delete(self, found: Survey) -> None:
        over = {
            place: ids
            for place, ids in found.marked.items()
            if not any(id_ in found.again for id_ in ids) and not files.exists(place.path)
            if all(plan.is_over(found.graph, id_, self._keep, self._now) for id_ in ids)
        }
        for batch in told(_batches(over), f"deleting files in batches of {_BATCH}"):
            gone = [id_ for place in batch if self._removed(place.quarantine) for id_ in over[place]]
            if gone:
                with marks.opened(self._address) as store:
                    marks.deleted(store, gone, self._now)
            self._done.deleted += len(gone)

    def _removed(self, path: str) -> bool:
        try:
            files.remove_quarantined(path)
        except (OSError, ObjectStoreError) as error:
            self._problem(f"{path!r} cannot be deleted: {error}")
            return False
        return True

    def _delete_orphans(self, found: Survey) -> None:
        roots = set().union(*pipeline_roots(found.graph, self._home).values())
        for root in sorted(filter(Places(self._roots).has, roots)):
            for name in files.names(f"{root}/{QUARANTINE}/{_ORPHANS}"):
                folder = f"{root}/{QUARANTINE}/{_ORPHANS}/{name}"
                try:
                    Places(self._roots).at(root, folder)
                except LeftAlone:
                    continue
                over = name.isdecimal() and int(name) + self._keep.grace * DAY <= self._now
                if over and self._removed(folder):
                    self._done.orphans_deleted += 1

    def _problem(self, text: str) -> None:
        log.warning("%s", text)
        self._done.problems.append(text)


def _own_lock(address: dict[str, Any]) -> dict[str, Any]:
    """For one retention at a time: a file beside the store's own, a named lock on a server."""
    return {**address, "path": address["path"] + ".retention"} if address["kind"] == "sqlite" else address


def _back(place: Place) -> bool:
    """Brings files back from quarantine; whether they are in place."""
    if is_object_store(place.path):  # a killed try may have brought back a part
        files.move(place.quarantine, place.path)
        return files.exists(place.path)
    if not files.exists(place.path):
        return files.move(place.quarantine, place.path)
    return True


def _batches(items: Mapping[Any, Any] | Sequence[Any]) -> list[list[Any]]:
    ordered = list(items)
    return [ordered[start : start + _BATCH] for start in range(0, len(ordered), _BATCH)]
