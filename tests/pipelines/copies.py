"""Pipelines that stand in a DAG several times, and one with inputs that it can do without.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import time
from typing import Any

from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component

_String = tfx.types.standard_artifacts.String


@component
def Say(
    what: tfx.dsl.components.Parameter[str],
    text: tfx.dsl.components.OutputArtifact[_String],
    seconds: tfx.dsl.components.Parameter[float] = 0.0,
) -> None:
    """Takes a while to say something."""
    time.sleep(seconds)
    text.value = what


@component
def Echo(
    text: tfx.dsl.components.InputArtifact[_String],
    copy: tfx.dsl.components.OutputArtifact[_String],
    seconds: tfx.dsl.components.Parameter[float] = 0.0,
) -> None:
    """Takes a while to repeat it."""
    time.sleep(seconds)
    copy.value = text.value


@component
def Tell(
    text: tfx.dsl.components.OutputArtifact[_String],
    settings: tfx.dsl.components.InputArtifact[_String] = None,
    other: tfx.dsl.components.InputArtifact[_String] = None,
) -> None:
    """Tells which of its inputs it was given."""
    text.value = f"{settings.value if settings else None} {other.value if other else None}"


class Latest(tfx.dsl.experimental.ResolverStrategy):
    """The artifact made last, if there is one: TFX's LatestArtifactStrategy fails in the first run."""

    def resolve_artifacts(self, store: Any, input_dict: dict[str, list[tfx.dsl.Artifact]]) -> dict[str, Any]:
        """Called by TFX."""
        return {key: sorted(found, key=lambda a: a.id)[-1:] for key, found in input_dict.items()}


def region(seconds: float = 0.0, what: str | None = None) -> tfx.dsl.Pipeline:
    """Two nodes and one that looks into earlier runs; `what` is a runtime parameter unless it is given."""
    say = Say(what=what or tfx.dsl.experimental.RuntimeParameter("what", str), seconds=seconds)
    before = tfx.dsl.Resolver(
        strategy_class=Latest,
        copy=tfx.dsl.Channel(type=_String, producer_component_id="Echo", output_key="copy"),
    ).with_id("before")
    echo = Echo(text=say.outputs["text"], seconds=seconds)
    echo.add_upstream_node(before)
    last = Tell(settings=before.outputs["copy"], other=echo.outputs["copy"])
    return tfx.dsl.Pipeline(
        "region", pipeline_root="", components=[say, before, echo, last], enable_cache=False
    )


def optional() -> tfx.dsl.Pipeline:
    """A tuner that is switched off, a trainer that can do without it, and nodes that cannot.

    Chain reads Tuner, and Late can do without Chain.
    """
    switch = Say(what="no").with_id("Switch")
    with tfx.dsl.Cond(switch.outputs["text"].future()[0].value == "yes"):
        tuner = Say(what="settings").with_id("Tuner")
    trainer = Tell(settings=tuner.outputs["text"], other=switch.outputs["text"]).with_id("Trainer")
    chain = Echo(text=tuner.outputs["text"]).with_id("Chain")
    late = Tell(settings=chain.outputs["copy"]).with_id("Late")
    after = Say(what="after").with_id("After")
    after.add_upstream_node(tuner)
    return tfx.dsl.Pipeline(
        "optional", pipeline_root="", components=[switch, tuner, trainer, chain, late, after]
    )
