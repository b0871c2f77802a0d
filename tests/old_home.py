"""`python -m tests.old_home FOLDER`: an Airflow home in which the taxi pipeline has run once, for tests of an upgrade of TFX."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bundle import ROOT, made


def main(folder: Path) -> None:
    """Makes the home and runs the pipeline with the installed TFX."""
    folder.mkdir(parents=True)
    with made(folder) as bundle:
        (bundle.folder / "dags" / "taxi.py").write_text((ROOT / "dags" / "taxi.py").read_text())
        done = bundle.dags_test("taxi")
        print(done.stdout[-6000:])
        assert done.returncode == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
