"""Files of artifacts are read below the allowed roots only, whatever a URI says, and only so much of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from mlmd_panel.errors import PayloadError, PayloadGone, SettingsError
from mlmd_panel.files import local
from mlmd_panel.files.allowed import Files


def _artifact(tmp_path: Path) -> Path:
    """An artifact's folder below the root `tmp_path/root`, with a secret outside of the root."""
    uri = tmp_path / "root" / "pipeline" / "Statistics" / "1"
    (uri / "Split-train").mkdir(parents=True)
    (uri / "Split-train" / "data").write_bytes(b"abc")
    (uri / "top").write_bytes(b"")
    (tmp_path / "secret").write_bytes(b"secret")
    return uri


def _refusal(files: Files, uri: str, name: str = "") -> str:
    with pytest.raises(PayloadError) as raised:
        files.read(uri, name)
    return str(raised.value)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_reads_and_lists_below_a_root(tmp_path: Path, scheme: str) -> None:
    uri = _artifact(tmp_path)
    files = Files([f"{scheme}{tmp_path}/root/"])
    listing = files.list(f"{scheme}{uri}/")
    assert [(entry.name, entry.size) for entry in listing] == [("Split-train/data", 3), ("top", 0)]
    assert listing[0].modified == os.stat(uri / "Split-train" / "data").st_mtime_ns // 1_000_000
    assert not listing.cut
    assert files.read(f"{scheme}{uri}", "Split-train/data") == b"abc"
    assert files.read(f"{scheme}{uri}/Split-train/data") == b"abc"
    assert [entry.name for entry in files.list(f"{uri}/top")] == [""]


def test_a_listing_is_bounded_by_depth_and_number(tmp_path: Path) -> None:
    uri = _artifact(tmp_path)
    listing = Files([str(tmp_path / "root")]).list(str(uri), depth=1)
    assert [entry.name for entry in listing] == ["top"] and listing.cut
    for number in range(20):
        (uri / f"file-{number}").touch()
    listing = Files([str(tmp_path / "root")], max_entries=10).list(str(uri))
    assert len(listing) <= 10 and listing.cut


def test_what_is_gone_is_told_apart(tmp_path: Path) -> None:
    uri = _artifact(tmp_path)
    files = Files([str(tmp_path / "root")])
    for read in (
        lambda: files.list(f"{uri}-cleaned"),
        lambda: files.read(str(uri), "Split-eval/data"),
        lambda: files.read(str(uri), "top/below-a-file"),
        lambda: files.list(""),
    ):
        with pytest.raises(PayloadGone) as raised:
            read()
        assert str(tmp_path) not in str(raised.value)


@pytest.mark.parametrize(
    "uri",
    [
        "{tmp}/secret",
        "{tmp}",
        "{tmp}/root-evil/x",
        "{tmp}/root/../secret",
        "{tmp}/root/pipeline/../../secret",
        "{tmp}/root/%2e%2e/secret",
        "{tmp}/root/%2E%2E%2fsecret",
        "{tmp}/root/..\\..\\secret",
        "{tmp}/root/x\x00",
        "{tmp}/root/x\n",
        "file://localhost{tmp}/root/x",
        "file://..{tmp}/root/x",
        "file:{tmp}/root/x",
        "FILE://{tmp}/root/x",
        "local://{tmp}/root/x",
        "root/x",
        "./root",
        "~/x",
        "zip://x::file://{tmp}/root/a.zip",
        "{tmp}/root/a::{tmp}/secret",
        "simplecache::file://{tmp}/secret",
        "http://169.254.169.254/latest",
        "s3://bucket/x",
        "s3:/{tmp}/root",
        "memory://x",
        "data:,x",
        "/dev/zero",
        "/proc/self/environ",
        "\udcff",
        "{tmp}/root/\ud800",
    ],
)
def test_nothing_outside_the_roots_is_read(tmp_path: Path, uri: str) -> None:
    _artifact(tmp_path)
    files = Files([str(tmp_path / "root")])
    refused = _refusal(files, uri.format(tmp=tmp_path))
    assert str(tmp_path) not in refused and "secret" not in refused
    with pytest.raises(PayloadError):
        files.list(uri.format(tmp=tmp_path))


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/", "a\x00", "..", "a\\b", "%2e%2e/x"]
)
def test_names_below_a_uri_stay_below_it(tmp_path: Path, name: str) -> None:
    uri = _artifact(tmp_path)
    _refusal(Files([str(tmp_path / "root")]), str(uri), name)


