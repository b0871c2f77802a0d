"""Finds the baseline that a person names: by how it is chosen, or as a run."""

from __future__ import annotations

import dataclasses

from mlmd_panel.evaluation.baseline import BLESSED, OWN, PREVIOUS, RUN, Chosen, choose
from mlmd_panel.store.run_references import LAST_BLESSED, refer
from mlmd_panel.store.run_summaries import RunSummary
from mlmd_panel.store.store import Dags, Store

_CHOICES = {PREVIOUS: PREVIOUS, BLESSED: BLESSED, LAST_BLESSED: BLESSED, OWN: OWN}


def choice(text: str) -> str | None:
    """How a baseline of that name is chosen; None for a run that is named itself."""
    return _CHOICES.get(text)


def named_baseline(store: Store, dags: Dags, text: str, candidate: RunSummary, pipeline: str = "") -> Chosen:
    """The baseline of a candidate.

    Args:
      store: The store.
      dags: DAGs the user may read; None means all.
      text: `previous`, `blessed` or `last-blessed`, `own`, or a run as for `run_references.refer`.
      candidate: Run or branch.
      pipeline: That of a run named `latest`; by default the candidate's.

    Returns:
      The baseline; its `run` is None, and `note` says why, if none was found by `previous` or `blessed`.

    Raises:
      BadQuery: There is no such run, or there are several.
      NotFound: The run has branches, and none with the candidate's name.
    """
    if chosen := choice(text):
        return choose(store, dags, candidate, chosen)
    referred = refer(store, dags, text, pipeline or candidate.run.pipeline)
    found = choose(store, dags, candidate, RUN, referred.run.run)
    return dataclasses.replace(found, note=" ".join(filter(None, (found.note, referred.note))))
