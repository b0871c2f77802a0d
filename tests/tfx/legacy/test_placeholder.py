"""Names of Airflow that legacy DAG files only import: using one in whatever way is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.tfx_airflow.contract.errors import UnsupportedNodeError
from tests.tfx.legacy.dag_files import Read, write

_RUN = "AirflowDagRunner().run(small.write_and_read())\n"


@pytest.mark.parametrize(
    "use",
    [
        "f'/mnt/{x}/data'",
        "f'{x:>20}'",
        "'%s' % x",
        "x % 2",
        "str(x)",
        "x + '/data'",
        "'/data' + x",
        "x / 'data'",
        "'/data' / x",
        "os.path.join(x, 'data')",
        "pathlib.Path(x)",
        "x == '2.7.0'",
        "x != '2.7.0'",
        "'2.7.0' == x",
        "x in ('2.7.0',)",
        "x == (2, 7)",
        "x == 2",
        "x < '2'",
        "x <= '2'",
        "x > '2'",
        "x >= '2'",
        "'2' < x",
        "len(x)",
        "'2' in x",
        "x[0]",
        "x >> 1",
        "1 >> x",
        "x << 1",
        "1 << x",
        "issubclass(int, x)",
        "int(x)",
        "setattr(x, 'y', 1)",
        "x.__setitem__(0, 1)",
    ],
)
def test_a_value_of_airflow_is_not_taken_for_another(read: Read, tmp_path: Path, use: str) -> None:
    text = f"import os, pathlib\nfrom airflow.settings import DAGS_FOLDER as x\n{use}\n"
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert "line 5: airflow.settings.DAGS_FOLDER of Airflow is not known" in str(caught.value)


def test_a_name_of_airflow_may_be_compared_with_others_and_annotate(read: Read, tmp_path: Path) -> None:
    text = (
        "from typing import Dict, List, Optional, Union\nfrom airflow.models import BaseOperator, TaskInstance\n"
        "def f(a: Optional[BaseOperator], b: Dict[str, BaseOperator], c: 'List[BaseOperator]') -> None: ...\n"
        "Union[BaseOperator, TaskInstance, None, 'other']\n"
        "assert BaseOperator == BaseOperator and BaseOperator != TaskInstance and BaseOperator != None\n"
        f"assert len({{BaseOperator, TaskInstance}}) == 2 and repr(BaseOperator)\n{_RUN}"
    )
    assert len(read(write(tmp_path, text))) == 1


@pytest.mark.parametrize("use", ["re.match('2', x)", "CsvExampleGen(input_base=x)"])
def test_a_package_that_is_given_a_name_of_airflow_fails_with_the_same_sentence(
    read: Read, tmp_path: Path, use: str
) -> None:
    text = f"import re\nfrom airflow.settings import DAGS_FOLDER as x\nfrom tfx.components import CsvExampleGen\n{use}\n"
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert "line 6: airflow.settings.DAGS_FOLDER of Airflow is not known" in str(caught.value)


def test_the_version_of_airflow_cannot_be_parsed(read: Read, tmp_path: Path) -> None:
    text = "import airflow\nfrom packaging.version import parse\nparse(airflow.__version__) >= parse('2.0')\n"
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert "line 5: airflow.__version__ of Airflow is not known" in str(caught.value)
    assert "environment={...} of adopt" in str(caught.value)


@pytest.mark.parametrize("use", ["airflow.__version__.split('.')", "airflow.__version__ >= '2'"])
def test_the_version_of_airflow_is_not_known(read: Read, tmp_path: Path, use: str) -> None:
    with pytest.raises(UnsupportedNodeError, match=r"line 4: airflow\.__version__ of Airflow is not known"):
        read(write(tmp_path, f"import airflow\n{use}\n"))


def test_what_is_asked_of_airflows_distribution_is_not_to_be_installed(read: Read, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, "from importlib.metadata import version\nversion('apache-airflow')\n"))
    assert "line 4: 'apache-airflow' is not installed where the file is executed" in str(caught.value)
    assert "environment={...} of adopt" in str(caught.value) and "install it" not in str(caught.value)


@pytest.mark.parametrize("module", ["configuration", "settings"])
def test_airflow_home_is_that_of_the_environment(read: Read, tmp_path: Path, module: str) -> None:
    text = (
        f"from airflow.{module} import AIRFLOW_HOME\n"
        "AirflowDagRunner({'description': f'{AIRFLOW_HOME}/data'}).run(small.write_and_read())\n"
    )
    [(dag, _)] = read(write(tmp_path, text))
    assert dag.config["description"] == "/srv/airflow/data"


def test_exceptions_of_airflow_may_be_raised_caught_and_subclassed(read: Read, tmp_path: Path) -> None:
    text = (
        "from airflow.exceptions import AirflowException, AirflowNotFoundException, AirflowSkipException\n"
        "class Mine(AirflowSkipException):\n    pass\n"
        "try:\n    raise Mine('x')\nexcept AirflowNotFoundException:\n    assert False\n"
        f"except AirflowException as error:\n    assert str(error) == 'x'\n{_RUN}"
    )
    assert len(read(write(tmp_path, text))) == 1
