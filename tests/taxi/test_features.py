"""The label rule and the Transform step, run on small batches in memory."""

from __future__ import annotations

import math

import pytest
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from include.taxi import features, preprocessing
from tests.components.patched_beam import patched_beam

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


_OFTEN = features.VOCABULARY_FEATURES["company"]
TIPS = (0.0, 1.0, 50.0, None)
TRIPS: dict[str, dict[str, object]] = {
    "ordinary": TRIP,
    "a fifth": {**TRIP, "tips": 2.0},
    "no fare": {**TRIP, "fare": 0.0},
    "fare missing": {**TRIP, "fare": None},
    "tips missing": {**TRIP, "tips": None},
    "long": {**TRIP, "fare": 30.0, "trip_miles": 9.0},
    "empty": dict.fromkeys(TRIP),
    "strange": {**TRIP, "trip_start_hour": 24, "trip_start_day": 0, "pickup_community_area": 78},
    "one car": {**TRIP, "company": "One car"},
    "another car": {**TRIP, "company": "Another car"},
    "no company": {**TRIP, "company": None},
    **{f"tips of {tips}": {**TRIP, "tips": tips} for tips in TIPS},
    **{f"ordinary {number}": TRIP for number in range(_OFTEN)},
    **{f"no company {number}": {**TRIP, "company": None} for number in range(_OFTEN)},
}


@pytest.fixture(scope="module")
def transformed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """TRIPS, analyzed and transformed together: a dictionary of scalars for each trip."""
    # TensorFlow's last bit depends on a row's place in its batch, and Beam sizes batches by how long they take.
    context = tft_beam.Context(temp_dir=str(tmp_path_factory.mktemp("transform")), desired_batch_size=1)
    with patched_beam(), context:
        (rows, _), _ = (
            [sparse_row(trip) for trip in TRIPS.values()],
            raw_metadata(),
        ) | tft_beam.AnalyzeAndTransformDataset(preprocessing.preprocessing_fn)
    scalars = [{name: value[0] for name, value in row.items()} for row in rows]
    return dict(zip(TRIPS, scalars, strict=True))


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
def test_transform_labels_missing_and_zero_values_as_no_big_tip(
    transformed: dict[str, dict[str, object]],
) -> None:
    names = ("ordinary", "a fifth", "no fare", "fare missing", "tips missing")
    assert [transformed[name][features.LABEL] for name in names] == [1, 0, 0, 0, 0]


@pytest.mark.slow
def test_the_tip_does_not_reach_any_model_input(transformed: dict[str, dict[str, object]]) -> None:
    rows = [transformed[f"tips of {tips}"] for tips in TIPS]
    assert len({row[features.LABEL] for row in rows}) == 2
    inputs = [{name: value for name, value in row.items() if name != features.LABEL} for row in rows]
    assert all(row == inputs[0] for row in inputs)
    assert features.RAW_LABEL not in features.MODEL_INPUTS


@pytest.mark.slow
def test_an_empty_trip_becomes_finite_values_and_codes_in_range(
    transformed: dict[str, dict[str, object]],
) -> None:
    for row in transformed.values():
        for name in features.NUMERIC_FEATURES:
            assert math.isfinite(row[features.scaled_name(name)])
        for name, size in features.code_sizes().items():
            assert 0 <= row[name] < size, name
    empty = transformed["empty"]
    for name in features.NUMERIC_FEATURES:
        assert empty[features.scaled_name(name)] == 0.0
    for name in features.CODED_FEATURES:
        assert empty[features.code_name(name)] == 0
    assert transformed["long"][features.scaled_name("fare")] > 0


@pytest.mark.slow
def test_codes_outside_the_published_range_count_as_missing(
    transformed: dict[str, dict[str, object]],
) -> None:
    first, second = transformed["ordinary"], transformed["strange"]
    assert first[features.code_name("trip_start_hour")] == 1
    assert first[features.code_name("dropoff_community_area")] == 77
    for name in ("trip_start_hour", "trip_start_day", "pickup_community_area"):
        assert second[features.code_name(name)] == 0


@pytest.mark.slow
def test_rare_companies_share_a_code_and_a_missing_company_has_its_own(
    transformed: dict[str, dict[str, object]],
) -> None:
    names = ("ordinary", "no company", "one car", "another car")
    common, missing, one, another = (transformed[name][features.code_name("company")] for name in names)
    assert one == another
    assert len({common, missing, one}) == 3
