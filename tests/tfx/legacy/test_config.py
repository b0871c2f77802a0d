"""What a legacy DAG file gives a DAG, and reads from it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.tfx_airflow.contract.errors import UnsupportedNodeError
from tests.tfx.legacy.dag_files import Read, write


def test_each_dag_has_the_config_of_the_moment_in_which_it_is_made(read: Read, tmp_path: Path) -> None:
    text = """
defaults, params, tags = {"retries": 0, "env": {}}, {"x": 0}, []
for number in (1, 2):
    defaults["retries"] = defaults["env"]["n"] = params["x"] = number
    tags.append(str(number))
    config = {"default_args": defaults, "params": params, "tags": tags}
    AirflowDagRunner(config).run(small.write_and_read(name=f"of_{number}"))
defaults["retries"] = 9
"""
    (first, _), (second, _) = read(write(tmp_path, text))
    assert first.config == {
        "default_args": {"retries": 1, "env": {"n": 1}},
        "params": {"x": 1},
        "tags": ["1"],
    }
    assert second.config == {
        "default_args": {"retries": 2, "env": {"n": 2}},
        "params": {"x": 2},
        "tags": ["1", "2"],
    }


def test_a_file_reads_and_changes_what_it_gave_a_dag(read: Read, tmp_path: Path) -> None:
    text = """
defaults = {"retries": 1, "env": {"a": 1}}
config = {"default_args": defaults, "schedule_interval": "@daily", "tags": ["x"]}
dag = AirflowDagRunner(config).run(small.write_and_read())
assert dag.schedule_interval == "@daily" and dag.default_args == defaults
dag.tags += ["y"]
dag.default_args["retries"] = 5
dag.default_args["env"]["a"] = 2
dag.doc_md = dag.dag_id
dag.doc_md += "!"
assert defaults == {"retries": 1, "env": {"a": 1}}
"""
    [(dag, _)] = read(write(tmp_path, text))
    assert dag.config == {
        "default_args": {"retries": 5, "env": {"a": 2}},
        "schedule_interval": "@daily",
        "tags": ["x", "y"],
        "doc_md": "write_and_read!",
    }


def test_a_file_does_not_read_what_it_did_not_give(read: Read, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, "AirflowDagRunner({}).run(small.write_and_read()).tags\n"))
    assert "line 3: DAG.tags of Airflow is not known" in str(caught.value)
    assert "'airflow_dag_config': {...}" in str(caught.value) and "get_task" not in str(caught.value)


def test_secrets_of_a_config_are_told_without_their_values(read: Read, tmp_path: Path) -> None:
    text = """
defaults = {"owner": "ann", "db_password": "hunter22", "env": {"API_KEY": "hunter23", "n": [{"token": "hunter24"}]}}
AirflowDagRunner({"default_args": defaults}).run(small.write_and_read())
"""
    [(dag, _)] = read(write(tmp_path, text))
    assert "hunter" not in json.dumps(dag.config)
    assert dag.config["default_args"]["owner"] == "ann"
    assert set(dag.config["default_args"]) == {"owner", "db_password", "env"}


@pytest.mark.parametrize(
    "use", ["with dag:\n    pass\n", "dag >> 1\n", "1 >> dag\n", "dag << 1\n", "1 << dag\n"]
)
def test_other_tasks_cannot_be_added_to_a_dag(read: Read, tmp_path: Path, use: str) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, f"dag = AirflowDagRunner().run(small.write_and_read())\n{use}"))
    assert "line 4: " in str(caught.value) and "then dag.get_task('Pusher') >> Bash" in str(caught.value)
