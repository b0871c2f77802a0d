"""Environment variables that a legacy DAG file sets to literal texts are read from its source."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.tfx_airflow.contract import literal_variables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("os.environ['A'] = '1'", {"A": "1"}),
        ("environ['A'] = '1'", {"A": "1"}),
        ("os.environ.setdefault('A', '1')", {"A": "1"}),
        ("os.environ.update({'A': '1', **more, 'B': 2}, C='3', **more)", {"A": "1", "C": "3"}),
        ("if x:\n    os.environ['A'] = '1'\nelse:\n    os.environ['A'] = '2'", {"A": "2"}),
        ("def f():\n    os.environ['A'] = os.environ['B'] = '1'", {"A": "1", "B": "1"}),
        ("os.environ['A'] = str(1)", {}),
        ("os.environ['A'] = f'{b}'", {}),
        ("os.environ['A'] += '1'", {}),
        ("os.environ[name] = '1'", {}),
        ("settings['A'] = '1'", {}),
        ("settings.update({'A': '1'})", {}),
    ],
)
def test_literal_texts_are_found_and_nothing_else(
    tmp_path: Path, text: str, expected: dict[str, str]
) -> None:
    path = tmp_path / "flow.py"
    path.write_text(f"import os\n{text}\n")
    assert literal_variables.in_file(str(path)) == expected