def test_links_may_not_lead_out(tmp_path: Path) -> None:
    uri = _artifact(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data").write_bytes(b"secret")
    (uri / "link").symlink_to(tmp_path / "secret")
    (uri / "relative").symlink_to("../../../../secret")
    (uri / "folder").symlink_to(outside)
    (uri / "loop").symlink_to("loop")
    (uri / "absent").symlink_to(tmp_path / "absent")
    files = Files([str(tmp_path / "root")])
    for name in ("link", "relative", "folder/data", "loop", "absent"):
        assert str(tmp_path) not in _refusal(files, str(uri), name)
    assert [entry.name for entry in files.list(str(uri))] == ["Split-train/data", "top"]
    with pytest.raises(PayloadError):
        files.list(str(uri / "folder"))


def test_links_inside_the_roots_are_followed(tmp_path: Path) -> None:
    uri = _artifact(tmp_path)
    (uri / "again").symlink_to("Split-train/data")
    (tmp_path / "mount").symlink_to(tmp_path / "root")
    files = Files([str(tmp_path / "mount")])
    through = str(uri).replace(f"{tmp_path}/root", f"{tmp_path}/mount")
    assert files.read(through, "again") == b"abc"
    assert [entry.name for entry in files.list(through)] == ["Split-train/data", "again", "top"]


def test_a_link_put_in_place_after_the_check_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = _artifact(tmp_path)
    checked = local._resolve

    def race(path: str, roots):
        found = checked(path, roots)
        (uri / "Split-train").rename(tmp_path / "away")
        (uri / "Split-train").symlink_to(tmp_path)
        return found

    monkeypatch.setattr(local, "_resolve", race)
    (tmp_path / "data").write_bytes(b"secret")
    _refusal(Files([str(tmp_path / "root")]), str(uri), "Split-train/data")


def test_only_plain_files_are_opened_and_none_blocks(tmp_path: Path) -> None:
    uri = _artifact(tmp_path)
    os.mkfifo(uri / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(uri / "socket"))
    (uri / "device").symlink_to("/dev/zero")
    if os.geteuid() == 0:
        os.mknod(uri / "node", 0o20666, os.makedev(1, 5))
    files = Files([str(tmp_path / "root")])
    for name in ("fifo", "socket", "device", "node", "Split-train"):
        _refusal(files, str(uri), name)
    assert [entry.name for entry in files.list(str(uri))] == ["Split-train/data", "top"]


def test_a_file_that_the_panel_may_not_read_is_a_sentence(tmp_path: Path) -> None:
    uri = _artifact(tmp_path)
    code = (
        "import os, sys; from mlmd_panel.files.allowed import Files; os.getuid() or os.setuid(65534)\n"
        "try: Files([sys.argv[1]]).read(sys.argv[2], 'top')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    (uri / "top").chmod(0)
    for folder in (*uri.parents, uri):
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o5)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", code, str(tmp_path / "root"), str(uri)]
    told = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert (
        told.stdout
        == "PayloadError top cannot be read by the user that the panel runs as; check its permissions.\n"
    ), told.stderr


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    uri = _artifact(tmp_path)
    with open(uri / "sparse", "wb") as file:
        file.truncate(2 << 30)
    files = Files([str(tmp_path / "root")])
    assert "sparse is larger than the 64 MiB" in _refusal(files, str(uri), "sparse")
    with pytest.raises(PayloadError, match="larger than the 2 bytes"):
        files.read(str(uri), "Split-train/data", 2)
    with pytest.raises(PayloadError, match="larger than the 1 bytes"):
        Files([str(tmp_path / "root")], max_bytes=1).read(str(uri), "Split-train/data", 2)


@pytest.mark.parametrize(
    "root",
    [
        "",
        "root",
        "http://x",
        "s3://",
        "s3:///x",
        "/a/../b",
        "zip://a::/b",
        "memory://x",
        "file://host/x",
        "gs://b//c",
    ],
)
def test_a_root_that_means_nothing_is_refused(root: str) -> None:
    with pytest.raises(SettingsError, match="is not a valid root"):
        Files([root])


@pytest.mark.parametrize(
    "uri", ["s3://bucket-evil/tfx/x", "s3://bucket/tfx-evil/x", "s3://bucket", "s3://bucket/tfx/../x", "gs://bucket/tfx/x",
            "s3://bucket/tfx//x", "s3://bucket/tfx/./x", "s3://user@bucket/tfx/x", "s3://bucket/tfx/x::file:///etc/passwd"]
)  # fmt: skip
def test_prefixes_of_buckets_are_whole_parts(uri: str) -> None:
    refused = _refusal(Files(["s3://bucket/tfx"]), uri)
    assert "outside the panel's allowed roots" in refused and "bucket" not in refused


def test_a_driver_that_is_not_installed_is_named() -> None:
    refused = _refusal(Files(["gs://bucket/tfx"]), "gs://bucket/tfx/1/file")
    assert "needs the package gcsfs" in refused and "bucket" not in refused


def test_an_object_store_that_does_not_answer_is_given_up_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        options = {"key": "k", "secret": "s", "endpoint_url": address}
        files = Files(["s3://bucket"], options=lambda protocol: options, timeout=1)
        told: list[str] = []
        asked = threading.Thread(target=lambda: told.append(_refusal(files, "s3://bucket/x")))
        asked.start()
        asked.join(10)
    assert told and "does not respond" in told[0]
