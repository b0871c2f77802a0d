"""A Resolver strategy: the last hyper-parameters that were tuned on data from before this run's span."""

from __future__ import annotations

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
        # Of two tunings on one span the later one counts.
        earlier = sorted((found, id_) for id_, found in spans.items() if found < span)
        if not earlier:
            others = f"; those of {sorted(set(spans.values()))} are not earlier" if spans else ""
            logging.info(
                "Hyper-parameters of span %d: the defaults, none were tuned before it%s.", span, others
            )
            return {"hyperparameters": [], "newest": [newest]}
        found, id_ = earlier[-1]
        logging.info("Hyper-parameters of span %d: artifact %d, tuned on spans up to %d.", span, id_, found)
        return {"hyperparameters": [tuned[id_]], "newest": [newest]}
