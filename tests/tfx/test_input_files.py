"""Input files of Beam programs lie below their folder, whatever a run asks for and whatever lies in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.taxi import ingest
from include.tfx_airflow.tfx_side.input_files import below
from include.wordcount import count


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of texts beside a file that is nobody's business."""
    folder = tmp_path / "texts"
    (folder / "2014").mkdir(parents=True)
    (folder / "2014" / "a.txt").write_text("a word\n")
    (tmp_path / "secret.txt").write_text("unspeakable\n")
    return folder


@pytest.mark.parametrize("pattern", ["2014/a.txt", "2014/*.txt", "**/a.???", "not-there.txt"])
def test_a_name_or_pattern_is_taken_below_the_folder(folder: Path, pattern: str) -> None:
    assert below(str(folder), pattern) == f"{folder}/{pattern}"


@pytest.mark.parametrize(
    "pattern", ["../secret.txt", "/etc/passwd", "2014/../../secret.txt", "file:///x", "a\n"]
)
def test_what_leads_out_is_refused_before_anything_is_looked_at(folder: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a pattern of files below"):
        below(str(folder), pattern)
    with pytest.raises(ValueError, match="without a folder"):
        below("", "a.txt")


def test_links_are_followed_inside_and_refused_to_the_outside(folder: Path) -> None:
    (folder / "inside.txt").symlink_to(folder / "2014" / "a.txt")
    assert below(str(folder), "inside.*")
    linked = folder.with_name("linked")
    linked.symlink_to(folder)
    assert below(str(linked), "2014/*") == f"{linked}/2014/*"  # the author's own link
    (folder / "outside.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "up").symlink_to(folder.parent)
    (folder / ".hidden.txt").symlink_to(folder.parent / "secret.txt")
    for pattern in ("outside.txt", "*.txt", "up/secret.txt", "up/*.txt", "*hidden*"):
        with pytest.raises(ValueError, match="is a link to a file that is not below"):
            below(str(folder), pattern)


def test_a_folder_in_an_object_store_has_no_links() -> None:
    assert below("s3://bucket/raw", "2014/*.csv") == "s3://bucket/raw/2014/*.csv"


def test_a_neighbour_whose_name_begins_alike_is_elsewhere(folder: Path) -> None:
    other = folder.with_name("texts-of-others")
    other.mkdir()
    (other / "b.txt").touch()
    (folder / "b.txt").symlink_to(other / "b.txt")
    with pytest.raises(ValueError, match="not below"):
        below(str(folder), "b.txt")


def test_the_programs_refuse_it_and_write_nothing(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "outside.txt").symlink_to(folder.parent / "secret.txt")
    for name in ("outside.txt", "../secret.txt"):
        with pytest.raises(SystemExit):
            count.main([f"--folder={folder}", f"--input={name}", f"--output={tmp_path}/counts.csv"])
        with pytest.raises(SystemExit):
            ingest.main(
                [f"--raw_folder={folder}", f"--raw={name}", f"--root={tmp_path}/taxi", "--delivery=d"]
            )
    said = capfd.readouterr()
    assert said.err.count("not below") == 2 and "unspeakable" not in said.out + said.err
    assert not (tmp_path / "counts.csv").exists() and not (tmp_path / "taxi").exists()
