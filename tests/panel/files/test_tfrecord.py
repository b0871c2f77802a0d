"""TFRecord files are read record by record; what is damaged, cut off or too large is told and costs little."""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from mlmd_panel.errors import PayloadError
from mlmd_panel.files import tfrecord
from mlmd_panel.files.allowed import Files

from tests.panel.raw_bytes import checksum, record

_RECORDS = [b"", b"a", b"b" * 100_000, *(b"%d" % number for number in range(500))]


def _pack(records: list[bytes]) -> bytes:
    return b"".join(map(record, records))


def _read(tmp_path: Path, data: bytes, **limits: int) -> list[bytes]:
    (tmp_path / "data").write_bytes(data)
    return list(tfrecord.records(Files([str(tmp_path)]), str(tmp_path), "data", **limits))


@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reads_plain_and_gzip_by_content(tmp_path: Path, packed: Callable[[bytes], bytes]) -> None:
    assert _read(tmp_path, packed(_pack(_RECORDS))) == _RECORDS
    assert _read(tmp_path, packed(b"")) == []
    assert _read(tmp_path, packed(_pack(_RECORDS)), limit=2) == _RECORDS[:2]


def test_joined_gzip_files_are_one(tmp_path: Path) -> None:
    data = _pack(_RECORDS)
    parts = [data[:70_001], b"", data[70_001:]]
    assert _read(tmp_path, b"".join(map(gzip.compress, parts))) == _RECORDS


def test_a_length_that_looks_like_gzip_is_a_length(tmp_path: Path) -> None:
    record = bytes(0x088B1F)  # as bytes 1f 8b 08
    assert _read(tmp_path, _pack([record])) == [record]


@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_that_is_cut_off_is_told(tmp_path: Path, packed: Callable[[bytes], bytes]) -> None:
    whole = packed(_pack([b"first", b"second"]))
    ends = {len(_pack([])), len(_pack([b"first"]))} if packed is bytes else {0}
    for end in range(len(whole)):
        if end not in ends:
            with pytest.raises(PayloadError, match="^data is "):
                _read(tmp_path, whole[:end])


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path) -> None:
    whole = _pack([b"first", b"second"])
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            with pytest.raises(PayloadError):
                _read(tmp_path, bytes(flipped))


def test_damage_is_told_with_the_file_and_the_record(tmp_path: Path) -> None:
    whole = bytearray(_pack([b"first", b"second"]))
    whole[-5] ^= 1
    with pytest.raises(PayloadError, match="^Record 1 of data is damaged: its checksum is wrong.$"):
        _read(tmp_path, bytes(whole))
    with pytest.raises(PayloadError, match="not a TFRecord file"):
        _read(tmp_path, b"a,b,c\n1,2,3\n")


def test_records_and_files_that_are_too_large_are_refused(tmp_path: Path) -> None:
    length = struct.pack("<Q", 1 << 62)
    with pytest.raises(PayloadError, match="Record 0 of data is too large"):
        _read(tmp_path, length + checksum(length))
    many = _pack([bytes(1000)] * 100)
    assert len(_read(tmp_path, many, max_total=len(many))) == 100
    for data in (many, gzip.compress(many)):
        with pytest.raises(PayloadError, match="larger than"):
            _read(tmp_path, data, max_total=len(many) - 1)


def test_a_file_of_countless_empty_gzip_members_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PayloadError, match="consists of more than"):
        _read(tmp_path, gzip.compress(b"") * 200_000)


def test_random_damage_is_never_anything_but_a_sentence(tmp_path: Path) -> None:
    chance = random.Random(5)
    for whole in (_pack(_RECORDS[:1] + _RECORDS[3:60]), gzip.compress(_pack(_RECORDS))):
        for _ in range(500):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                assert set(_read(tmp_path, bytes(data))) <= set(_RECORDS)
            except PayloadError as error:
                assert str(tmp_path) not in str(error)
