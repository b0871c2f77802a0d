"""Records what compiling a pipeline reads: files, folders, checks for existence, environment variables; and its effects.

An audit hook sees what Python opens, lists and imports. TensorFlow reads files in C++, and checking a file or
reading a variable raises no audit event: these functions are wrapped, in this process only.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from include.tfx_airflow.contract import fingerprint
from include.tfx_airflow.tfx_side.pipeline import effects
from include.tfx_airflow.tfx_side.pipeline.tfx_packages import OWN, PACKAGES, TfxPackages, of_stdlib

_IMPORT = "<frozen importlib._bootstrap"
# They look through every folder of sys.path for what is installed.
_LOOKS_EVERYWHERE = ("importlib/metadata", "pkg_resources", "importlib_metadata")
_WRITES = os.O_WRONLY | os.O_RDWR

Frames = tuple[str, ...]


class Watch:
    """Everything that was read since `start`, with the source files of the code that read it."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str, Frames]] = set()
        self._written: set[str] = set()
        self._on = False

    def start(self) -> None:
        """Starts watching; audit hooks stay until the process ends."""
        self._on = True
        sys.addaudithook(self._on_event)
        self._wrap_looks()
        self._wrap_working_folder()
        self._wrap_variables()
        # `import tensorflow` takes seconds, so its file functions are wrapped once the pipeline itself has
        # imported it.
        self._wrap_tensorflow()

    def stop(self) -> None:
        """Stops watching: from here on only this program's own code runs."""
        self._wrap_tensorflow()
        self._on = False

    def _note(self, kind: str, value: Any) -> None:
        if not self._on:
            return
        if isinstance(value, bytes):
            value = os.fsdecode(value)
        elif isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value is None and kind == "folder":
            value = "."
        if isinstance(value, str):
            if kind not in ("variable", "import", *effects.KINDS) and "://" not in value:
                value = os.path.abspath(value)
            self._seen.add((kind, value, _frames()))

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event == "open":
            self._on_open(*arguments[:3])
        elif event in ("os.listdir", "os.scandir"):
            self._note("folder", arguments[0])
        elif event == "sqlite3.connect":
            self._note("file", arguments[0])
        elif event in effects.EVENTS:
            self._note(effects.EVENTS[event], effects.noted(event, arguments))
        elif event == "import":
            self._note("import", arguments[0])
            if not self._tensorflow_wrapped and "tensorflow" in sys.modules:
                self._wrap_tensorflow()

    def _on_open(self, path: Any, mode: Any, flags: Any) -> None:
        writes = isinstance(flags, int) and flags & _WRITES
        if isinstance(mode, str):
            writes = bool(set(mode) & set("wax+"))
        if not writes:
            self._note("file", path)
        elif isinstance(path, (str, bytes)):
            self._written.add(os.path.abspath(os.fsdecode(path)))

    def _wrapped(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def look(path: Any, *arguments: Any, **keywords: Any) -> Any:
            self._note(kind, path)
            return function(path, *arguments, **keywords)

        for group in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
            if function in group:
                group.add(look)
        return look

    def _wrap_looks(self) -> None:
        for name in ("stat", "lstat", "access"):
            _replace_in_os(name, self._wrapped(getattr(os, name), "exists"))

    def _wrap_working_folder(self) -> None:
        """Sees `os.getcwd()`, which `os.path.abspath("data")` asks as well, and so does `_note` for relative paths."""
        original = os.getcwd

        def getcwd() -> str:
            folder = original()
            self._note(effects.WORKING_FOLDER, folder)
            return folder

        _replace_in_os("getcwd", getcwd)

    def _wrap_variables(self) -> None:
        note = self._note

        class Watched(os._Environ):
            def __getitem__(self, key: Any) -> Any:
                note("variable", key)
                return super().__getitem__(key)

            def __contains__(self, key: Any) -> bool:
                note("variable", key)
                return super().__contains__(key)

        os.environ.__class__ = Watched

    _tensorflow_wrapped = False

    def _wrap_tensorflow(self) -> None:
        module = sys.modules.get("tensorflow.python.lib.io._pywrap_file_io")
        if self._tensorflow_wrapped or not hasattr(module, "Stat"):
            return
        self._tensorflow_wrapped = True
        for name, kind in (
            ("BufferedInputStream", "file"),
            ("ReadFileToString", "file"),
            ("CopyFile", "file"),
            ("FileExists", "exists"),
            ("IsDirectory", "exists"),
            ("Stat", "exists"),
            ("GetChildren", "folder"),
            ("GetMatchingFiles", "glob"),
        ):
            setattr(module, name, self._wrapped(getattr(module, name), kind))

    def inputs(self, roots: Mapping[str, str]) -> Inputs:
        """Sorts out what belongs to the user; `roots` are the folders that become `${NAME}`."""
        sorter = _Sorter(self._written, roots)
        sorter.take_modules()
        for kind, value, frames in self._seen:
            if kind not in effects.KINDS:
                sorter.take(kind, value, frames)
        return sorter.found

    def side_effects(self) -> effects.Effects:
        """What the user's code did besides reading; to be asked once watching has stopped."""
        return effects.of(self._seen, self._written)


def _replace_in_os(name: str, function: Callable[..., Any]) -> None:
    import pathlib

    setattr(os, name, function)
    accessor = getattr(pathlib, "_NormalAccessor", None)  # Python 3.10 keeps functions of its own
    if accessor and name in vars(accessor):
        setattr(accessor, name, staticmethod(function))


def _frames() -> Frames:
    """Source files of the callers, the nearest first; up to the import of a module, which is not a call."""
    files: list[str] = []
    frame: FrameType | None = sys._getframe(2)
    while frame:
        name = frame.f_code.co_filename
        if name.startswith(_IMPORT) or any(part in name for part in _LOOKS_EVERYWHERE):
            break
        if not name.startswith((OWN, "<")) and not of_stdlib(name) and name not in files[-1:]:
            files.append(name)
        frame = frame.f_back
    return tuple(files)


class Inputs:
    """Names of what a pipeline was compiled from.

    Attributes:
      files: The user's files, folders and paths, as in `fingerprint.content_key`.
      installed: Those of them that are installed in the TFX interpreter's folder.
      variables: Names of environment variables.
      unseen: What was read and cannot be checked without TensorFlow, such as gs://bucket/schema.pbtxt.
    """

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.installed: set[str] = set()
        self.variables: set[str] = set()
        self.unseen: set[str] = set()


_SYSTEM = ("/usr/", "/lib/", "/bin/")


class _Sorter:
    """Decides which of all that was read makes a pipeline compile again."""

    def __init__(self, written: set[str], roots: Mapping[str, str]) -> None:
        self.found = Inputs()
        self._ours = TfxPackages()
        self._written = written
        self._roots = roots
        folders = [roots["BUNDLE_ROOT"], *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        self._temporary = (f"{tempfile.gettempdir()}/", "/tmp/", "/var/tmp/")
        self._kept = tuple(f"{folder.rstrip('/')}/" for folder in folders if folder)
        self._skipped = (
            OWN,
            f"{roots['TFX_AIRFLOW_HOME'].rstrip('/')}/compiled/",
            f"{os.path.dirname(sys.executable)}/",
            "/proc/",
            "/sys/",
            "/dev/",
        )

    def take_modules(self) -> None:
        """Takes the files of what is imported."""
        for path in _modules(self._ours):
            if not path.startswith(OWN):
                self._add("file", path)

    def take(self, kind: str, value: str, frames: Frames) -> None:
        """Takes one thing that was read, or leaves it.

        Args:
          kind: `variable`, `import`, or how a path was asked for.
          value: A name or an absolute path.
          frames: See `_frames`.
        """
        if kind == "variable":
            if self._for_user(frames):
                self.found.variables.add(value)
        elif kind == "import":
            if self._by_user(frames):
                for place in _where_it_would_be(value, self._kept):
                    self._add("exists", place)
        elif "://" in value:
            if self._for_user(frames):
                self.found.unseen.add(value)
        else:
            self._take_path(kind, value, frames)

    def _take_path(self, kind: str, path: str, frames: Frames) -> None:
        if path.startswith(self._skipped) or path in self._written:
            return
        if of_stdlib(path) or path.startswith(PACKAGES):
            own = kind == "file" and self._by_user(frames)
            if own and os.path.isfile(path) and not path.endswith(".pyc"):
                self._add(kind, path)
        elif not path.startswith(self._kept) and self._is_the_systems(kind, path, frames):
            return
        elif kind == "file":
            self._take_file(_source(path), frames)
        elif self._for_user(frames) and not _cache(path):
            self._add(kind, path)

    def _is_the_systems(self, kind: str, path: str, frames: Frames) -> bool:
        """Whether a path outside the bundle is the system's, a library's or nobody's."""
        if path == "/":
            return True
        if path.startswith(_SYSTEM):
            # Programs and libraries are looked for there, again and again. What a user's code reads there is data.
            return kind == "exists" or of_stdlib(f"{path}/") or not self._for_user(frames)
        if path.startswith("/etc/") or "/." in path:
            return not self._by_user(
                frames
            )  # caches, credentials and settings of libraries, such as ~/.keras
        return path.startswith(self._temporary) and not self._for_user(frames)

    def _take_file(self, path: str, frames: Frames) -> None:
        if os.path.isfile(path):
            if not path.endswith((".pyc", ".so")) and ".so." not in os.path.basename(path):
                self._add("file", path)
        elif self._for_user(frames) and not os.path.isdir(path) and path not in self._written:
            self._add("exists", path)

    def _for_user(self, frames: Frames) -> bool:
        """Whether a user's file is among the callers."""
        return any(not self._ours.own(name) for name in frames)

    def _by_user(self, frames: Frames) -> bool:
        """Whether a user's file is the caller; TensorFlow's file functions do not count."""
        asked = [name for name in frames if "/tensorflow/python/lib/io/" not in name]
        return bool(asked) and not self._ours.own(asked[0])

    def _add(self, kind: str, path: str) -> None:
        name = fingerprint.abstract(path, self._roots)
        name = name if kind == "file" else f"{kind}:{name}"
        (self.found.installed if path.startswith(f"{sys.prefix}/") else self.found.files).add(name)


def _cache(path: str) -> bool:
    return "/__pycache__" in path or path.endswith(".pyc")


def _source(path: str) -> str:
    """Of the byte code of a module that was not kept in sys.modules, the module's own file."""
    if path.endswith(".pyc"):
        try:
            source = importlib.util.source_from_cache(path)
        except ValueError:
            return path
        return source if os.path.isfile(source) else path
    return path


def _modules(ours: TfxPackages) -> Iterator[str]:
    """Files of the imported modules that are neither Python's nor of TFX and what it needs."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str):
            continue
        path = os.path.abspath(path)
        if ours.own(path):
            continue
        while path != "/" and not os.path.exists(path):
            path = os.path.dirname(path)  # in a zip
        if os.path.isfile(path):
            yield path


def _where_it_would_be(name: str, folders: tuple[str, ...]) -> list[str]:
    """Paths where a module that was imported in vain would be."""
    if name in sys.modules:
        return []
    parent, _, last = name.rpartition(".")
    if parent:
        if parent not in sys.modules:
            return []
        folders = tuple(f"{path}/" for path in getattr(sys.modules[parent], "__path__", []))
    places = [f"{folder}{last}{end}" for folder in folders for end in (".py", "")]
    return [place for place in places if not os.path.exists(place)]
