"""Legacy DAG files that catch an error and go on: what they are asked for or refused is not lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from include.tfx_airflow.contract.errors import NoDagError
from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.tfx_side.legacy import users_frames
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
    text = (
        f"{_LEVELS.format('except')}AirflowDagRunner({{'description': root}}).run(small.write_and_read())\n"
    )
    [(dag, _)] = read(write(tmp_path, text), data_root="/srv")
    assert dag.config["description"] == "/srv"
    [(dag, _)] = read(write(tmp_path, text, "other.py"), data_root=None)
    assert dag.config["description"] == "/default"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "from airflow.hooks.base import BaseHook\ntry:\n    BaseHook.get_connection('lake')\nexcept Exception:\n    pass\n",
            "line 5: airflow.hooks.base.BaseHook of Airflow is not known",
        ),
        (
            "try:\n    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator\n"
            "    HAS = True\nexcept Exception:\n    HAS = False\n",
            "line 4: airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator of Airflow is not known",
        ),
        (
            "from airflow.configuration import conf\ntry:\n    conf.get('core', 'x')\nexcept:\n    pass\n",
            "line 5: airflow.configuration.conf of Airflow is not known",
        ),
        (
            "import contextlib\nfrom airflow.configuration import conf\nwith contextlib.suppress(ImportError):\n    conf.get('a', 'b')\n",
            "line 6: airflow.configuration.conf of Airflow is not known",
        ),
        # The second name is for another version, and there is no third.
        (
            "try:\n    from airflow.operators.bash import BashOperator\nexcept ImportError:\n    try:\n"
            "        from airflow.operators.bash_operator import BashOperator\n    except ImportError:\n"
            "        BashOperator = None\n",
            "line 7: airflow.operators.bash_operator.BashOperator of Airflow is not known",
        ),
    ],
)
def test_what_a_file_is_refused_and_goes_on_without_is_noted(
    read: Read, tmp_path: Path, text: str, name: str
) -> None:
    [(dag, _)] = read(write(tmp_path, text + _RUN))
    [note] = dag.notes
    assert note.startswith(name) and note.endswith(" The file catches that, and goes on without it.")


def test_what_a_helper_is_refused_is_noted_with_the_helper_and_once(read: Read, tmp_path: Path) -> None:
    (tmp_path / "lake.py").write_text(
        "from airflow.hooks.base import BaseHook\ndef root():\n    return BaseHook.get_connection('lake').host\n"
    )
    text = "import lake\nfor _ in range(2):\n    try:\n        lake.root()\n    except ImportError:\n        pass\n"
    runs = "".join(f"AirflowDagRunner().run(small.write_and_read(name='{name}'))\n" for name in "ab")
    (first, _), (second, _) = read(write(tmp_path, text + runs))
    [note] = first.notes
    assert note.startswith("lake.py, line 3: airflow.hooks.base.BaseHook of Airflow") and not second.notes


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    from airflow.sdk import DAG\nexcept ImportError:\n    from airflow.models.dag import DAG\n",
        "try:\n    from airflow.operators.bash import BashOperator\nexcept ImportError:\n"
        "    from airflow.operators.bash_operator import BashOperator\n",
        "try:\n    from airflow.operators.empty import EmptyOperator as Empty\nexcept ImportError:\n"
        "    from tests.pipelines.small import Write as Empty\n",
    ],
)
def test_a_switch_between_versions_needs_no_note(read: Read, tmp_path: Path, text: str) -> None:
    [(dag, _)] = read(write(tmp_path, text + _RUN))
    assert not dag.notes


def test_what_an_installed_package_goes_on_without_is_not_the_files() -> None:
    file = LegacyFile("/srv/flow.py", ("/srv",))
    package, frozen = f"{users_frames.PACKAGES[0]}taxi/hooks.py", ("<frozen importlib._bootstrap>", 1)
    assert users_frames.of_users([frozen, (package, 2), (file.path, 3)], file) == []
    frames = [(os.__file__, 1), ("/srv/lake.py", 2), (package, 3), (file.path, 4)]
    assert users_frames.of_users(frames, file) == [("/srv/lake.py", 2), (file.path, 4)]


def test_a_file_that_makes_no_dag_without_what_it_is_refused_says_so(read: Read, tmp_path: Path) -> None:
    text = f"try:\n    from airflow.hooks.base import BaseHook\n    {_RUN}except Exception:\n    pass\n"
    with pytest.raises(NoDagError, match=r"line 4: airflow\.hooks\.base\.BaseHook of Airflow is not known"):
        read(write(tmp_path, text))
