"""Positions of the lineage picture, figures, tiny drawings, and how numbers are written."""

from __future__ import annotations

import math

import pytest
from mlmd_panel import formats
from mlmd_panel.evaluation.changes import wording
from mlmd_panel.payloads.data.histograms import Bucket, Histogram
from mlmd_panel.payloads.evaluation.metrics import Interval, Metric, MetricKey
from mlmd_panel.payloads.evaluation.plots import Calibration, ClassMatrix, ConfusionCurve
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.store.records import Artifact, Event, Execution, Lineage
from mlmd_panel.web import charts, graph_layout, sparklines


def _lineage(*edges: tuple[str, int, int], cut: bool = False) -> Lineage:
    artifacts = {a: Artifact(a, "Type", "", "", "LIVE", 0, 0) for _, a, _ in edges}
    executions = {e: Execution(e, "x.Node", "Node", "COMPLETE", 0, 0, None, None) for _, _, e in edges}
    events = tuple(Event(a, e, kind, "key", 0, 0) for kind, a, e in edges)
    return Lineage(executions, artifacts, events, cut)


def test_what_was_made_stands_to_the_right_of_what_it_was_made_from() -> None:
    picture = graph_layout.picture(
        _lineage(("OUTPUT", 1, 1), ("INPUT", 1, 2), ("OUTPUT", 2, 2), ("INPUT", 2, 3))
    )
    x = {(box.kind, box.id): box.x for box in picture.boxes}
    order = [("execution", 1), ("artifact", 1), ("execution", 2), ("artifact", 2), ("execution", 3)]
    assert [x[one] for one in order] == sorted(x.values())
    assert len(set(x.values())) == 5
    assert len(picture.arrows) == 4
    assert all(box.x + picture.box_width <= picture.width for box in picture.boxes)
    assert all(0 <= box.y and box.y + picture.box_height <= picture.height for box in picture.boxes)


def test_boxes_do_not_overlap() -> None:
    edges = [("OUTPUT", a, 1) for a in range(1, 40)] + [("INPUT", a, a) for a in range(2, 40)]
    picture = graph_layout.picture(_lineage(*edges))
    for one in picture.boxes:
        for other in picture.boxes:
            if one is not other and abs(one.x - other.x) < picture.box_width:
                assert abs(one.y - other.y) >= picture.box_height


def test_cycles_events_without_ends_and_nothing_at_all_are_drawn() -> None:
    assert graph_layout.picture(Lineage({}, {}, (), False)).boxes == ()
    cycle = graph_layout.picture(_lineage(("OUTPUT", 1, 1), ("INPUT", 1, 1)))
    assert len(cycle.boxes) == len(cycle.arrows) == 2
    lost = Lineage({}, {1: Artifact(1, "T", "", "", "LIVE", 0, 0)}, (Event(1, 9, "INPUT", "", 0, 0),), True)
    assert len(graph_layout.picture(lost).boxes) == 1
    assert graph_layout.picture(lost).arrows == ()


def test_long_edges_bend_around_boxes() -> None:
    places, bends = graph_layout.sugiyama(4, [(0, 1), (1, 2), (2, 3), (0, 3)])
    assert [len(one) for one in bends] == [0, 0, 0, 2]
    assert places[1][0] == bends[3][0][0]
    assert places[1][1] != bends[3][0][1]


