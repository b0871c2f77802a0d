"""What changed between two runs of a real store, with all files, with some gone, and for who may not see all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mlmd_panel.evaluation.changes.anomalies import GONE, NEW, STILL
from mlmd_panel.evaluation.changes.changed import Changed, Changes
from mlmd_panel.evaluation.changes.sides import Side
from mlmd_panel.evaluation.changes.slice_features import drifted_for
from mlmd_panel.files.allowed import Files
from mlmd_panel.json_text import to_json
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.store.records import Execution, Property, Run, RunDetail
from mlmd_panel.store.run_summaries import RunSummary

from tests.panel.changed_runs import AGAIN, BEFORE, NOW, OTHER, PROMOTED, changed_runs


@pytest.fixture(scope="module")
def changes() -> Changes:
    return changed_runs().between(BEFORE, NOW)


def _of(changes: Changes, kind: str, word: str = "") -> Changed:
    (found,) = (item for item in changes.of_kind(kind) if word in item.what)
    return found


def test_what_changed_is_one_list_with_what_is_least_expected_first(changes: Changes) -> None:
    assert [item.kind for item in changes.items] == [
        "code", "libraries", "parameters", "hyperparameters", "schema", "anomalies", "drift", "drift",
        "starting_model", "data", "data", "transform", "transform", "baseline_model", "nodes",
    ]  # fmt: skip
    read = json.loads(to_json(changes))
    assert {"kind", "what", "baseline", "candidate", "details"} < read["items"][0].keys()
    assert [item["what"] for item in read["items"]] == [item.what for item in changes.items]


def test_data_are_those_that_the_model_was_made_from_by_lineage(changes: Changes) -> None:
    train, evaluated = _of(changes, "data", "Train"), _of(changes, "data", "Eval")
    assert train.what == "Train data: span 1 → spans 1 to 2 (2), 400 → 800 examples"
    assert evaluated.what == "Eval data: span 2 → span 3, 400 → 300 examples"
    assert [one.span for one in train.details.candidate] == [1, 2]
    ids = changed_runs().ids
    assert [link.id for link in train.candidate_links] == [ids["examples 1"], ids["examples 2"]]
    assert (train.details.baseline_splits, evaluated.details.candidate_splits) == (("train",), ("eval",))


def test_drift_of_the_evaluated_data_has_thresholds_and_links(changes: Changes) -> None:
    evaluated = _of(changes, "drift", "evaluated data, split eval")
    assert evaluated.what.startswith(
        "Drift of the evaluated data, split eval: 1 of 2 features with a threshold beyond it; only on one side"
    )
    first = evaluated.details.features[0]
    assert (first.feature, first.beyond, first.distances[0].threshold) == ("city", True, 0.05)
    assert first.distances[0].value == pytest.approx(0.11)
    assert evaluated.details.is_evaluated
    assert not _of(changes, "drift", "split train").details.is_evaluated
    ids = changed_runs().ids
    assert [link.id for link in evaluated.baseline_links] == [ids["statistics 2"]]


def test_a_slice_is_joined_to_the_drift_of_its_features(changes: Changes) -> None:
    found = drifted_for(Slice((("city", "city 5"), ("fare", 1.0))), changes)
    assert [drift.feature for drift in found] == ["city", "fare"]
    assert {drift.data for drift in found} == {"the evaluated data, split eval"}
    assert drifted_for(Slice((("same", "a"),)), changes) == ()
    assert drifted_for(Slice(()), changes) == ()
    crossed = Slice((("code", 1),), (("city", "city 5"),))
    assert {drift.feature for drift in drifted_for(crossed, changes)} == {"code", "city"}


def test_schema_anomalies_and_vocabularies(changes: Changes) -> None:
    schema = _of(changes, "schema")
    assert schema.what == (
        "Schema: 1 feature added (new), 1 feature removed (old), 2 features changed (city: presence, domain values, fare: type)"
    )
    city = next(one for one in schema.details.features if one.feature == "city")
    assert {f.name: (f.baseline, f.candidate) for f in city.fields} == {
        "min_fraction": (1.0, 0.9),
        "domain values": (("Chur",), ("Genf",)),
    }
    found = {(one.feature, one.type): one for one in _of(changes, "anomalies").details.anomalies}
    assert {key: one.change for key, one in found.items()} == {
        ("fare", "FEATURE_TYPE_LOW_FRACTION_PRESENT"): NEW,
        ("city", "ENUM_TYPE_UNEXPECTED_STRING_VALUES"): GONE,
        ("fare", "FLOAT_TYPE_BIG_FLOAT"): STILL,
    }
    still = found["fare", "FLOAT_TYPE_BIG_FLOAT"]
    assert (still.baseline, still.candidate) == ("Up to 50.", "Up to 99.")
    words = _of(changes, "transform", "Vocabulary")
    assert words.what == "Vocabulary city: 3 → 4 entries, 1 added (Zürich), 3 at another place"
    assert (words.details.added, words.details.removed) == (("Zürich",), ())
    assert _of(changes, "transform", "Analyzers").what == (
        "Analyzers: 1 of 8 values changed (scale_to_z_score_sub_y 3 → 3.5)"
    )


def test_code_parameters_models_and_libraries(changes: Changes) -> None:
    assert _of(changes, "code").what == "Code of Trainer (taxi.model): aaaa → bbbb"
    assert "Code of Transform" in changes.same
    assert any("bundle_version" in text and "Trainer" in text for text in changes.unknown)
    parameters = _of(changes, "parameters")
    assert parameters.what == "Parameters of Trainer: train_args.num_steps 100 → 50"
    assert (parameters.baseline, parameters.candidate) == (
        {"train_args.num_steps": 100},
        {"train_args.num_steps": 50},
    )
    assert any("SpanExampleGen" in text for text in changes.same if text.startswith("Parameters of"))
    assert "units none → 8" in _of(changes, "hyperparameters").what
    ids = changed_runs().ids
    before = f"Model #{ids['model before']}"
    assert _of(changes, "starting_model").what == f"Model that training started from: none → {before}"
    assert _of(changes, "baseline_model").what == (
        f"Baseline model of the Evaluator: none → {before}, the model that the baseline's run judged"
    )
    assert _of(changes, "libraries").what == "TFX: 1.16.0 → 1.17.0"
    assert "TFMA 0.47.1" in changes.same
    assert _of(changes, "nodes").what == "Node Tuner ran only in the candidate's run"


def test_a_run_that_took_all_from_the_cache_is_the_same() -> None:
    again = changed_runs().between(NOW, AGAIN)
    assert [item.what for item in again.items] == []
    assert not again.unknown
    assert {"Train data (spans 1 to 2 (2), 800 examples)", "Schema", "Transform graph"} <= set(again.same)
    assert (
        again.baseline.evaluated_model == again.candidate.evaluated_model == changed_runs().ids["model now"]
    )
    # ... and what it was made from is found in the other run.
    assert [item.what for item in changed_runs().between(BEFORE, AGAIN).items] == [
        item.what for item in changed_runs().between(BEFORE, NOW).items
    ]


def test_a_model_of_another_run_is_followed_to_what_it_was_made_from() -> None:
    promoted = changed_runs().between(NOW, PROMOTED)
    assert {"Train data (spans 1 to 2 (2), 800 examples)", "Eval data (span 3, 300 examples)"} <= set(
        promoted.same
    )
    assert "Code of Transform and Trainer" in promoted.same
    assert {item.kind for item in promoted.items} == {"parameters", "baseline_model", "nodes"}


def test_files_that_are_gone_are_unknown_and_never_unchanged(tmp_path: Path) -> None:
    made = changed_runs()
    shutil.copytree(made.folder, tmp_path / "copy")
    for name in ("statistics 2", "schema now", "graph before", "anomalies now", "evaluation now"):
        shutil.rmtree(tmp_path / "copy" / name)

    class Elsewhere(Files):
        """The artifacts as they are in the copy."""

        def _place(self, uri: str, name: str):  # type: ignore[no-untyped-def]
            return super()._place(uri.replace(str(made.folder), str(tmp_path / "copy")), name)

    found = made.between(BEFORE, NOW, files=Elsewhere([str(tmp_path)]))
    told = "\n".join(found.unknown)
    for what in ("Schema of the candidate", "Transform graph of the baseline", "Anomalies of ExampleValidator",
                 "Drift of the evaluated data is not known", "Eval data of the baseline", "Version of TFMA"):  # fmt: skip
        assert what in told
    assert {item.kind for item in found.items}.isdisjoint({"schema", "transform", "anomalies", "drift"})
    assert _of(found, "data", "Eval").what == "Eval data: span 2 → span 3, unknown → 300 examples"
    assert not any(text.startswith(("Schema", "Vocabular", "Anomalies", "TFMA")) for text in found.same)


def test_what_the_user_may_not_see_is_unknown() -> None:
    hidden = changed_runs().between(PROMOTED, PROMOTED, frozenset({"promotion"}))
    assert not any("Train data" in text for text in hidden.same)
    assert any(
        text.startswith("Train data of the baseline: the store does not tell") for text in hidden.unknown
    )


def test_values_that_are_long_or_deep_are_cut_or_unknown() -> None:
    from mlmd_panel.evaluation.changes.parameters import MAX_TEXT, compare

    long = _sides(
        {"text": "a" * 5000, "deep": '{"a":' * 40 + "1" + "}" * 40}, {"text": "b" * 5000, "deep": "{}"}
    )
    (item,) = compare(long).items
    found = {one.name: one for one in item.details.parameters}
    assert found.keys() == {"text", "deep.a"}
    assert [len(found["text"].baseline), len(found["text"].candidate)] == [MAX_TEXT, MAX_TEXT]
    assert found["deep.a"].candidate is None
    assert len(item.what) < 400


def _sides(*properties: dict) -> tuple[Side, Side]:
    """Two runs, each of a Trainer with these properties."""
    run = Run(1, "taxi:one", "taxi", "taxi", "one", 0)
    summary = RunSummary(run, "COMPLETE", 0, None, None, (), None, None, None, ())
    made = []
    for held in properties:
        named = tuple(Property(name, value, "string", True) for name, value in held.items())
        trainer = Execution(1, "tfx.Trainer", "Trainer", "COMPLETE", 0, 0, run, None, named)
        detail = RunDetail(run, (trainer,), (), {})
        made.append(
            Side("", summary, detail, {"Trainer": trainer}, None, (), None, None, trainer, {}, (), False)
        )
    return made[0], made[1]


def test_code_is_known_by_its_wheel_and_else_unknown() -> None:
    from mlmd_panel.evaluation.changes.code import compare

    wheels = [f"model@/wheels/tfx_user_code_Trainer-0.0+{hash_ * 16}-py3-none-any.whl" for hash_ in "ab"]
    (item,) = compare(_sides({"module_path": wheels[0]}, {"module_path": wheels[1]})).items
    assert item.what == f"Code of Trainer (model): {'a' * 16} → {'b' * 16}"
    assert compare(_sides({"module_path": wheels[0]}, {"module_path": wheels[0]})).same == (
        "Code of Trainer",
    )
    silent = compare(_sides({"module_file": "/code/model.py"}, {"module_file": "/code/model.py"}))
    assert not silent.same and "no property `code_fingerprint`" in silent.unknown[0]


def test_another_program_s_run_has_little_to_compare() -> None:
    found = changed_runs().between(OTHER, NOW)
    assert {item.kind for item in found.items} == {"nodes"}
    assert any(text.startswith("Train data of the baseline") for text in found.unknown)
    assert any(text.startswith("Eval data of the baseline") for text in found.unknown)
    assert any("hyperparameters: the store does not tell" in text for text in found.unknown)


def test_a_store_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    from mlmd_panel.evaluation.changes.between import between
    from mlmd_panel.store import address
    from mlmd_panel.store.engine import make_engine
    from mlmd_panel.store.run_summaries import summaries
    from mlmd_panel.store.store import Store

    made = changed_runs()
    (summary,) = summaries(made.store, [made.store.run(made.ids[NOW], None)])
    gone = Store(make_engine(address.of_file(tmp_path / "none.db")))
    found = between(gone, Files([str(tmp_path)]), None, summary, summary)
    assert not found.items and not found.same
    assert found.unknown[0].startswith("What changed is not known: ")
