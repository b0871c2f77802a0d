"""A Resolver strategy: a model chosen by its id, for a judgement on data that it has not seen."""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx import v1 as tfx
from tfx.orchestration.portable.input_resolution.exceptions import InputResolutionError

from include.components.lineage import SPAN, number, spans_behind


class ChosenModel(tfx.dsl.experimental.ResolverStrategy):
    """Picks a model by its id, 0 for the one that was trained last.

    chosen = ChosenNumber(number=RuntimeParameter("model", int, default=0))
    candidate = tfx.dsl.Resolver(
        strategy_class=ChosenModel,
        model=family.trained_models(),
        chosen=chosen.outputs["chosen"],
        examples=examples.outputs["examples"],   # what it will be judged on
    )
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[tfx.dsl.Artifact]]
    ) -> dict[str, list[tfx.dsl.Artifact]]:
        """Resolves; called by TFX.

        Args:
            store: The MLMD store, asked what the model was trained on.
            input_dict: `model`, those of all runs; `chosen`, an Integer; `examples`, one artifact.

        Returns:
            The same keys, with one model.

        Raises:
            InputResolutionError: There is no such model, or it was trained on that span or a later one.
        """
        [chosen], [examples] = input_dict["chosen"], input_dict["examples"]
        models = {model.id: model for model in input_dict["model"]}
        chosen.read()
        id_ = int(chosen.value) or max(models, default=0)
        if id_ not in models:
            known = ", ".join(map(str, sorted(models)[-5:])) or "none"
            raise InputResolutionError(
                f"there is no live model {id_}; the last ones that were trained: {known}. "
                "The log of a Trainer ends with the id of its model."
            )
        span, seen = number(examples, SPAN), spans_behind(store, [id_]).get(id_, 0)
        if seen >= span:
            raise InputResolutionError(
                f"model {id_} was trained on spans up to {seen} and cannot be judged on span {span}; "
                "choose a later one."
            )
        logging.info("Model %d, trained on spans up to %d, is judged on span %d.", id_, seen, span)
        return {**input_dict, "model": [models[id_]]}
