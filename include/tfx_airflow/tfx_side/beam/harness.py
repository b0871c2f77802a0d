"""A harness of a job: the process in which a cluster's worker has Python code run. Forked by the worker pool.

It takes what the job needs from the cluster's worker: the pipeline's options, and the packages that were sent with the job,
which are unpacked, not installed.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_SECONDS = 60.0
# After the job has gone, user code may still be at work, which nobody waits for.
_LAST_SECONDS = 20.0
# What Beam sends besides packages, and is read by Beam itself or not at all.
_NO_PACKAGES = ("pickled_main_session", "submission_environment_dependencies.txt", "extra_packages.txt")

log = logging.getLogger(__name__)


class UnfitError(Exception):
    """The job needs what a harness of this pool cannot give."""


def run(request: Mapping[str, Any], packages: Path, folder: Path, answer: int, pool: int) -> NoReturn:
    """Serves a job to its end, then ends this forked process.

    Args:
      request: `worker_id`, and the endpoints `control`, `logging`, `artifact` and `provision`.
      packages: Folder of unpacked packages, shared by all harnesses.
      folder: For its own files; the pool removes it.
      answer: File to which "ready" or what is wrong is written, and that is then closed.
      pool: Process id of the pool, whose end is this one's too.
    """
    code = 1
    try:
        end_with(pool)
        folder.mkdir()
        try:
            harness, handler = _made(request, packages, folder)
        except BaseException as error:
            unfit = isinstance(error, UnfitError)
            _tell(answer, str(error) if unfit else traceback.format_exc())
            raise
        _tell(answer, "ready")
        threading.Thread(target=_end_after, args=[harness], daemon=True).start()
        try:
            harness.run()
        finally:
            if handler:
                handler.close()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def end_with(parent: int) -> None:
    """Ends this process when its parent ends, however hard."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _tell(answer: int, text: str) -> None:
    with contextlib.suppress(OSError), os.fdopen(answer, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)


def _end_after(harness: Any) -> None:
    """Ends this process when its job has gone, even if user code does not return."""
    while harness._alive:
        time.sleep(1)
    time.sleep(_LAST_SECONDS)
    os._exit(1)


def _made(request: Mapping[str, Any], packages: Path, folder: Path) -> tuple[Any, Any]:
    """Beam's harness, connected, and its log handler."""
    from apache_beam.runners.worker import sdk_worker_main
    from google.protobuf import json_format, text_format

    info = _provision(request)
    _take_packages(request, info, packages, folder)
    environment = {
        "WORKER_ID": request["worker_id"],
        "SEMI_PERSISTENT_DIRECTORY": str(folder),
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(_endpoint(request["control"])),
        "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(_endpoint(request["logging"])),
    }
    handler, harness, _ = sdk_worker_main.create_harness(environment)
    return harness, handler


def _endpoint(address: str) -> Any:
    from apache_beam.portability.api import endpoints_pb2

    return endpoints_pb2.ApiServiceDescriptor(url=address)


@contextlib.contextmanager
def _channel(address: str, worker_id: str) -> Iterator[Any]:
    import grpc
    from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor

    with grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
        grpc.channel_ready_future(channel).result(timeout=_SECONDS)
        yield grpc.intercept_channel(channel, WorkerIdInterceptor(worker_id))


def _provision(request: Mapping[str, Any]) -> Any:
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc

    with _channel(request["provision"], request["worker_id"]) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        return service.GetProvisionInfo(
            beam_provision_api_pb2.GetProvisionInfoRequest(), timeout=_SECONDS
        ).info


def _take_packages(request: Mapping[str, Any], info: Any, packages: Path, folder: Path) -> None:
    """Fetches what was sent with the job, and makes its packages importable.

    Raises:
      UnfitError: It is something that would have to be installed.
    """
    from apache_beam.portability.api import beam_artifact_api_pb2 as api
    from apache_beam.portability.api import beam_artifact_api_pb2_grpc, beam_runner_api_pb2

    if not info.dependencies:
        return
    staged = folder / "staged"
    staged.mkdir()
    importable: list[str] = []
    with _channel(request["artifact"], request["worker_id"]) as channel:
        service = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
        resolved = service.ResolveArtifacts(
            api.ResolveArtifactsRequest(artifacts=info.dependencies), timeout=_SECONDS
        )
        for artifact in resolved.replacements:
            name = os.path.basename(
                beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload).staged_name
            )
            if not name.endswith(".whl") and name not in _NO_PACKAGES:
                raise UnfitError(
                    f"the job brings {name!r}, and this worker pool installs nothing: send a wheel of pure Python with "
                    "--extra_package, or install it in the TFX interpreter of the pool."
                )
            with open(staged / name, "wb") as file:
                for block in service.GetArtifact(api.GetArtifactRequest(artifact=artifact)):
                    file.write(block.data)
            if name.endswith(".whl"):
                importable.append(str(_unpacked(staged / name, packages)))
    _import_from(importable)


def _unpacked(wheel: Path, packages: Path) -> Path:
    """The folder of a wheel's content, by its hash.

    Raises:
      UnfitError: It has compiled code.
    """
    if not wheel.name.endswith("-none-any.whl"):
        raise UnfitError(
            f"the job brings {wheel.name!r}, which is not of pure Python: install it in the TFX interpreter of the pool."
        )
    with open(wheel, "rb") as file:
        key = hashlib.sha256(file.read()).hexdigest()
    folder = packages / key
    if not folder.is_dir():
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=packages))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(new)
        try:
            new.rename(folder)
        except OSError:  # another harness was faster
            shutil.rmtree(new, ignore_errors=True)
    return folder


def _import_from(folders: list[str]) -> None:
    """Imports from these folders first; modules of theirs that this process has from elsewhere are imported again."""
    tops = {entry.name.removesuffix(".py") for folder in folders for entry in Path(folder).iterdir()}
    sys.path[:0] = folders
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        if name != __name__:
            del sys.modules[name]
    importlib.invalidate_caches()
