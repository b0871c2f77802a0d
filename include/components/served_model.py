"""A Resolver strategy: the model that is served, which is the one that was pushed last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from absl import logging
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.orchestration.portable.input_resolution.exceptions import InputResolutionError, SkipSignal

_Event = metadata_store_pb2.Event


class ServedModel(tfx.dsl.experimental.ResolverStrategy):
    """Picks the model of the last PushedModel, not one that was only trained or only blessed.

    served = tfx.dsl.Resolver(
        strategy_class=ServedModel,
        model=tfx.dsl.Channel(type=Model),
        pushed=tfx.dsl.Channel(type=PushedModel),
    )
    BulkInferrer(model=served.outputs["model"], ...)
    """

    def __init__(self, required: bool = True):
        """Takes what to do when no model has been pushed.

        Args:
            required: Whether the run is skipped then. Otherwise there is no model and no pushed model, as suits the
                baseline of an Evaluator.
        """
        self._required = required

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[tfx.dsl.Artifact]]
    ) -> dict[str, list[tfx.dsl.Artifact]]:
        """Resolves; called by TFX.

        Args:
            store: The MLMD store, used to find what the Pusher read.
            input_dict: `model` and `pushed`, those of all runs.

        Returns:
            The same keys, one artifact each; none if no model has been pushed and none is required.

        Raises:
            SkipSignal: No model has been pushed yet, and one is required.
            InputResolutionError: The pushed model's own artifact is gone.
        """
        pushed = [a for a in input_dict["pushed"] if a.get_int_custom_property("pushed") == 1]
        if not pushed and not self._required:
            logging.info("No model has been pushed yet.")
            return {"model": [], "pushed": []}
        if not pushed:
            raise SkipSignal(
                f"no model has been pushed yet; {len(input_dict['model'])} were trained. A model is pushed, and then "
                "used here, when its evaluation blesses it."
            )
        last = max(pushed, key=lambda artifact: artifact.id)
        models = {model.id: model for model in input_dict["model"]}
        read = sorted(_read_by_pusher(store, last.id) & set(models))
        if not read:
            raise InputResolutionError(
                f"the model behind PushedModel {last.id} ({last.get_string_custom_property('pushed_destination')!r}) "
                f"is not among the {len(models)} live models, so its artifact is gone. Train and push a model again."
            )
        logging.info("Served: model %d, pushed as artifact %d.", read[-1], last.id)
        return {"model": [models[read[-1]]], "pushed": [last]}

    def needed(self, store: Any, candidates: Mapping[str, Any]) -> dict[str, list[int]]:
        """The model and push that `resolve_artifacts` will choose; see `tfx_side/node/needed.py`."""
        pushed = [id_ for id_, value in candidates["pushed"].property("pushed").items() if value == 1]
        if not pushed and not self._required:
            return {"model": [], "pushed": []}
        last = sorted(pushed)[-1:]
        read = _read_by_pusher(store, last[0]) & candidates["model"].ids if last else set()
        # Without a model to choose all of them: the message counts them.
        return {"pushed": last} | ({"model": [max(read)]} if read else {})


def _read_by_pusher(store: Any, pushed: int) -> set[int]:
    made = {e.execution_id for e in store.get_events_by_artifact_ids([pushed]) if e.type == _Event.OUTPUT}
    events = store.get_events_by_execution_ids(sorted(made))
    return {event.artifact_id for event in events if event.type == _Event.INPUT}
