"""Small files of raw taxi trips where taxi_ingest looks for them."""

from __future__ import annotations

import csv
from pathlib import Path

from tests.bundle import Bundle

MONTHS = {"201401": 1389000000, "201402": 1392000000, "201403": 1394500000}
_COLUMNS = (
    "pickup_community_area dropoff_community_area trip_start_month trip_start_hour trip_start_day "
    "pickup_census_tract dropoff_census_tract trip_start_timestamp trip_seconds fare trip_miles tips "
    "pickup_latitude pickup_longitude dropoff_latitude dropoff_longitude payment_type company"
).split()


def raw_folder(bundle: Bundle) -> Path:
    """Where taxi_ingest looks for raw trips."""
    folder = bundle.home / "tfx/taxi/raw"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_raw(bundle: Bundle, *, tips: float = 1, bad: bool = False) -> str:
    """Three months of two trips each, and rows that cannot be used; returns the name of the file."""
    path = raw_folder(bundle) / "raw.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, restval="")
        writer.writeheader()
        for month, moment in MONTHS.items():
            for fare in (5, 6):
                changed = tips if month == "201402" else 1
                writer.writerow({"trip_start_timestamp": moment, "tips": changed, "fare": fare})
        if bad:
            writer.writerow({"trip_start_timestamp": MONTHS["201401"], "tips": 1, "fare": "free"})
            writer.writerow({"trip_start_timestamp": "", "tips": 1})
    return path.name
