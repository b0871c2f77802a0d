"""A store by somebody who means harm, through ml_metadata; run in the TFX interpreter.

`python -m tests.panel.official_hostile FOLDER` writes FOLDER/metadata.db and FOLDER/artifacts; beside them, where
nobody may read, FOLDER/secret.
"""

from __future__ import annotations

import functools
import gzip
import os
import sys
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as pb

SECRET = "the secret that lies beside the artifacts"
NAMES = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% include '/etc/passwd' %}",
    "\u202egnp.exe\u2066",
    "javascript:alert(1)",
    "../../../../etc/passwd",
    "a\nSet-Cookie: a=b",
    "=cmd|' /C calc'!A0",
    "x" * 5000,
)
# Files that readers of the type look for, so that each finds something.
_FILES = (
    "Split-train/FeatureStats.pb",
    "Split-train/SchemaDiff.pb",
    "Split-train/data_tfrecord-00000-of-00001.gz",
    "schema.pbtxt",
    "metrics-00000-of-00001.tfrecord",
    "plots-00000-of-00001.tfrecord",
    "validations.tfrecord",
    "eval_config.json",
    "Format-Serving/saved_model.pb",
    "metadata/schema.pbtxt",
    "transformed_metadata/schema.pbtxt",
    "transform_fn/saved_model.pb",
    "transform_fn/assets/vocabulary",
    "best_hyperparameters.txt",
    "BLESSED",
    "value",
)
TYPES = (
    "Examples",
    "ExampleStatistics",
    "Schema",
    "ExampleAnomalies",
    "ModelEvaluation",
    "Model",
    "PushedModel",
    "TransformGraph",
    "HyperParameters",
    "ModelBlessing",
    "String",
    "Integer",
    "JsonValue",
    "Mystery",
)


def contents(folder: Path) -> dict[str, str]:
    """Writes what each kind of harm is made of; returns URIs by kind."""
    artifacts, secret = folder / "artifacts", folder / "secret"
    secret.mkdir(parents=True)
    for name in _FILES:
        (secret / name).parent.mkdir(parents=True, exist_ok=True)
        (secret / name).write_text(SECRET)
    uris = {
        "passwd": "file:///etc/passwd",
        "parent": f"{artifacts}/../secret",
        "outside": str(secret),
        "link": str(artifacts / "link"),
        "empty": "",
        "environment": "/proc/self/environ",
        "network": "http://169.254.169.254/latest/meta-data",
        "chained": f"simplecache::file://{secret}",
        "nul": f"{artifacts}\\x00/secret",
    }
    artifacts.mkdir()
    (artifacts / "link").symlink_to(secret)
    for kind, write in {
        "links": lambda path, name: path.symlink_to(secret / name),
        "huge": _huge,
        "bomb": lambda path, name: path.write_bytes(_bomb()),
        "garbage": lambda path, name: path.write_bytes(os.urandom(3000)),
        "fifo": lambda path, name: os.mkfifo(path),
        "deep": lambda path, name: path.write_bytes(b"\x0a\xff\xff\xff\x7f" * 2000),
    }.items():
        uris[kind] = str(artifacts / kind)
        for name in _FILES:
            path = artifacts / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, name)
    return uris


def _huge(path: Path, name: str) -> None:
    with open(path, "wb") as file:
        file.truncate(2 << 30)


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(bytes(64 << 20))


def main(folder: Path) -> None:
    """Writes the folders and a store in which every type has every harm by the first name, and some by the others."""
    uris = contents(folder)
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(folder / "metadata.db")
    config.sqlite.connection_mode = config.sqlite.READWRITE_OPENCREATE
    store = MetadataStore(config)
    contexts = {
        name: store.put_context_type(pb.ContextType(name=name))
        for name in ("pipeline", "pipeline_run", "node")
    }
    harms = list(uris.items())
    for number, name in enumerate(NAMES):
        around = [
            pb.Context(type_id=contexts["pipeline"], name=name),
            pb.Context(type_id=contexts["pipeline_run"], name=f"{name}:{name}"),
            pb.Context(type_id=contexts["node"], name=f"{name}.{name}"),
        ]
        execution_type = store.put_execution_type(pb.ExecutionType(name=f"{name}."[:250]))
        execution = pb.Execution(
            type_id=execution_type, last_known_state=pb.Execution.COMPLETE, name=name[:250]
        )
        execution.custom_properties[name[:250]].string_value = name
        execution.custom_properties["broken"].string_value = "mlmd-struct::%%%not base64"
        made = []
        for type_name in [*TYPES, name[:250]] if number == 0 else [TYPES[number], name[:250]]:
            type_id = store.put_artifact_type(pb.ArtifactType(name=type_name))
            for kind, uri in harms if number == 0 else harms[number % 8 :: 8]:
                artifact = pb.Artifact(type_id=type_id, uri=uri, state=pb.Artifact.LIVE)
                artifact.name = f"{kind} {type_name} {name}"[:250]
                artifact.custom_properties["span"].string_value = name
                artifact.custom_properties["split_names"].string_value = '["train", "../../secret"]'
                artifact.custom_properties["blessed"].string_value = name
                event = pb.Event(type=pb.Event.OUTPUT)
                event.path.steps.add().key = name
                made.append((artifact, event))
        store.put_execution(execution, made, around, reuse_context_if_already_exist=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
