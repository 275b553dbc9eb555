# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The converter on Beam's local runner writes what the other converter writes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("apache_beam", reason='Beam is not installed: pip install ".[beam]"')
pytest.importorskip("tensorflow")
pytest.importorskip("PIL")

from training.data import open_source
from training.data.beam import convert, main
from training.data.shard_writer import write_shards
from training_data_files import VocFolder, assert_same, encoded, picture, voc_folder

LOCAL = ("--runner=DirectRunner",)
pytestmark = pytest.mark.filterwarnings("default")


def _files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if "problems" not in p.name}


@pytest.mark.parametrize("shards", [1, 3, 11])
def test_the_same_shards_to_the_byte(tmp_path: Path, shards: int) -> None:
    folder = voc_folder(tmp_path / "voc", 12)
    write_shards(open_source(folder), tmp_path / "one", shards=shards)
    convert(folder, tmp_path / "other", shards=shards, beam_options=LOCAL)
    assert _files(tmp_path / "other") == _files(tmp_path / "one")


def test_pictures_that_cannot_be_used_leave_no_gap(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path / "voc")
    for number in range(9):
        folder.add(f"{number}.jpg", content=encoded(picture(seed=number)))
    (folder.images / "2.jpg").write_bytes(b"no picture")
    (folder.images / "5.jpg").unlink()
    folder.add("6.jpg", content=encoded(picture(seed=6), "PNG"))
    source = open_source(tmp_path / "voc")
    write_shards(source, tmp_path / "one", shards=3)
    convert(tmp_path / "voc", tmp_path / "other", shards=3, beam_options=LOCAL)
    assert _files(tmp_path / "other") == _files(tmp_path / "one")
    problems = (tmp_path / "other" / "train.problems.txt").read_text().splitlines()
    assert sorted(problems) == sorted(source.problems.texts())
    for ours, theirs in zip(open_source(tmp_path / "other"), source, strict=True):
        assert_same(ours, theirs)


def test_a_set_is_not_replaced_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = voc_folder(tmp_path / "voc", 6)
    command = [str(folder), str(tmp_path / "out"), "--shards", "3", *LOCAL]
    assert main(command) == 0
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command[:3], "2", "--overwrite", *LOCAL]) == 0
    assert len(list((tmp_path / "out").glob("*.tfrecord"))) == 2
    assert main([*command[:3], "7", "--overwrite", *LOCAL]) == 2
    assert "shards is 7, expected 1 to 6" in capsys.readouterr().err
