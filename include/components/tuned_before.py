"""A Resolver strategy: the last hyper-parameters that were tuned on data from before this run's span."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from absl import logging
from tfx import v1 as tfx

from include.components.lineage import SPAN, number, spans_behind


class TunedBefore(tfx.dsl.experimental.ResolverStrategy):
    """Picks the hyper-parameters of a training.

    tuned = tfx.dsl.Resolver(
        strategy_class=TunedBefore,
        hyperparameters=tfx.dsl.Channel(type=HyperParameters),
        newest=example_gen.outputs["examples"],
    )
    Trainer(hyperparameters=tuned.outputs["hyperparameters"], ...)   # empty: the Trainer's defaults

    The span of hyper-parameters is the newest one that the tuning saw. A run's own span is what its model is
    judged on, so hyper-parameters chosen with it are left out too: the evaluation would flatter them.
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[tfx.dsl.Artifact]]
    ) -> dict[str, list[tfx.dsl.Artifact]]:
        """Resolves; called by TFX.

        Args:
            store: The MLMD store, used to find the examples of each tuning.
            input_dict: `hyperparameters`, those of all tunings, and `newest`, this run's examples.

        Returns:
            The same keys; no hyper-parameters when there are none, as in a backfill of earlier spans.
        """
        [newest] = input_dict["newest"]
        span = number(newest, SPAN)
        tuned = {artifact.id: artifact for artifact in input_dict["hyperparameters"]}
        spans = spans_behind(store, tuned)
        last = _last(spans, span)
        if last is None:
            others = f"; those of {sorted(set(spans.values()))} are not earlier" if spans else ""
            logging.info(
                "Hyper-parameters of span %d: the defaults, none were tuned before it%s.", span, others
            )
            return {"hyperparameters": [], "newest": [newest]}
        logging.info(
            "Hyper-parameters of span %d: artifact %d, tuned on spans up to %d.", span, last, spans[last]
        )
        return {"hyperparameters": [tuned[last]], "newest": [newest]}

    def needed(self, store: Any, candidates: Mapping[str, Any]) -> dict[str, list[int]]:
        """The hyper-parameters that `resolve_artifacts` will choose; see `tfx_side/node/needed.py`."""
        [newest] = candidates["newest"].artifacts()
        last = _last(spans_behind(store, candidates["hyperparameters"].ids), number(newest, SPAN))
        return {} if last is None else {"hyperparameters": [last]}


def _last(spans: Mapping[int, int], span: int) -> int | None:
    """Id of the last hyper-parameters before a span; of two tunings on one span the later one counts."""
    return max(((found, id_) for id_, found in spans.items() if found < span), default=(0, None))[1]
