"""A Resolver strategy: the examples of one span, chosen by its number."""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx import v1 as tfx
from tfx.orchestration.portable.input_resolution.exceptions import SkipSignal

from include.components.gates import passed
from include.components.lineage import SPAN, VERSION, number, spans_behind


class ExamplesOfSpan(tfx.dsl.experimental.ResolverStrategy):
    """Picks the examples of the span that a run names, or of the span that an artifact goes back to.

    chosen = ChosenNumber(number=RuntimeParameter("span", int))
    trips = tfx.dsl.Resolver(
        strategy_class=ExamplesOfSpan,
        examples=tfx.dsl.Channel(type=Examples, producer_component_id="SpanExampleGen"),
        span=chosen.outputs["chosen"],
        behind=pushed_model.outputs["pushed"],   # optional: whose span it is when the number is 0
    )

    Of a span that was delivered again, the highest version serves.
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
            store: The MLMD store, asked what has passed the gate and what lies behind an artifact.
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
        good = passed(store, found, self._gate)
        usable = sorted((number(a, VERSION), a.id, a) for a in found if a.id in good)
        if not usable:
            known = sorted({number(artifact, SPAN) for artifact in input_dict["examples"]})
            why = f"those of span {span} did not pass {self._gate}" if found else f"it has spans {known}"
            raise SkipSignal(
                f"the store has no examples of span {span}: {why}. Run taxi_retraining for that span first."
            )
        version, _, examples = usable[-1]
        logging.info("Span %d: version %d, examples %d.", span, version, examples.id)
        return {**input_dict, "examples": [examples]}
