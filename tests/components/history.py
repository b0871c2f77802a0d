"""A history written into an MLMD store in memory: what a Resolver strategy sees, without running anything."""

from __future__ import annotations

from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.types import artifact_utils

_standard = tfx.types.standard_artifacts
_Event, _Execution = metadata_store_pb2.Event, metadata_store_pb2.Execution


class History:
    """Artifacts and the executions that made them, as retraining and tuning leave them."""

    def __init__(self) -> None:
        """Makes an empty store."""
        config = metadata_store_pb2.ConnectionConfig()
        config.fake_database.SetInParent()
        self.store = mlmd.MetadataStore(config)

    def artifact(self, artifact_class: Any, **properties: int | str) -> Any:
        """Adds an artifact with custom properties."""
        artifact = artifact_class()
        for name, value in properties.items():
            setter = (
                artifact.set_int_custom_property
                if isinstance(value, int)
                else artifact.set_string_custom_property
            )
            setter(name, value)
        artifact.type_id = self.store.put_artifact_type(artifact.artifact_type)
        [artifact.id] = self.store.put_artifacts([artifact.mlmd_artifact])
        return artifact

    def execution(
        self, kind: str, inputs: list[Any], outputs: list[Any], state: Any = _Execution.COMPLETE
    ) -> None:
        """Adds an execution that read and made artifacts."""
        type_id = self.store.put_execution_type(metadata_store_pb2.ExecutionType(name=kind))
        [id_] = self.store.put_executions([_Execution(type_id=type_id, last_known_state=state)])
        events = [(artifact, _Event.INPUT) for artifact in inputs]
        events += [(artifact, _Event.OUTPUT) for artifact in outputs]
        self.store.put_events(
            [_Event(artifact_id=artifact.id, execution_id=id_, type=type_) for artifact, type_ in events]
        )

    def examples(self, span: int, version: int = 0, passed: bool = True) -> Any:
        """Adds the examples of a span, which have passed execution type "Gate" or not."""
        examples = self.artifact(_standard.Examples, span=span, version=version)
        self.execution("SpanExampleGen", [], [examples])
        self.execution("Gate", [examples], [], _Execution.COMPLETE if passed else _Execution.FAILED)
        return examples

    def hyperparameters(self, *window: Any) -> Any:
        """Adds a tuning on the examples of several spans; returns its best hyper-parameters."""
        transformed, best = self.artifact(_standard.Examples), self.artifact(_standard.HyperParameters)
        self.execution("Transform", list(window), [transformed])
        self.execution("Tuner", [transformed], [best])
        return best

    def model(self, window: list[Any]) -> Any:
        """Adds a training."""
        transformed, model = self.artifact(_standard.Examples), self.artifact(_standard.Model)
        self.execution("Transform", window, [transformed])
        self.execution("Trainer", [transformed], [model])
        return model

    def blessing(self, model: Any, newest: Any, blessed: int = 1) -> Any:
        """Adds an evaluation of a model on a span."""
        blessing = self.artifact(_standard.ModelBlessing, blessed=blessed, current_model_id=model.id)
        self.execution("Evaluator", [model, newest], [blessing])
        return blessing

    def gated(self, model: Any, newest: Any, evaluators: int, gates: int) -> tuple[Any, Any]:
        """Adds an evaluation of a model on a span, and the blessings of the Evaluator and of a gate after it."""
        evaluation = self.artifact(_standard.ModelEvaluation)
        first, second = (
            self.artifact(_standard.ModelBlessing, blessed=blessed, current_model_id=model.id)
            for blessed in (evaluators, gates)
        )
        self.execution("Evaluator", [model, newest], [evaluation, first])
        self.execution("EvidenceGate", [evaluation, model], [second])
        return first, second

    def pushed(self, model: Any, blessing: Any, pushed: int = 1) -> Any:
        """Adds a push of a model."""
        artifact = self.artifact(_standard.PushedModel, pushed=pushed, pushed_destination="/serving/1")
        self.execution("Pusher", [model, blessing], [artifact])
        return artifact

    def all(self, artifact_class: Any) -> list[Any]:
        """Every artifact of a type, as TFX resolves a channel of it."""
        found = self.store.get_artifacts_by_type(artifact_class.TYPE_NAME)
        return artifact_utils.deserialize_artifacts(artifact_class().artifact_type, found)


class Offered:
    """Candidates of an input, as a strategy's `needed` asks for them; a history is not to be loaded."""

    def __init__(self, artifacts: list[Any], is_history: bool = True):
        """Takes the artifacts."""
        self._artifacts, self._is_history = artifacts, is_history
        self.ids = frozenset(artifact.id for artifact in artifacts)

    def property(self, name: str) -> dict[int, int]:
        """A whole number by artifact."""
        return {
            artifact.id: artifact.get_int_custom_property(name)
            for artifact in self._artifacts
            if artifact.has_custom_property(name)
        }

    def artifacts(self) -> list[Any]:
        """All of them."""
        assert not self._is_history
        return self._artifacts
