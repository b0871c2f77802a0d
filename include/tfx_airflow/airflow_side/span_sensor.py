"""`SpanSensor`: a run's span, chosen by its data interval, and the wait for its data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from datetime import timezone as zones
from typing import Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.tfx_airflow.airflow_side import machines, object_store, span_number
from include.tfx_airflow.airflow_side.skips import XCOM_KEY, Skip
from include.tfx_airflow.airflow_side.span_number import SpanError
from include.tfx_airflow.contract import fingerprint
from include.tfx_airflow.contract.errors import SettingsError
from include.tfx_airflow.contract.spans import MARKER
from include.tfx_airflow.settings import read_settings

_VERSION = re.compile(r"v(\d+)")


class SpanSensor(BaseOperator):
    """Waits until a version of the run's span is complete; skips the run when none comes.

    The span is, in this order: the Param `span` of a run triggered manually, the partition key of a run
    triggered by an Asset, the start of the data interval in the time zone of the schedule. Never
    "the latest": a run for last March reads last March, whenever it runs.

    While it waits it is deferred and occupies no worker. Only the triggerer's own time trigger is
    used, so the triggerer needs neither this bundle nor access to the data.

    XCom `return_value`: {"span": 201403, "version": 1, "path": "<root>/201403/v1"}; of a skipped task
    `tfx_skip` instead, which says why.
    """

    template_fields: Sequence[str] = ("root",)
    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        root: str,
        span_format: str = "%Y%m",
        timezone: str | None = None,
        patience: timedelta = timedelta(days=3),
        poke_interval: timedelta = timedelta(minutes=5),
        **kwargs: Any,
    ):
        """Makes the task.

        Args:
          root: Folder with `<span>/v<version>/`, see `spans.py`: a path, or an address in an object store.
            `${TFX_AIRFLOW_HOME}` and `${BUNDLE_ROOT}` are filled in.
          span_format: `strftime` format that makes a span's digits from the start of the data interval.
          timezone: Time zone of that start, such as "UTC". Default: that of the DAG's schedule, or of the DAG when its
            schedule has none.
          patience: How long after the end of the data interval (or after the trigger, without one)
            data may arrive. A backfill of the past does not wait.
          poke_interval: Time between two checks.
          **kwargs: Of Airflow's BaseOperator.

        Raises:
          ConfigError: The format does not make numbers that grow with time, there is no such time zone, or the object store
            of the root cannot be used.
        """
        super().__init__(**kwargs)
        object_store.check({f"root of {self.task_id!r}": root}, read_settings(), here=True)
        span_number.check_format(span_format)
        self.root = root
        self.span_format = span_format
        self.timezone = timezone
        self._zone = span_number.zone_of(timezone) if timezone else None
        self.patience = patience
        self.poke_interval = poke_interval

    def execute(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Checks once; see the class.

        Raises:
          AirflowSkipException: The span did not arrive in time.
          AirflowFailException: The run has no span, or this machine another `home`.
          ObjectStoreError: The object store does not answer.
          TaskDeferred: The span is not there yet.
        """
        try:
            span = span_number.of_run(context, self.span_format, self._zone)
        except SpanError as error:
            raise AirflowFailException(str(error)) from None
        settings = read_settings()
        if machines.HOME in self.root:  # in another folder of that name no span would ever come
            try:
                machines.check_home(settings, f"{self.task_id!r} waits for files in it")
            except SettingsError as error:
                raise AirflowFailException(str(error)) from None
        root = fingerprint.concrete(self.root, settings.roots()).rstrip("/")
        folder = f"{root}/{span}"
        with object_store.answered(folder):
            complete, unfinished = _versions(object_store.file_system(root, settings), folder)
        if complete:
            version = max(complete)
            self.log.info("Span %d: version %d is complete: %s", span, version, f"{folder}/v{version}")
            return {"span": span, "version": version, "path": f"{folder}/v{version}"}
        left = _start(context) + self.patience - datetime.now(zones.utc)
        missing = f"no version below {folder!r} has a {MARKER} file" + (
            f" (unfinished: {', '.join(f'v{number}' for number in unfinished)})" if unfinished else ""
        )
        if left <= timedelta():
            reason = (
                f"span {span} did not arrive within {self.patience}: {missing}. Older data is not used instead. "
                "When it is there, clear this task, or trigger a run with the Param span."
            )
            skip = Skip(self.task_id, reason, outside=True)
            context["ti"].xcom_push(key=XCOM_KEY, value=dataclasses.asdict(skip))
            raise AirflowSkipException(reason)
        wait = min(self.poke_interval, left)
        self.log.info("Span %d: %s. Checking again in %s, for %s more.", span, missing, wait, left)
        self.defer(trigger=TimeDeltaTrigger(wait), method_name="execute")
        raise AssertionError("unreachable")


def range_config(task_id: str) -> str:
    """A template for `computed_parameters`: the span that a SpanSensor found, as an ExampleGen takes it.

    Args:
      task_id: Of the sensor: in the mapped task group of the pipeline, if it is in one, or not in a mapped one.
    """
    # Without map_indexes Airflow gives the values of all items of a mapped group, as a list.
    found = f'ti.xcom_pull(task_ids="{task_id}", map_indexes=[ti.map_index, -1]) | select | first'
    span = f'{{{{ ({found})["span"] }}}}'
    return f'{{"static_range": {{"start_span_number": {span}, "end_span_number": {span}}}}}'


def _start(context: Context) -> datetime:
    return context.get("data_interval_end") or context["dag_run"].run_after


def _versions(files: Any, folder: str) -> tuple[list[int], list[int]]:
    """Numbers of the complete and of the unfinished versions."""
    complete: list[int] = []
    unfinished: list[int] = []
    try:
        entries = sorted(files.ls(folder, detail=False))
    except (FileNotFoundError, NotADirectoryError):
        entries = []
    for entry in entries:
        found = _VERSION.fullmatch(entry.rstrip("/").rpartition("/")[2])
        if found:
            (complete if files.exists(f"{entry.rstrip('/')}/{MARKER}") else unfinished).append(int(found[1]))
    return complete, unfinished
