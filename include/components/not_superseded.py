"""A Resolver strategy: this run's model, unless a model of a later span is already served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx import v1 as tfx
from tfx.orchestration.portable.input_resolution.exceptions import SkipSignal

from include.components.lineage import SPAN, number, spans_behind


class NotSuperseded(tfx.dsl.experimental.ResolverStrategy):
    """Keeps a backfill, or a late delivery, from serving an older model than the one that is served.

    servable = tfx.dsl.Resolver(
        strategy_class=NotSuperseded,
        model=trainer.outputs["model"],
        pushed=tfx.dsl.Channel(type=PushedModel),
        newest=example_gen.outputs["examples"],
    )
    Pusher(model=servable.outputs["model"], ...)   # skipped with it
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[tfx.dsl.Artifact]]
    ) -> dict[str, list[tfx.dsl.Artifact]]:
        """Resolves; called by TFX.

        Args:
          store: The MLMD store, used to find the span of each pushed model.
          input_dict: `model` and `newest`, those of this run, and `pushed`, those of all runs.

        Returns:
          `model` and `newest`; no `pushed`.

        Raises:
          SkipSignal: A model of a later span was pushed.
        """
        [newest] = input_dict["newest"]
        span = number(newest, SPAN)
        pushed = [a.id for a in input_dict["pushed"] if a.get_int_custom_property("pushed") == 1]
        latest = max(spans_behind(store, pushed).values(), default=span)
        if latest > span:
            raise SkipSignal(
                f"the model of span {latest} is served; that of span {span}, although blessed, does not replace it."
            )
        return {"model": input_dict["model"], "pushed": [], "newest": [newest]}

    def needed(self, store: Any, candidates: Mapping[str, Any]) -> dict[str, list[int]]:
        """The push of the latest span; see `tfx_side/node/needed.py`."""
        pushed = [id_ for id_, value in candidates["pushed"].property("pushed").items() if value == 1]
        spans = spans_behind(store, pushed)
        return {"pushed": [max(spans, key=lambda id_: (spans[id_], id_))] if spans else []}
