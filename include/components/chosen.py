"""Chooses, by a number that the run gives, a model or the examples of a span.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

from typing import Any, TypedDict

from absl import logging
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.portable.input_resolution.exceptions import InputResolutionError, SkipSignal

from include.components.lineage import SPAN, VERSION, number, passed, spans_behind


class Chosen(TypedDict):
    """Outputs of `ChosenNumber`."""

    chosen: int


@component
def ChosenNumber(number: tfx.dsl.components.Parameter[int]) -> Chosen:
    """Passes a span or an id to a Resolver, whose own config is fixed when the pipeline is compiled.

    Args:
        number: Span, such as 201403, or id; 0 to let the Resolver choose.

    Returns:
        The same number.

    Raises:
        ValueError: It is negative.
    """
    if number < 0:
        raise ValueError(f"{number} is neither a span such as 201403 nor an id.")
    return {"chosen": number}


class ChosenModel(tfx.dsl.experimental.ResolverStrategy):
    """Picks a model by its id, or the one trained last for 0.

    chosen = ChosenNumber(number=RuntimeParameter("model", int, default=0))
    candidate = tfx.dsl.Resolver(
        strategy_class=ChosenModel,
        model=tfx.dsl.Channel(type=Model),
        chosen=chosen.outputs["chosen"],
        examples=examples.outputs["examples"],   # what it will be evaluated on
    )
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[tfx.dsl.Artifact]]
    ) -> dict[str, list[tfx.dsl.Artifact]]:
        """Resolves; called by TFX.

        Args:
            store: The MLMD store, used to find what the model was trained on.
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
                f"there is no live model {id_}; the last ones trained: {known}. "
                "The log of a Trainer ends with the id of its model."
            )
        span, seen = number(examples, SPAN), spans_behind(store, [id_]).get(id_, 0)
        if seen >= span:
            raise InputResolutionError(
                f"model {id_} was trained on spans up to {seen} and cannot be evaluated on span {span}; "
                "choose a later one."
            )
        logging.info("Model %d, trained on spans up to %d, is evaluated on span %d.", id_, seen, span)
        return {**input_dict, "model": [models[id_]]}


class ExamplesOfSpan(tfx.dsl.experimental.ResolverStrategy):
    """Picks the examples of the span that a run names, or of the span that an artifact was made from.

    chosen = ChosenNumber(number=RuntimeParameter("span", int))
    examples = tfx.dsl.Resolver(
        strategy_class=ExamplesOfSpan,
        examples=tfx.dsl.Channel(type=Examples, producer_component_id="SpanExampleGen"),
        span=chosen.outputs["chosen"],
        behind=pushed_model.outputs["pushed"],   # optional: whose span it is when the number is 0
    )

    If a span was delivered again, its highest version is used.
    """

    def __init__(self, gate: str = ""):
        """Takes the gate.

        Args:
            gate: As for `RollingWindow`: only examples that passed it count. Empty: all count.
        """
        self._gate = gate

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[tfx.dsl.Artifact]]
    ) -> dict[str, list[tfx.dsl.Artifact]]:
        """Resolves; called by TFX.

        Args:
            store: The MLMD store, used to find what passed the gate and what an artifact was made from.
            input_dict: `examples`, those of all runs; `span`, an Integer; and perhaps `behind`.

        Returns:
            The same keys, with one of the examples.

        Raises:
            SkipSignal: There are no such examples, or no span was chosen.
        """
        [chosen] = input_dict["span"]
        chosen.read()
        span = int(chosen.value)
        if not span:
            behind = [artifact.id for artifact in input_dict.get("behind", [])]
            span = max(spans_behind(store, behind).values(), default=0)
        if not span:
            raise SkipSignal("no span was chosen. Trigger a run with the Param span, such as 201403.")
        found = [artifact for artifact in input_dict["examples"] if number(artifact, SPAN) == span]
        good = passed(store, [artifact.id for artifact in found], self._gate)
        usable = sorted((number(a, VERSION), a.id, a) for a in found if a.id in good)
        if not usable:
            known = sorted({number(artifact, SPAN) for artifact in input_dict["examples"]})
            why = (
                f"those of span {span} did not pass {self._gate}" if found else f"the store has spans {known}"
            )
            raise SkipSignal(
                f"there are no examples of span {span}: {why}. Run the DAG that makes them for that span first."
            )
        version, _, examples = usable[-1]
        logging.info("Span %d: version %d, examples %d.", span, version, examples.id)
        return {**input_dict, "examples": [examples]}
