"""The key of a node server: a hash of this package, its interpreter's packages, and variables read while they load.

When any of these changes, another server is needed. Every other variable still reaches a forked node. The lists hold
the variables that Python, TFX and its imports read, in Python and in C, as recorded while importing
`tfx_side/node_server/preload.py`; the tests record them again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from include.tfx_airflow.contract import wire

_FAMILIES = tuple(
    f"{name}_"
    for name in (
        "ABSL ACC ARROW CUBLAS CUDA CUDNN DNNL GCE GCS GFORTRAN GLIBC GLOG GOMP GOTO GRPC HDF5 HIP HTTPLIB2 IPY IPYTHON"
        " JAX JE JOBLIB JUPYTER KERAS KMP LC LD LIBSMARTCOLS LLVM LOKY LSCPU MALLOC MKL NCCL NLTK NPY NUMEXPR NUMPY"
        " NVIDIA OMP ONEDNN OPENBLAS OPENSSL PANDAS PILLOW PROTOCOL PSUTIL ROCM SCIPY SKLEARN TCMALLOC TF TF2 TORNADO"
        " TPU TRAITLETS WRAPT XLA httplib2"
    ).split()
)  # Single names below: most of their families is read after the fork, and some (credentials, logins) change often.
_NAMES = frozenset(
    "AIOHTTP_NO_EXTENSIONS API_ENDPOINT_OVERRIDE API_VERSION_OVERRIDE APPENGINE_RUNTIME AWS_CONFIG_FILE"
    " AWS_CSM_CLIENT_ID AWS_CSM_ENABLED AWS_CSM_HOST AWS_CSM_PORT AWS_DEFAULT_PROFILE AWS_DEFAULT_REGION"
    " AWS_EC2_METADATA_DISABLED AWS_MAX_ATTEMPTS AWS_NEW_RETRIES_2026 AWS_PROFILE AWS_REGION AWS_RETRY_MODE"
    " AWS_SHARED_CREDENTIALS_FILE CLOUDSDK_CONFIG CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH"
    " CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE CRYPTOGRAPHY_OPENSSL_NO_LEGACY"
    " DISABLE_HOST_SEND_RECV_REGISTRATION DISTUTILS_DEBUG ENABLE_GCS_PYTHON_CLIENT_OTEL_TRACES"
    " ENABLE_RUNTIME_UPTIME_TELEMETRY EXPAT_ACCOUNTING_DEBUG EXPAT_ENTITY_DEBUG FROZENLIST_NO_EXTENSIONS GOOGLE_ALSOLOGTOSTDERR"
    " GOOGLE_API_CERTIFICATE_CONFIG GOOGLE_API_USE_CLIENT_CERTIFICATE GOOGLE_LOGTOSTDERR GOOGLE_LOG_DIR"
    " GOTOBLAS_MAIN_FREE HOME KUBECONFIG LANG LANGUAGE LOCPATH MATPLOTLIBRC MPLBACKEND"
    " MPLCONFIGDIR MULTIDICT_NO_EXTENSIONS NO_GCE_CHECK OTEL_PYTHON_CONTEXT PROPCACHE_NO_EXTENSIONS"
    " PYPARSINGENABLEALLWARNINGS PYZMQ_BACKEND PY_SAX_PARSER SACREBLEU SETUPTOOLS_USE_DISTUTILS SQLITE_TMPDIR"
    " SSLKEYLOGFILE SSL_CERT_DIR SSL_CERT_FILE STORAGE_EMULATOR_HOST TEMP"
    " TEMPORARILY_DISABLE_PROTOBUF_VERSION_CHECK TEST_RANDOM_SEED TEST_SRCDIR TEST_TMPDIR TMP TMPDIR TZ TZDIR"
    " ULPATH_DEBUG WCWIDTH_PYTHON XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XML_DEBUG_CATALOG YARL_NO_EXTENSIONS".split()
)


def is_read_at_import(name: str) -> bool:
    """Whether a library reads this variable when it is loaded, and may not read it again."""
    # PYTHONPATH names the bundle's folder, which a forked node changes.
    return name != "PYTHONPATH" and (name in _NAMES or name.startswith((*_FAMILIES, "PYTHON")))


def key(python: str, pythonpath: str, environment: Mapping[str, str]) -> str:
    """Key of a server with this package and these packages as they are now.

    Args:
      python: The interpreter.
      pythonpath: [tfx_airflow] pythonpath.
      environment: Of the server.
    """
    digest = hashlib.sha256(f"{files_key(python)}\0{pythonpath}\0".encode())
    for name in sorted(filter(is_read_at_import, environment)):
        digest.update(f"{name}={environment[name]}\0".encode())
    return digest.hexdigest()[:12]


def files_key(python: str) -> str:
    """Key of this package's code, wherever it is, and of the interpreter with its packages."""
    digest = hashlib.sha256(str(wire.PROTOCOL).encode())
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    prefix = Path(python).parent.parent
    # Installing, upgrading or removing a package writes or removes its RECORD.
    for record in sorted(prefix.glob("lib/python3*/site-packages/*.dist-info/RECORD")):
        digest.update(f"{record}\0{record.stat().st_mtime_ns}\0".encode())
    digest.update(os.path.realpath(python).encode())
    return digest.hexdigest()
