"""The span of a run: a number such as 201403, chosen by the run's data interval.

A span is the start of the data interval in the time zone of the schedule: a cron schedule has its own, which may differ
from the DAG's and from Airflow's default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

from include.tfx_airflow.contract.errors import ConfigError, TfxAirflowError

_DIGITS = re.compile(r"[1-9][0-9]{0,17}")
_CURE = "give the Param span, such as 201403."


class SpanError(TfxAirflowError):
    """A run has no span."""

    headline = "Span"


def of_run(context: Mapping[str, Any], span_format: str, zone: tzinfo | None = None) -> int:
    """The span of a run: its Param `span`, else its partition key, else that of its data interval.

    Args:
      context: Airflow's, of one of the run's tasks.
      span_format: `strftime` format of a span's digits.
      zone: Time zone of the span; None for that of the schedule.

    Raises:
      SpanError: The run has none; the message says what to do.
    """
    given = context["params"].get("span")
    if given is None:
        given = context.get("partition_key")
    run = f"run {context.get('run_id')!r}"
    if given is None:
        start, end = context.get("data_interval_start"), context.get("data_interval_end")
        if start is None:
            raise SpanError(f"{run} has no span: it was triggered without a data interval, so {_CURE}")
        if start == end:
            raise SpanError(
                f"{run} has no span: its data interval is a single moment, {start.isoformat()}, so {_CURE} "
                "For a cron schedule, use schedule=CronDataIntervalTimetable('@monthly', timezone='UTC')."
            )
        given = _digits(_start(context["dag"], start, end, zone), span_format)
    if not _DIGITS.fullmatch(str(given)):
        raise SpanError(f"span {given!r} of {run} is not a number such as 201403.")
    return int(given)


def clock(dag: Any) -> tzinfo:
    """The time zone in which a DAG's data intervals begin and end: that of its schedule, else its own."""
    return _zone(_timetable(dag)) or dag.timezone


def zone_of(name: str) -> tzinfo:
    """A time zone by its name.

    Raises:
      ConfigError: There is no such time zone.
    """
    import pendulum

    try:
        return pendulum.timezone(name)
    except (ValueError, KeyError):
        raise ConfigError(f"{name!r} is not a time zone such as 'UTC' or 'America/Chicago'.") from None


def check_format(span_format: str) -> None:
    """Refuses a format whose numbers do not grow with time, as windows and baselines need them to.

    Raises:
      ConfigError: The numbers do not grow with time.
    """
    moments = (datetime(2013, 12, 31, 23), datetime(2014, 1, 1), datetime(2014, 2, 1), datetime(2014, 10, 1))
    digits = [moment.strftime(span_format) for moment in moments]
    numbers = [int(text) if _DIGITS.fullmatch(text) else -1 for text in digits]
    if -1 in numbers or sorted(numbers) != numbers or numbers[0] == numbers[-1]:
        raise ConfigError(
            f"span_format {span_format!r} does not make numbers that grow with time, as '%Y%m' does (201403): "
            f"for {moments[0]} to {moments[-1]} it makes {', '.join(digits)}."
        )


def _start(dag: Any, start: datetime, end: datetime | None, zone: tzinfo | None) -> datetime:
    """Start of the data interval in the time zone of the span."""
    timetable, own = _timetable(dag), clock(dag)
    if zone is None and _timetable_field(timetable, "delta") and _changes(own, start.year):
        raise SpanError(
            f"schedule={_timetable_field(timetable, 'delta')!r} ignores daylight saving time, and {own} has it: data intervals do "
            "not stay at the same hour. Use a CronDataIntervalTimetable, or give SpanSensor the timezone in which "
            "they are counted, such as 'UTC'."
        )
    days = _timetable_field(timetable, "interval")
    if days and end is not None and not (isinstance(days, timedelta) and days.seconds):
        # Airflow counts back in steps of 24 hours, which may miss midnight of the intended day.
        start = (end.astimezone(own).replace(tzinfo=None) - days).replace(tzinfo=own)
    return start.astimezone(zone or own)


def _digits(start: datetime, span_format: str) -> str:
    zone, digits = start.tzinfo, start.strftime(span_format)
    other_hour = start.replace(hour=(start.hour + 12) % 24).strftime(span_format)
    if zone and digits != other_hour:
        wall = start.replace(tzinfo=None)
        if zone.utcoffset(wall.replace(fold=0)) != zone.utcoffset(wall.replace(fold=1)):
            raise SpanError(
                f"{digits} stands for two hours, before and after daylight saving time ends in {zone}. For hourly spans "
                "use SpanSensor(timezone='UTC'), or another time zone without it."
            )
    return digits


def _changes(zone: tzinfo, year: int) -> bool:
    return len({zone.utcoffset(datetime(year, month, 1)) for month in range(1, 13)}) > 1


def _timetable(dag: Any) -> Any:
    """The timetable that makes the data intervals; where timetables are combined, the first of them."""
    timetable = getattr(dag, "timetable", None)
    while inner := _timetable_field(timetable, "timetable") or next(
        iter(_timetable_field(timetable, "timetables") or ()), None
    ):
        timetable = inner
    return timetable


def _zone(timetable: Any) -> tzinfo | None:
    zone = _timetable_field(timetable, "timezone")
    return zone_of(zone) if isinstance(zone, str) else zone


def _timetable_field(timetable: Any, name: str) -> Any:
    """A timetable's field, as named in DAG files or as named in Airflow's scheduler."""
    return getattr(timetable, name, None) or getattr(timetable, f"_{name}", None)
