"""A Resolver strategy: the last model that was blessed on data from before this run's span."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging
from tfx import v1 as tfx

from include.components.lineage import SPAN, number, spans_behind

# Inputs: of the node that decides, and of the one that decided before.
_BLESSINGS = ("model_blessing", "former_blessing")


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
        models = {model.id: model for model in input_dict["model"]}
        given = {key: input_dict.get(key, []) for key in _BLESSINGS}
        blessings = {blessing.id: blessing for some in given.values() for blessing in some}
        judgements = {key: [_judgement(blessing) for blessing in some] for key, some in given.items()}
        span = number(newest, SPAN)
        nothing: dict[str, list[tfx.dsl.Artifact]] = {key: [] for key in input_dict}
        found = _last(store, span, models, **judgements)
        if found is None:
            logging.info("Baseline of span %d: no model was blessed on an earlier span.", span)
            return {**nothing, "newest": [newest]}
        before, judgement = found
        model = models[judgement.model]
        logging.info("Baseline of span %d: model %d, blessed on span %d.", span, model.id, before)
        return {
            **nothing,
            "model": [model],
            "model_blessing": [blessings[judgement.blessing]],
            "newest": [newest],
        }

    def needed(self, store: Any, candidates: Mapping[str, Any]) -> dict[str, list[int]]:
        """The model and blessing that `resolve_artifacts` will choose; see `tfx_side/node/needed.py`."""
        [newest] = candidates["newest"].artifacts()
        judgements = {}
        for key in _BLESSINGS:
            offered = candidates.get(key)
            models, blessed = (
                (offered.property(name) if offered else {}) for name in ("current_model_id", "blessed")
            )
            judgements[key] = [
                _Judgement(id_, models.get(id_, 0), blessed.get(id_) == 1)
                for id_ in sorted(offered.ids if offered else ())
            ]
        found = _last(store, number(newest, SPAN), candidates["model"].ids, **judgements)
        model, blessing = ([found[1].model], [found[1].blessing]) if found else ([], [])
        return {"model": model} | {
            key: [id_ for id_ in blessing if id_ in candidates[key].ids]
            for key in judgements
            if key in candidates
        }


class _Judgement(NamedTuple):
    """A ModelBlessing: its id, that of the model, and the verdict."""

    blessing: int
    model: int
    is_blessed: bool


def _judgement(blessing: tfx.dsl.Artifact) -> _Judgement:
    return _Judgement(
        blessing.id,
        blessing.get_int_custom_property("current_model_id"),
        blessing.get_int_custom_property("blessed") == 1,
    )


def _last(
    store: Any,
    span: int,
    models: Container[int],
    model_blessing: Sequence[_Judgement],
    former_blessing: Sequence[_Judgement],
) -> tuple[int, _Judgement] | None:
    """The last judgement before a span that blessed one of the models, and its span."""
    judged = {judgement.model for judgement in model_blessing}
    former = [judgement for judgement in former_blessing if judgement.model not in judged]
    blessed = {
        judgement.blessing: judgement
        for judgement in (*model_blessing, *former)
        if judgement.is_blessed and judgement.model in models
    }
    # Of two blessings on one span, as after a second delivery, the later one counts.
    earlier = ((found, id_) for id_, found in spans_behind(store, blessed).items() if found < span)
    found, id_ = max(earlier, default=(0, 0))
    return (found, blessed[id_]) if id_ else None
