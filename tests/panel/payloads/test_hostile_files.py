"""Whatever lies where an artifact's files should be: the panel answers with a sentence, soon, in little memory."""

from __future__ import annotations

import dataclasses
import gzip
import importlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlmd_panel.errors import PayloadError
from mlmd_panel.files.allowed import Files

from tests.panel.data_artifacts import artifact, official_data
from tests.panel.mutations import MUTATIONS
from tests.panel.raw_bytes import checksum, varint

_READ = """
import importlib, resource, sys
module, root = sys.argv[1:]
from mlmd_panel.files import protos
from mlmd_panel.errors import PayloadError
from mlmd_panel.files.allowed import Files
from mlmd_panel.store.records import Artifact
read = importlib.import_module(f"mlmd_panel.payloads.data.{module}").read
given, files = Artifact(1, "Type", "", root, "LIVE", 0, 0), Files([root])
protos.message("tensorflow.Example"), protos.message("tensorflow.metadata.v0.Schema")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print("read", *(getattr(split, "problem", "") for split in read(given, files).splits))
except PayloadError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)
"""
_SPLIT = {
    "examples": "Split-train/data_tfrecord-00000-of-00001.gz",
    "statistics": "Split-train/FeatureStats.pb",
    "anomalies": "Split-train/SchemaDiff.pb",
    "schema": "schema.pbtxt",
}


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(2 << 30)


def _zeros_gzip(path: Path) -> None:
    with open(path, "wb") as file:  # 1 GiB
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as packed:
            for _ in range(64):
                packed.write(bytes(16 << 20))


def _large_record_gzip(path: Path) -> None:
    """Says in a sound header that 1 GiB follows."""
    length = (1 << 30).to_bytes(8, "little")
    path.write_bytes(gzip.compress(length + checksum(length) + bytes(20 << 20), 1))


def _countless_features(path: Path) -> None:
    inner = b"\x1a\x00" * (4 << 20)
    path.write_bytes(b"\x0a" + varint(len(inner)) + inner)


def _random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(1 << 20))


def _deep(path: Path) -> None:
    path.write_text("feature { struct_domain { " * 100_000)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    "make", [_sparse, _random_bytes, _deep, _fifo, _device, _folder], ids=lambda make: make.__name__
)
@pytest.mark.parametrize("module", _SPLIT)
def test_what_is_no_such_file_is_a_sentence(
    tmp_path: Path, module: str, make: Callable[[Path], None]
) -> None:
    path = tmp_path / _SPLIT[module]
    path.parent.mkdir(exist_ok=True)
    make(path)
    read = importlib.import_module(f"mlmd_panel.payloads.data.{module}").read
    if module == "examples" and make in (
        _fifo,
        _device,
        _folder,
    ):  # no files of the split, which is not wrong
        assert all(split.files == 0 for split in read(artifact(str(tmp_path)), Files([str(tmp_path)])).splits)
        return
    if module == "examples":  # one split, whose trouble hides no other
        [split] = read(artifact(str(tmp_path)), Files([str(tmp_path)])).splits
        assert split.problem and split.records is None and str(tmp_path) not in split.problem
        return
    with pytest.raises(PayloadError) as raised:
        read(artifact(str(tmp_path)), Files([str(tmp_path)]))
    assert str(tmp_path) not in str(raised.value)


@pytest.mark.parametrize(
    ("module", "make", "told", "mebibytes"),
    [
        ("examples", _sparse, "is not a TFRecord file", 30),
        ("examples", _zeros_gzip, "is not a TFRecord file", 30),
        ("examples", _large_record_gzip, "is too large", 30),
        ("statistics", _sparse, "larger than", 30),
        ("statistics", _zeros_gzip, "is not a TFRecord file", 40),
        ("statistics", _countless_features, "more than the 1000000 parts", 60),
        ("anomalies", _sparse, "larger than", 30),
        ("schema", _sparse, "larger than", 30),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)).replace(" ", "-"),
)
def test_memory_stays_bounded(
    tmp_path: Path, module: str, make: Callable[[Path], None], told: str, mebibytes: int
) -> None:
    path = tmp_path / _SPLIT[module]
    path.parent.mkdir(exist_ok=True)
    make(path)
    done = subprocess.run(
        [sys.executable, "-c", _READ, module, tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    sentence, grown = done.stdout.splitlines()
    assert told in sentence
    assert int(grown) < mebibytes


def _mutated(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(made))
        kind = chance.randrange(4)
        if kind == 0:
            made[place] = chance.randrange(256)
        elif kind == 1:
            made[place] ^= 1 << chance.randrange(8)
        elif kind == 2:
            del made[place : place + chance.randint(1, 40)]
            made = made or bytearray(b"\0")
        else:
            made[place:place] = made[chance.randrange(len(made)) :][: chance.randint(1, 40)]
    return bytes(made)


@pytest.mark.parametrize(
    ("module", "rounds"), [("statistics", 75), ("anomalies", 250), ("schema", 125), ("rows", 500)]
)
def test_random_damage_raises_nothing_else(tmp_path: Path, module: str, rounds: int) -> None:
    data = official_data()
    chance = random.Random(3)
    if module == "rows":
        from mlmd_panel.files import tfrecord
        from mlmd_panel.payloads.data import example_rows

        name = "Split-train/data_tfrecord-00000-of-00001.gz"
        records = list(tfrecord.records(data.files, f"{data.folder}/sequences", name))
        records += tfrecord.records(
            data.files, f"{data.folder}/examples", "Split-train/data_tfrecord-00000-of-00002.gz"
        )
        whole = [record for record in records if record]

        def read(damaged: bytes) -> Any:
            for decode in example_rows.DECODERS.values():
                json.dumps(decode(damaged, "data"))

    else:
        whole = [(data.folder / module / _SPLIT[module]).read_bytes()]
        path = tmp_path / _SPLIT[module]
        path.parent.mkdir(exist_ok=True)
        reader = importlib.import_module(f"mlmd_panel.payloads.data.{module}").read
        files = Files([str(tmp_path)])

        def read(damaged: bytes) -> Any:
            path.write_bytes(damaged)
            json.dumps(dataclasses.asdict(reader(artifact(str(tmp_path)), files)))

    refused, rounds = 0, rounds * MUTATIONS
    for _ in range(rounds):
        try:
            read(_mutated(chance.choice(whole), chance))
        except PayloadError as error:
            refused += 1
            assert str(tmp_path) not in str(error)
    assert 0 < refused < rounds


def test_no_file_stays_open(tmp_path: Path) -> None:
    data = official_data()
    before = len(os.listdir("/proc/self/fd"))
    for module in _SPLIT:
        importlib.import_module(f"mlmd_panel.payloads.data.{module}").read(data.artifact(module), data.files)
    (tmp_path / "x").symlink_to("/dev/zero")
    with pytest.raises(PayloadError):
        Files([str(tmp_path)]).read(str(tmp_path), "x")
    assert len(os.listdir("/proc/self/fd")) == before
