"""Raw trips: their columns, what makes a row usable, and its month. Standard library only."""

from __future__ import annotations

import csv
import datetime
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

TIME, LABEL = "trip_start_timestamp", "tips"
_WHOLE = (
    "pickup_community_area dropoff_community_area trip_start_month trip_start_hour trip_start_day "
    "pickup_census_tract dropoff_census_tract trip_start_timestamp trip_seconds"
).split()
_AMOUNTS = "fare trip_miles tips".split()
_PLACES = "pickup_latitude pickup_longitude dropoff_latitude dropoff_longitude".split()
_TEXTS = "payment_type company".split()
COLUMNS = (*_WHOLE, *_AMOUNTS, *_PLACES, *_TEXTS)
# The city's records begin in 2013; a time far from that is a unit or a column gone wrong.
_YEARS = (2010, 2100)


class BadRowError(ValueError):
    """Why a row cannot be used."""


def cleaned(row: Mapping[str, str]) -> dict[str, str]:
    """Returns the row with its numbers in one notation, so that a column has the same type in every month.

    Args:
        row: Column to text; an absent value is the empty text. Amounts are in dollars and miles.

    Returns:
        The same columns; whole numbers without a point, other numbers with one.

    Raises:
        BadRowError: It cannot be used; the message names the column and what is wrong with it.
    """
    try:
        "".join(row.values()).encode()
    except UnicodeEncodeError:
        raise BadRowError("not UTF-8") from None
    for name, value in row.items():
        if "\n" in value or "\r" in value:
            raise BadRowError(f"{name}: a line break")
    for name in (TIME, LABEL):
        if not row[name]:
            raise BadRowError(f"{name}: missing")
    clean = dict(row)
    for name in (*_WHOLE, *_AMOUNTS, *_PLACES):
        if row[name]:
            number = _number(name, row[name])
            clean[name] = str(int(number)) if name in _WHOLE else repr(number)
    year = month_of(clean, "%Y")
    if not year or not _YEARS[0] <= int(year) < _YEARS[1]:
        raise BadRowError(f"{TIME}: not a time from {_YEARS[0]} to {_YEARS[1] - 1}")
    return clean


def _number(name: str, text: str) -> float:
    try:
        # Python would take 1_000 for a number.
        number = math.nan if "_" in text else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadRowError(f"{name}: not a number")
    if name in _WHOLE and not number.is_integer():
        raise BadRowError(f"{name}: not a whole number")
    if number < 0 and name not in _PLACES:
        raise BadRowError(f"{name}: negative")
    return number


def month_of(row: Mapping[str, str], form: str = "%Y%m") -> str:
    """Returns the month in which a trip began, such as "201403"; empty when the time is not a time.

    The sample's times are Chicago's wall clock written as if it were UTC: its month column says so.
    """
    try:
        return datetime.datetime.fromtimestamp(float(row[TIME]), datetime.timezone.utc).strftime(form)
    except (ValueError, OverflowError, OSError):
        return ""


def records(reader: Any) -> Iterator[tuple[int, list[str], str]]:
    """Yields line number, values and error of each record of a CSV reader: one that cannot be split does not end them."""
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, [], str(error)
            continue
        if values:
            yield reader.line_num, values, ""


def csv_line(values: Iterable[str]) -> str:
    """Returns the values as one line of CSV, without its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()
