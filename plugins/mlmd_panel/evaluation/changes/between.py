"""Compares what two runs are made of."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from mlmd_panel.errors import PanelError
from mlmd_panel.evaluation.changes import (
    anomalies,
    code,
    data,
    drift,
    models,
    parameters,
    schemas,
    sides,
    transform,
)
from mlmd_panel.evaluation.changes.changed import KINDS, Changed, Changes, Findings, RunOf
from mlmd_panel.evaluation.changes.drift import DriftOfData
from mlmd_panel.evaluation.changes.sides import Side
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import distributions
from mlmd_panel.store.records import Artifact
from mlmd_panel.store.run_summaries import RunSummary
from mlmd_panel.store.store import Dags, Store

MAX_WHAT = 600
_SPAN_NODE = "SpanExampleGen"
Two = tuple[Side, Side]


def between(store: Store, files: Files, dags: Dags, baseline: RunSummary, candidate: RunSummary) -> Changes:
    """What changed from a baseline's run to a candidate's, with what is the same and what is not known.

    Nothing is raised: what cannot be read becomes a sentence in `unknown`.

    Args:
      store: Where the runs are.
      files: Where the artifacts' files are.
      dags: DAGs the user may read; None means all.
      baseline: A run or a branch of one.
      candidate: Another, also of another pipeline.
    """
    try:
        with store.connected() as connected:
            two = sides.read(connected, dags, baseline, candidate)
            examples = {a.id for side in two for a in (*side.trained_on, *side.evaluated)}
            statistics = connected.statistics_of(examples, dags)
    except PanelError as error:
        return Changes(
            (), (), (f"What changed is not known: {error}",), _unread(baseline), _unread(candidate)
        )

    @functools.cache
    def counts_at(id_: int) -> dict[str, int]:
        return distributions.counts(known[id_], files)

    # Windows of training data overlap: the statistics of each span are read once.
    known = {artifact.id: artifact for some in statistics.values() for artifact in some}

    def counts(artifact: Artifact) -> dict[str, int]:
        return counts_at(artifact.id)

    parts: dict[str, Callable[[], Findings]] = {
        "Code": lambda: code.compare(two),
        "Libraries": lambda: models.libraries(two, files),
        "Parameters": lambda: parameters.compare(two),
        "Hyperparameters": lambda: parameters.compare_hyperparameters(two, files),
        "Schema": lambda: schemas.compare(two, files),
        "Anomalies": lambda: anomalies.compare(two, files),
        "Model that training started from": lambda: models.starting_model(two),
        "Train data": lambda: data.compare(data.TRAIN, two, statistics, counts),
        "Eval data": lambda: data.compare(data.EVAL, two, statistics, counts),
        "Drift": lambda: drift.compare(two, statistics, files),
        "Transform graph": lambda: transform.compare(two, files),
        "Baseline model": lambda: models.baseline_model(two),
    }
    items: list[Changed] = []
    same: list[str] = []
    unknown: list[str] = []
    for title, part in parts.items():
        try:
            found = part()
        except PanelError as error:
            unknown.append(f"{title}: {error}")
            continue
        except RecursionError:  # of values nested as deep as Python reads them, but no deeper
            unknown.append(f"{title}: some values are nested too deeply to be compared.")
            continue
        items += (dataclasses.replace(item, what=item.what[:MAX_WHAT]) for item in found.items)
        same += found.same
        unknown += found.unknown
    unknown += [
        f"The {side.name} has more lineage than is read here; some of what it was made from may be missing."
        for side in two
        if side.cut
    ]
    items.sort(key=_order)
    return Changes(tuple(items), tuple(same), tuple(dict.fromkeys(unknown)), _run(two[0]), _run(two[1]))


def _order(item: Changed) -> tuple[int, int]:
    """By kind; drift beyond a threshold before what every run differs in, and of the evaluated data first."""
    details = item.details
    if not isinstance(details, DriftOfData):
        return KINDS.index(item.kind), 0
    beyond = any(one.beyond for one in details.features)
    return KINDS.index("anomalies" if beyond else item.kind), 1 + (not details.is_evaluated)


def _run(side: Side) -> RunOf:
    nodes = [e for e in side.detail.executions if sides.component(e) == _SPAN_NODE]
    return RunOf(
        side.summary.run.dag_id,
        side.summary.run.run_id,
        side.summary.spans,
        bool(nodes),
        side.model.id if side.model else None,
        side.baseline_model.id if side.baseline_model else None,
    )


def _unread(summary: RunSummary) -> RunOf:
    return RunOf(summary.run.dag_id, summary.run.run_id, summary.spans, False, None, None)
