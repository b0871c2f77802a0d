"""Chooses, by a number that the run gives, a model or the examples of a span.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from absl import logging
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.portable.input_resolution.exceptions import InputResolutionError, SkipSignal

from include.components.lineage import SPAN, VERSION, number, passed, spans_behind

_NAMED = 5  # so many models a message names


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
        id_ = _value(chosen) or max(models, default=0)
        if id_ not in models:
            known = ", ".join(map(str, sorted(models)[-_NAMED:])) or "none"
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

    def needed(self, store: Any, candidates: Mapping[str, Any]) -> dict[str, list[int]]:
        """The model that `resolve_artifacts` will choose, or those that it names; see `tfx_side/node/needed.py`."""
        [chosen] = candidates["chosen"].artifacts()
        models = candidates["model"].ids
        id_ = _value(chosen) or max(models, default=0)
        return {"model": [id_] if id_ in models else sorted(models)[-_NAMED:]}


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
        span = _span(store, chosen, (artifact.id for artifact in input_dict.get("behind", ())))
        if not span:
            raise SkipSignal("no span was chosen. Trigger a run with the Param span, such as 201403.")
        found = {
            artifact.id: artifact for artifact in input_dict["examples"] if number(artifact, SPAN) == span
        }
        last = self._last(store, {id_: number(artifact, VERSION) for id_, artifact in found.items()})
        if last is None:
            known = sorted({number(artifact, SPAN) for artifact in input_dict["examples"]})
            why = (
                f"those of span {span} did not pass {self._gate}" if found else f"the store has spans {known}"
            )
            raise SkipSignal(
                f"there are no examples of span {span}: {why}. Run the DAG that makes them for that span first."
            )
        logging.info("Span %d: version %d, examples %d.", span, number(found[last], VERSION), last)
        return {**input_dict, "examples": [found[last]]}

    def needed(self, store: Any, candidates: Mapping[str, Any]) -> dict[str, list[int]]:
        """The examples that `resolve_artifacts` will choose, or those that it names; see `tfx_side/node/needed.py`."""
        [chosen] = candidates["span"].artifacts()
        span = _span(store, chosen, candidates["behind"].ids if "behind" in candidates else ())
        if not span:
            return {"examples": []}
        spans, versions = (candidates["examples"].property(name) for name in (SPAN, VERSION))
        by_span = {int(spans.get(id_) or 0): id_ for id_ in candidates["examples"].ids}
        found = [id_ for id_ in candidates["examples"].ids if int(spans.get(id_) or 0) == span]
        last = self._last(store, {id_: int(versions.get(id_) or 0) for id_ in found})
        return {"examples": list(by_span.values()) if last is None else [last]}

    def _last(self, store: Any, versions: Mapping[int, int]) -> int | None:
        """Of examples, given by id with their version, the highest that passed the gate; of two the later one."""
        good = passed(store, list(versions), self._gate)
        return max(((versions[id_], id_) for id_ in good), default=(0, None))[1]


def _value(chosen: tfx.dsl.Artifact) -> int:
    chosen.read()
    return int(chosen.value)


def _span(store: Any, chosen: tfx.dsl.Artifact, behind: Iterable[int]) -> int:
    """The chosen span, or for 0 the highest one behind artifacts; 0 if there is none."""
    return _value(chosen) or max(spans_behind(store, behind).values(), default=0)
