"""A store that ml_metadata wrote, with artifacts of every kind that TFX's libraries wrote; made once for all tests."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import json
import shutil
import tempfile
from pathlib import Path

from mlmd_panel.files.allowed import Files
from mlmd_panel.store import address
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.store import Store
from mlmd_panel.web.airflow_links import AirflowLinks
from mlmd_panel.web.app import Panel

from tests.panel import tfx_child

FIRST, SECOND = "scheduled__2014-01-01T00:00:00+00:00", "manual__2014-02-01T00:00:00+00:00"


@dataclasses.dataclass(frozen=True)
class Written:
    """The folder with `metadata.db`, `data`, `evaluation` and `model`, and the ids in the store."""

    folder: Path
    ids: dict[str, int]

    @property
    def panel(self) -> Panel:
        """A panel over it."""
        store = Store(make_engine(address.of_file(self.folder / "metadata.db")))
        return Panel(store, Files([str(self.folder)]), AirflowLinks("/air"))

    def panel_on_copy(self, path: Path) -> Panel:
        """A panel over a copy of the store, at this path, which a test may change."""
        shutil.copy(self.folder / "metadata.db", path)
        return dataclasses.replace(self.panel, store=Store(make_engine(address.of_file(path))))

    def paths(self) -> list[str]:
        """A path of every page, and of every artifact and run."""
        run, other = self.ids[f"run {FIRST}"], self.ids[f"run {SECOND}"]
        named = {
            name: id_ for name, id_ in self.ids.items() if "/" not in name and not name.startswith("run ")
        }
        nodes = {
            name.rpartition("/")[0].removeprefix(f"{FIRST}/") for name in self.ids if name.startswith(FIRST)
        }
        return [
            "/pipelines",
            "/runs",
            "/executions",
            "/artifacts",
            "/contexts",
            "/contexts?type=pipeline_run&text=taxi",
            f"/contexts/{run}",
            "/compare",
            f"/compare?base={run}&other={other}&metrics=*",
            f"/compare?other={other}",
            f"/runs/{run}/verdict",
            f"/runs/{other}/verdict",
            f"/runs/{self.ids['run odd/1?a=b#c']}/verdict",
            f"/runs/{self.ids['run both']}/verdict?branch=north",
            "/trends",
            "/trends?pipeline=taxi&pipeline=regions&metrics=*&features=a",
            "/search",
            "/search?q=taxi",
            *(
                f"/runs/{id_}"
                for name, id_ in self.ids.items()
                if name.startswith("run ") and "run small" not in name
            ),
            *(f"/runs/{run}/nodes/{node}" for node in sorted(nodes)),
            f"/runs/{other}/nodes/Trainer",
            f"/runs/{self.ids['run odd/1?a=b#c']}/nodes/a%2Fb",
            *(
                f"/executions/{id_}"
                for name, id_ in self.ids.items()
                if name.startswith((FIRST, SECOND, "odd/1"))
            ),
            *(f"/artifacts/{id_}" for id_ in named.values()),
            *(f"/artifacts/{id_}/lineage" for id_ in named.values()),
        ]


@functools.cache
def written() -> Written:
    """Has them written by tests/panel/official_pages.py, which takes a minute."""
    # The digit is in every URI, for the test of the search: the rest of the name is a matter of chance.
    folder = Path(tempfile.mkdtemp(prefix="panel-written-1-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Written(folder, json.loads(tfx_child.run("official_pages", folder).splitlines()[-1]))
