"""Makes a legacy DAG file importable: stand-ins for Airflow and TFX's Airflow runner, old arguments, its own folders.

They are as global as what they stand for: `sys.path`, the working directory and TFX's `Pipeline` are those of a process.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.tfx_side.legacy import (
    airflow_names,
    dropped_names,
    import_folders,
    old_arguments,
    runner,
    store_folder,
)
from include.tfx_airflow.tfx_side.legacy.placeholder import Placeholder


class _Source(importlib.machinery.SourceFileLoader):
    """Compiles a file anew: byte code is found by time, and is not to be left beside a file of the user's."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _forget(name: str) -> None:
    del sys.modules[name]
    parent, _, last = name.rpartition(".")
    if parent in sys.modules:
        vars(sys.modules[parent]).pop(last, None)


def _add_dropped_names(module: ModuleType) -> None:
    for name in dropped_names.UNUSED[module.__name__]:
        if not hasattr(module, name):
            sentence = dropped_names.of_unused(module.__name__, name)
            setattr(module, name, Placeholder(f"{module.__name__}.{name}", sentence))


def _remove_dropped_names(module: ModuleType) -> None:
    for name in dropped_names.UNUSED[module.__name__]:
        if isinstance(getattr(module, name, None), Placeholder):
            delattr(module, name)


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules; nothing else may import `airflow` in this process while it is in place.

    Attributes:
      made: The pipelines that the file has given to a runner so far.
      asked: The Variables that it has asked for so far and that were not there.
    """

    def __init__(self, file: LegacyFile) -> None:
        """Puts them in place for a file; its module, `LegacyFile.module`, is executed when it is imported."""
        self.made: list[runner.Made] = []
        self._file = file
        self.asked: set[str] = set()
        self._names = airflow_names.names(file, self.asked)
        self._runner = runner.modules(file, self.made)
        self._path, self._before = list(sys.path), dict(sys.modules)
        for name in [name for name in sys.modules if self._stands_for(name)]:
            _forget(name)
        sys.meta_path.insert(0, self)
        self._looking = False
        for name in filter(sys.modules.get, dropped_names.UNUSED):
            _add_dropped_names(sys.modules[name])
        self._undo = [old_arguments.accept(), store_folder.leave_out()]
        self._before_folder = os.getcwd()
        if file.working_folder:
            os.chdir(file.working_folder)
        before = import_folders.before_library()
        first = [folder for folder in file.first if folder not in before]
        new = [folder for folder in file.folders if folder not in (*sys.path, *first)]
        sys.path[:] = [*first, *sys.path, *new]
        # Beam's workers are processes of their own.
        given = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [*first, given, *new]))

    def remove(self) -> None:
        """Takes them away again, and forgets what was imported meanwhile."""
        sys.meta_path.remove(self)
        for undo in self._undo:
            undo()
        os.chdir(self._before_folder)
        for name in filter(sys.modules.get, dropped_names.UNUSED):
            _remove_dropped_names(sys.modules[name])
        added = filter(os.path.isabs, {*sys.path} - {*self._path})
        theirs = tuple(f"{folder}/" for folder in (*self._file.folders, *added))
        sys.path[:] = self._path
        for name in [name for name in sys.modules if name not in self._before]:
            path = getattr(sys.modules[name], "__file__", None) or ""
            if self._stands_for(name) or path.startswith(theirs):
                _forget(name)

    def _stands_for(self, name: str) -> bool:
        return name in self._runner or name.partition(".")[0] == "airflow"

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Finds the file's own module and what stands for others."""
        if fullname == self._file.module:
            loader = _Source(fullname, self._file.path)
            return importlib.util.spec_from_file_location(fullname, self._file.path, loader=loader)
        if fullname in dropped_names.UNUSED and not self._looking:
            return self._with_dropped_names(fullname)
        if self._stands_for(fullname):
            return importlib.util.spec_from_loader(fullname, self, is_package=fullname not in self._runner)
        return None

    def _with_dropped_names(self, fullname: str) -> importlib.machinery.ModuleSpec | None:
        """Finds a module of TFX, which gets the names that it has dropped when it was executed."""
        self._looking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._looking = False
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def with_names(module: ModuleType) -> None:
                execute(module)
                _add_dropped_names(module)

            spec.loader.exec_module = with_names  # type: ignore[method-assign]
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Makes what stands for a module."""
        return self._runner.get(spec.name) or airflow_names.AirflowModule(spec.name, self._names)

    def exec_module(self, module: ModuleType) -> None:
        """Does nothing: it is made already."""
