"""A Resolver strategy: the examples of the last N spans before this run's span."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from absl import logging
from tfx import v1 as tfx
from tfx.orchestration.portable.input_resolution.exceptions import SkipSignal

from include.components.lineage import SPAN, VERSION, number, passed


class RollingWindow(tfx.dsl.experimental.ResolverStrategy):
    """Picks the training data of a run by its own span, never by the newest one in the store.

    TFX's `rolling_range` (proto/range_config.proto) counts back from the latest span of the store instead: a
    backfill of an earlier month would train on later ones.

    window = tfx.dsl.Resolver(
        strategy_class=RollingWindow,
        config={"spans": 6, "gate": AnomalyGate},
        examples=tfx.dsl.Channel(type=Examples, producer_component_id="SpanExampleGen"),
        newest=example_gen.outputs["examples"],
    )
    window.outputs["examples"]   # one artifact per span, oldest first

    The window skips spans that were never delivered, or that did not pass the gate. If a span was delivered
    again, its highest version is used.
    """

    def __init__(self, spans: int, at_least: int = 1, gate: str = ""):
        """Takes the window's settings.

        Args:
          spans: Its length, in spans.
          at_least: Fewest spans to train on; with fewer, the node is skipped.
          gate: Name of an execution type, such as that of AnomalyGate: only examples that passed
            such an execution count. Empty: all count.

        Raises:
          ValueError: The window has no span.
        """
        if spans < 1:
            raise ValueError(f"RollingWindow: spans is {spans}; it has to be at least 1.")
        self._spans, self._at_least, self._gate = spans, at_least, gate

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[tfx.dsl.Artifact]]
    ) -> dict[str, list[tfx.dsl.Artifact]]:
        """Resolves; called by TFX.

        Args:
          store: The MLMD store, used to find what passed the gate.
          input_dict: `examples`, those of all runs, and `newest`, those of this run.

        Returns:
          The same keys.

        Raises:
          SkipSignal: There are too few spans to train on.
        """
        [newest] = input_dict["newest"]
        span = number(newest, SPAN)
        examples = {artifact.id: artifact for artifact in input_dict["examples"]}
        delivered = [(number(a, SPAN), number(a, VERSION), a.id) for a in examples.values()]
        window = [examples[id_] for id_ in self._window(store, span, delivered)]
        names = ", ".join(f"{number(a, SPAN)} (version {number(a, VERSION)})" for a in window) or "none"
        if len(window) < self._at_least:
            raise SkipSignal(
                f"too few spans to train on: before span {span} the store has {names}, and "
                f"{self._at_least} are needed. Run the earlier spans first, oldest first."
            )
        logging.info("Window of span %d: %d of %d spans: %s", span, len(window), self._spans, names)
        return {"examples": window, "newest": [newest]}

    def needed(self, store: Any, candidates: Mapping[str, Any]) -> dict[str, list[int]]:
        """The examples that `resolve_artifacts` will choose; see `tfx_side/node/needed.py`."""
        [newest] = candidates["newest"].artifacts()
        spans, versions = (candidates["examples"].property(name) for name in (SPAN, VERSION))
        delivered = [
            (int(spans.get(id_) or 0), int(versions.get(id_) or 0), id_) for id_ in candidates["examples"].ids
        ]
        return {"examples": self._window(store, number(newest, SPAN), delivered)}

    def _window(self, store: Any, span: int, delivered: Iterable[tuple[int, int, int]]) -> list[int]:
        """Ids of the window's examples, oldest first, of examples as (span, version, id)."""
        earlier: dict[int, list[int]] = {}
        for one, _, id_ in sorted(delivered):
            if one < span:
                earlier.setdefault(one, []).append(id_)
        window: list[int] = []
        newest_first, number_of_spans = sorted(earlier, reverse=True), self._spans
        while newest_first and len(window) < self._spans:
            some, newest_first = newest_first[:number_of_spans], newest_first[number_of_spans:]
            number_of_spans *= 4  # where few passed the gate, few questions still reach far back
            usable = passed(store, [id_ for one in some for id_ in earlier[one]], self._gate)
            for one in some:
                window += [id_ for id_ in reversed(earlier[one]) if id_ in usable][:1]
        return window[: self._spans][::-1]
