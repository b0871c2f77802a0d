"""The label rule and the Transform step, run on small batches in memory."""

from __future__ import annotations

import math
import pathlib

import pytest
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from include.taxi import features, preprocessing

TRIP = {
    "trip_miles": 2.5,
    "trip_seconds": 600,
    "fare": 10.0,
    "trip_start_hour": 0,
    "trip_start_day": 1,
    "trip_start_month": 12,
    "pickup_community_area": 8,
    "dropoff_community_area": 77,
    "payment_type": "Credit Card",
    "company": "Dispatch Taxi Affiliation",
    "tips": 2.5,
}


def raw_metadata() -> dataset_metadata.DatasetMetadata:
    """Returns a schema in which every column of TRIP is optional, as inferred from the CSV file."""
    dtypes = {int: tf.int64, float: tf.float32, str: tf.string}
    spec = {name: tf.io.VarLenFeature(dtypes[type(value)]) for name, value in TRIP.items()}
    return dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))


def sparse_row(trip: dict[str, object]) -> dict[str, list[object]]:
    """Returns the trip as optional columns: a list of one value, or an empty list for None."""
    return {name: [] if trip[name] is None else [trip[name]] for name in TRIP}


def transform(trips: list[dict[str, object]], folder: pathlib.Path) -> list[dict[str, object]]:
    """Analyzes and transforms the trips; returns one dictionary of scalars per trip."""
    with tft_beam.Context(temp_dir=str(folder)):
        (rows, _), _ = (
            [sparse_row(trip) for trip in trips],
            raw_metadata(),
        ) | tft_beam.AnalyzeAndTransformDataset(preprocessing.preprocessing_fn)
    return [{name: value[0] for name, value in row.items()} for row in rows]


@pytest.mark.parametrize(
    ("tips", "fare", "expected"),
    [
        (2.01, 10.0, 1),
        (2.0, 10.0, 0),
        (0.0, 10.0, 0),
        (5.0, 0.0, 0),
        (5.0, -1.0, 0),
        (math.nan, 10.0, 0),
        (2.5, math.nan, 0),
    ],
)
def test_label_needs_a_known_tip_above_a_fifth_of_a_positive_fare(
    tips: float, fare: float, expected: int
) -> None:
    label = features.big_tip(tf.constant([[tips]]), tf.constant([[fare]]))
    assert label.shape == (1, 1)
    assert label.dtype == tf.int64
    assert int(label[0, 0]) == expected


@pytest.mark.slow
def test_transform_labels_missing_and_zero_values_as_no_big_tip(tmp_path: pathlib.Path) -> None:
    trips = [
        TRIP,
        {**TRIP, "tips": 2.0},
        {**TRIP, "fare": 0.0},
        {**TRIP, "fare": None},
        {**TRIP, "tips": None},
    ]
    assert [row[features.LABEL] for row in transform(trips, tmp_path)] == [1, 0, 0, 0, 0]


@pytest.mark.slow
def test_the_tip_does_not_reach_any_model_input(tmp_path: pathlib.Path) -> None:
    trips = [{**TRIP, "tips": tips} for tips in (0.0, 1.0, 50.0, None)]
    rows = transform(trips, tmp_path)
    inputs = [{name: value for name, value in row.items() if name != features.LABEL} for row in rows]
    assert all(row == inputs[0] for row in inputs)
    assert features.RAW_LABEL not in features.MODEL_INPUTS


@pytest.mark.slow
def test_an_empty_trip_becomes_finite_values_and_codes_in_range(tmp_path: pathlib.Path) -> None:
    empty = dict.fromkeys(TRIP)
    rows = transform([TRIP, {**TRIP, "fare": 30.0, "trip_miles": 9.0}, empty], tmp_path)
    for row in rows:
        for name in features.NUMERIC_FEATURES:
            assert math.isfinite(row[features.scaled_name(name)])
        for name, size in features.code_sizes().items():
            assert 0 <= row[name] < size, name
    for name in features.NUMERIC_FEATURES:
        assert rows[2][features.scaled_name(name)] == 0.0
    for name in features.CODED_FEATURES:
        assert rows[2][features.code_name(name)] == 0


@pytest.mark.slow
def test_codes_outside_the_published_range_count_as_missing(tmp_path: pathlib.Path) -> None:
    strange = {**TRIP, "trip_start_hour": 24, "trip_start_day": 0, "pickup_community_area": 78}
    first, second = transform([TRIP, strange], tmp_path)
    assert first[features.code_name("trip_start_hour")] == 1
    assert first[features.code_name("dropoff_community_area")] == 77
    for name in ("trip_start_hour", "trip_start_day", "pickup_community_area"):
        assert second[features.code_name(name)] == 0


@pytest.mark.slow
def test_rare_companies_share_a_code_and_a_missing_company_has_its_own(
    tmp_path: pathlib.Path,
) -> None:
    often = features.VOCABULARY_FEATURES["company"]
    trips = [TRIP] * often + [{**TRIP, "company": None}] * often
    trips += [{**TRIP, "company": "One car"}, {**TRIP, "company": "Another car"}]
    codes = [row[features.code_name("company")] for row in transform(trips, tmp_path)]
    common, missing, one, another = codes[0], codes[often], codes[-2], codes[-1]
    assert one == another
    assert len({common, missing, one}) == 3
