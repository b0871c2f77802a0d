"""Arguments that `Pipeline` of TFX took before 1.16: read while a legacy file is executed, and honoured or noted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from tfx.orchestration import pipeline as pipeline_lib

_STORE = "_metadata_db_root"


def accept() -> Callable[[], None]:
    """Makes `Pipeline` take `additional_pipeline_args` and `metadata_db_root`; returns what undoes it."""
    original = pipeline_lib.Pipeline.__init__

    @functools.wraps(original)
    def init(
        self: pipeline_lib.Pipeline,
        *arguments: Any,
        additional_pipeline_args: dict[str, Any] | None = None,
        metadata_db_root: Any = None,
        **keywords: Any,
    ) -> None:
        more = dict(additional_pipeline_args or {})
        if "beam_pipeline_args" in more:  # as then, it comes before the argument of that name
            keywords["beam_pipeline_args"] = more.pop("beam_pipeline_args")
        original(self, *arguments, **keywords)
        self.additional_pipeline_args = more
        setattr(self, _STORE, metadata_db_root)

    def undo() -> None:
        pipeline_lib.Pipeline.__init__ = original

    pipeline_lib.Pipeline.__init__ = init
    return undo


def notes(pipeline: pipeline_lib.Pipeline) -> Iterator[str]:
    """What to say of those that have no effect; of their values, which may be secrets, nothing."""
    if names := sorted(set(pipeline.additional_pipeline_args) - {"tmp_dir"}):
        yield (
            f"additional_pipeline_args of the pipeline ({', '.join(map(str, names))}) have no effect: TFX's launcher "
            "takes none, and Airflow keeps the logs of tasks."
        )
    if getattr(pipeline, _STORE, None):
        yield (
            "metadata_db_root of the pipeline has no effect: the store is that of the Airflow Connection which "
            "[tfx_airflow] mlmd_conn_id names, or the embedded one."
        )
