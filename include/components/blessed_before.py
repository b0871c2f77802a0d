"""A Resolver strategy: the last model that was blessed on data from before this run's span."""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx import v1 as tfx

from include.components.lineage import SPAN, number, spans_behind


class BlessedBefore(tfx.dsl.experimental.ResolverStrategy):
    """Picks the baseline of a run, and the model that training starts from.

    TFX's LatestBlessedModelStrategy takes the last blessed model of the store instead: in a backfill, that
    model was trained on later data, perhaps on the very data it is evaluated on.

    baseline = tfx.dsl.Resolver(
        strategy_class=BlessedBefore,
        model=tfx.dsl.Channel(type=Model),
        model_blessing=tfx.dsl.Channel(type=ModelBlessing),
        newest=example_gen.outputs["examples"],
    )

    Where several nodes bless models, the channel names the one that decides:
    `Channel(type=ModelBlessing, producer_component_id="EvidenceGate")`. An input `former_blessing` may then name the one
    that decided before; it counts for models that the other has never judged.

    The span of a model is that of the examples on which its Evaluator blessed it.
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[tfx.dsl.Artifact]]
    ) -> dict[str, list[tfx.dsl.Artifact]]:
        """Resolves; called by TFX.

        Args:
          store: The MLMD store, used to find the examples of each blessing.
          input_dict: `model`, `model_blessing` and perhaps `former_blessing`, those of all runs, and `newest`, this
            run's examples.

        Returns:
          The same keys; no model and no blessing when there is none, as in the first run.
        """
        [newest] = input_dict["newest"]
        nothing: dict[str, list[tfx.dsl.Artifact]] = {key: [] for key in input_dict}
        span = number(newest, SPAN)
        models = {model.id: model for model in input_dict["model"]}
        judged = {_model(blessing) for blessing in input_dict["model_blessing"]}
        former = [b for b in input_dict.get("former_blessing", []) if _model(b) not in judged]
        blessed = {
            blessing.id: blessing
            for blessing in (*input_dict["model_blessing"], *former)
            if blessing.get_int_custom_property("blessed") == 1 and _model(blessing) in models
        }
        # Of two blessings on one span, as after a second delivery, the later one counts.
        earlier = sorted((found, id_) for id_, found in spans_behind(store, blessed).items() if found < span)
        if not earlier:
            logging.info("Baseline of span %d: no model was blessed on an earlier span.", span)
            return {**nothing, "newest": [newest]}
        found, id_ = earlier[-1]
        model = models[_model(blessed[id_])]
        logging.info("Baseline of span %d: model %d, blessed on span %d.", span, model.id, found)
        return {**nothing, "model": [model], "model_blessing": [blessed[id_]], "newest": [newest]}


def _model(blessing: tfx.dsl.Artifact) -> int:
    return blessing.get_int_custom_property("current_model_id")
