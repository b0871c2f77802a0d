"""Legacy DAG files that catch an error and go on: what they are asked for or refused is not lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.tfx_airflow.tfx_side.legacy.refused import NeedsVariables
from tests.tfx.legacy.dag_files import Read, write

_RUN = "AirflowDagRunner().run(small.write_and_read())\n"
_LEVELS = "from airflow.models import Variable\ntry:\n    root = Variable.get('data_root')\n{}:\n    root = '/default'\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{_LEVELS.format('except')}{_RUN}",
        f"{_LEVELS.format('except BaseException')}{_RUN}",
        f"{_LEVELS.format('except')}1 / 0\n",
        f"{_LEVELS.format('except')}raise SystemExit(1)\n",
    ],
)
def test_a_file_that_catches_everything_is_asked_for_its_variables_all_the_same(
    read: Read, tmp_path: Path, text: str
) -> None:
    with pytest.raises(NeedsVariables) as asked:
        read(write(tmp_path, text))
    assert asked.value.names == ["data_root"]


def test_a_file_that_catches_everything_gets_the_value_or_its_default(read: Read, tmp_path: Path) -> None:
    text = f"{_LEVELS.format('except')}AirflowDagRunner({{'description': root}}).run(small.write_and_read())\n"
    [(dag, _)] = read(write(tmp_path, text), data_root="/srv")
    assert dag.config["description"] == "/srv"
    [(dag, _)] = read(write(tmp_path, text, "other.py"), data_root=None)
    assert dag.config["description"] == "/default"