def test_a_large_lineage_is_laid_out() -> None:
    edges = [(max(n - 7, 0), n) for n in range(1, 1000)] + [(n // 2, n) for n in range(2, 1000)]
    places, bends = graph_layout.sugiyama(1000, edges)
    assert len(places) == 1000
    assert len(bends) == len(edges)


def _metric(value: float, lower: float | None = None, upper: float | None = None) -> Metric:
    interval = None if lower is None else Interval(lower, upper)
    return Metric(MetricKey("auc"), "number", value, interval)


def _slice(value: str) -> Slice:
    return Slice((("f", value),))


def test_slices_have_whiskers_where_intervals_mean_something() -> None:
    rows = [
        (Slice(()), _metric(0.5, 0.25, 1.0)),
        (_slice("a"), _metric(0.5)),
        (_slice("c"), _metric(0.5, math.nan, 1.0)),
    ]
    (trace,) = charts.slices(rows, "auc")["data"]
    assert trace["x"] == [0.5, 0.5, 0.5]
    assert trace["error_x"]["array"] == [0.5, 0, 0]
    assert trace["error_x"]["arrayminus"] == [0.25, 0, 0]
    assert charts.slices([], "auc")["data"][0]["x"] == []


def test_texts_in_figures_hold_no_tags() -> None:
    figure = charts.slices([(_slice("<a href='javascript:x'>"), _metric(1.0))], "<b>")
    shown = figure["layout"]["yaxis"]["ticktext"] + figure["data"][0]["customdata"][0]
    assert not any("<" in text for text in [*shown, figure["layout"]["xaxis"]["title"]["text"]])


def test_curves_and_the_confusion_at_a_threshold() -> None:
    curve = ConfusionCurve(
        (-1e-7, 0.4, 1.0),
        (4, 3, 0),
        (4, 1, 0),
        (0, 3, 4),
        (0, 1, 4),
        (0.5, 0.75, math.nan),
        (1, 0.75, 0),
        (1, 0.25, 0),
    )
    assert charts.roc(curve)["data"][1]["x"] == [1, 0.25, 0]
    assert charts.roc(curve)["data"][1]["y"] == [1, 0.75, 0]
    assert charts.precision_recall(curve)["data"][0]["x"] == [1, 0.75, 0]
    assert charts.binary(curve) == (0.4, [("Negative", 3, 1), ("Positive", 1, 3)])
    assert charts.binary(ConfusionCurve((), (), (), (), (), (), (), ())) is None


def test_calibration_leaves_out_empty_buckets_and_open_ends_have_a_width() -> None:
    found = Calibration(
        (-math.inf, 0.0, 0.5, 1.0), (0.0, 0.5, 1.0, math.inf), (0, 2, 4, 0), (0, 1, 3, 0), (0, 0.5, 3, 0)
    )
    points = charts.calibration(found)["data"][1]
    assert (points["x"], points["y"]) == ([0.25, 0.75], [0.5, 0.75])
    assert all(math.isfinite(n) for key in ("x", "width") for n in charts.predictions(found)["data"][0][key])


def test_classes_are_shares_of_the_actual_class() -> None:
    trace = charts.classes(
        ClassMatrix(0.5, ((0, 0, 3.0), (0, 1, 1.0), (1, -1, 2.0)), False, ((0, 4.0), (1, 2.0)), 3)
    )["data"][0]
    assert trace["x"] == ["none", "0", "1"]
    assert trace["z"] == [[0, 0.75, 0.25], [1, 0, 0]]


def test_quantiles_are_drawn_as_density() -> None:
    buckets = (Bucket(0, 1, 10), Bucket(1, 3, 10), Bucket(3, 3, 10), Bucket(3, math.inf, 1))
    trace = charts.histogram(Histogram("QUANTILES", "", 0, 0, buckets, False))["data"][0]
    assert trace["y"][:2] == [10, 5]
    assert trace["width"][2] > 0
    assert len(trace["x"]) == 3


def test_drawings_leave_out_what_is_no_number_and_escape_titles() -> None:
    line = sparklines.sparkline([1.0, None, math.nan, 2.0, 3.0], "<script>")
    assert line.count("<polyline") == 2
    assert "<script>" not in line
    assert sparklines.sparkline([1.0, None], "") == ""
    assert sparklines.bars([], "") == ""
    assert "nan" not in sparklines.bars([math.nan, 2.0], "")
    assert sparklines.margin(None, 1.0, True, None) == sparklines.margin(math.inf, 1.0, True, None) == ""
    assert 'width="100.00"' in sparklines.time_bar(0, 10, 0, 10, "COMPLETE", "all of it")
    assert sparklines.time_bar(5, 5, 0, 99, "RUNNING", "odd").count("<rect") == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0.81234567, "0.8123"), (15002, "15,002"), (-3.5, "−3.5"), (1.25e-7, "1.250e−07"),
        (math.nan, "NaN"), (-math.inf, "−∞"), (True, "True"), (2**70, f"{float(2**70):.3e}"), (0.0, "0"),
    ],
)  # fmt: skip
def test_numbers(value: object, text: str) -> None:
    assert formats.number(value) == text


def test_times_durations_shares_and_sizes() -> None:
    assert formats.utc(1_388_534_400_000) == "2014-01-01T00:00:00.000Z"
    assert formats.utc(0) == formats.utc(2**62) == ""
    durations = [formats.duration(n) for n in (None, -5, 999, 4200, 185_000, 7_800_000, 300_000_000)]
    assert durations == ["–", "0 ms", "999 ms", "4.2 s", "3 min 5 s", "2 h 10 min", "3 d 11 h"]
    assert [formats.percent(n) for n in (None, 0, 0.0001, 0.125, 1, math.nan)] == [
        "–",
        "0%",
        "<0.1%",
        "12.5%",
        "100%",
        "NaN",
    ]
    assert [formats.size(n) for n in (None, 5, 1400, 3_000_000, 10**18)] == [
        "–",
        "5 B",
        "1.4 kB",
        "3.0 MB",
        "1,000,000.0 TB",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0004, "<0.1%"), (-0.0004, ">−0.1%"), (-0.0007, "−0.1%"), (-0.002, "−0.2%"), (-0.0, "0%"), (-0.125, "−12.5%"),
        (0.9999, ">99.9%"), (0.9994, "99.9%"), (0.1 + 0.2 + 0.3 + 0.3 + 0.1, "100%"), (1.0004, ">100%"), (1.001, "100.1%"),
        (-0.9999, "<−99.9%"), (-1, "−100%"), (-1.0004, "<−100%"), (12.345, "1234.5%"),
    ],
)  # fmt: skip
def test_a_share_is_0_or_100_percent_only_if_it_is(value: float, text: str) -> None:
    assert formats.percent(value) == text


def test_a_share_in_a_sentence_is_100_percent_only_if_it_is() -> None:
    assert [wording.share(one) for one in (0.99996, 0.9994, 1)] == [">99.9%", "99.9%", "100%"]


def test_a_level_is_said_with_all_its_digits() -> None:
    assert [formats.exact_percent(level) for level in (0.55, 0.57, 0.8, 0.95, 0.975, 0.9999, 1 - 2**-53, 1)] == [
        "55%", "57%", "80%", "95%", "97.5%", "99.99%", "99.99999999999999%", "100%",
    ]  # fmt: skip


def test_a_count_has_its_noun_in_the_right_number() -> None:
    assert formats.counted(1, "slice") == "1 slice"
    assert [formats.counted(n, "slice") for n in (0, 2, 1200)] == ["0 slices", "2 slices", "1,200 slices"]
    assert formats.counted(3, "entry", "entries") == "3 entries"
