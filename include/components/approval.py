"""A component that turns a person's answer into the blessing that decides the push.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import os

from absl import logging
from tfx import v1 as tfx
from tfx.components.evaluator import constants
from tfx.dsl.component.experimental.decorators import component
from tfx.utils import io_utils

MAX_TEXT = 1000


class ApprovalError(Exception):
    """An approval that cannot be kept: nobody's, or an override without a reason."""


@component
def Approval(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    verdict: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelBlessing],
    blessing: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ModelBlessing],
    approved: tfx.dsl.components.Parameter[int] = 0,
    approved_by: tfx.dsl.components.Parameter[str] = "",
    reason: tfx.dsl.components.Parameter[str] = "",
    answered_at: tfx.dsl.components.Parameter[str] = "",
) -> None:
    """Blesses a model if a person says so, whatever the Evaluator's verdict, and keeps who said it and why.

    approval = Approval(
        model=trainer.outputs["model"],
        verdict=evaluator.outputs["blessing"],
        approved=RuntimeParameter("approved", int, default=0),
        approved_by=RuntimeParameter("approved_by", str, default=""),
        reason=RuntimeParameter("reason", str, default=""),
        answered_at=RuntimeParameter("answered_at", str, default=""),
    )
    Pusher(model=trainer.outputs["model"], model_blessing=approval.outputs["blessing"], ...)

    The blessing is like an Evaluator's, so that Resolvers and Pusher take it. Its other custom properties: `approved`,
    `approved_by`, `reason`, `answered_at`; `verdict_blessed`, what the Evaluator had said, and `overridden`, whether the
    answer is another one; `verdict_id`, the Evaluator's blessing.

    Args:
        model: The model that was evaluated.
        verdict: The Evaluator's blessing of it.
        blessing: Whether it is pushed.
        approved: 1 for yes; anything else, as when nobody has answered in time, is no.
        approved_by: Who has answered; empty if nobody has.
        reason: Why. An approval against the verdict needs one.
        answered_at: When; answers at different times are different, and none is taken from the cache.

    Raises:
        ApprovalError: It is approved by nobody, or against the verdict without a reason.
    """
    name, why = approved_by.strip()[:MAX_TEXT], reason.strip()[:MAX_TEXT]
    yes = approved == 1
    blessed = verdict.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == 1
    if yes and not name:
        raise ApprovalError("The approval names nobody who gave it, so the model is not pushed. Ask again.")
    if yes and not blessed and not why:
        raise ApprovalError(
            f"{name!r} approved a model that the Evaluator did not bless, without a reason, so it is not pushed. "
            "Clear the task that asks, and answer again with a reason."
        )
    for key, number in {
        constants.ARTIFACT_PROPERTY_BLESSED_KEY: int(yes),
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY: model.id,
        "approved": int(yes),
        "verdict_blessed": int(blessed),
        "verdict_id": verdict.id,
        "overridden": int(yes != blessed),
    }.items():
        blessing.set_int_custom_property(key, number)
    for key, text in {
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY: model.uri,
        "approved_by": name,
        "reason": why,
        "answered_at": answered_at,
    }.items():
        blessing.set_string_custom_property(key, text)
    file = constants.BLESSED_FILE_NAME if yes else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(os.path.join(blessing.uri, file), "")
    logging.info(
        "Model %d: %s by %s%s. The Evaluator had %s it.",
        model.id,
        "approved" if yes else "not approved",
        name or "nobody, in time",
        f" ({why})" if why else "",
        "blessed" if blessed else "not blessed",
    )
