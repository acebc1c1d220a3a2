"""The demo: the whole way in one command, honest about its captions, repeatable, careful with folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli import demo, pictures
from core.errors import ConflictError
from tests.cli.conftest import Densify, read_webdataset


def test_the_demo_goes_the_whole_way_and_says_what_it_is(densify: Densify, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    result = densify("demo", "--images", "20", "--folder", folder)
    assert result.exit_code == 0, result.stdout + result.stderr
    assert "RANDOM weights" in result.stdout
    assert "gibberish" in result.stdout
    assert "baseline: old_text.jsonl" in result.stdout
    assert "proven: 20 samples in = 20 captioned + 0 rejected" in result.stdout
    (manifest,) = (folder / "handoff" / "handoffs").glob("scenes-*.json")
    assert f"densify verify {manifest}" in result.stdout
    assert "Traceback" not in result.stderr
    verified = densify("verify", manifest)
    assert verified.exit_code == 0


def test_only_the_demos_own_folder_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo.make_room(folder)
    (folder / "old").touch()
    demo.make_room(folder)
    assert [file.name for file in folder.iterdir()] == [demo.MARK]
    theirs = tmp_path / "holiday"
    theirs.mkdir()
    (theirs / "photo.jpg").touch()
    with pytest.raises(ConflictError):
        demo.make_room(theirs)
    assert (theirs / "photo.jpg").exists()


def test_the_same_seed_draws_the_same_pictures(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        pictures.write_shards(tmp_path / name, images=5, per_shard=2, seed=seed)
    files = {name: sorted((tmp_path / name).iterdir()) for name in "abc"}
    assert [file.name for file in files["a"]] == ["scenes-000.tar", "scenes-001.tar", "scenes-002.tar"]
    data = {name: [file.read_bytes() for file in found] for name, found in files.items()}
    assert data["a"] == data["b"]
    assert data["a"] != data["c"]


def test_shards_alone_can_be_asked_for(densify: Densify, tmp_path: Path) -> None:
    result = densify("demo", "--shards", tmp_path / "out", "--images", "7", "--seed", "3", "--per-shard", "4")
    assert result.exit_code == 0, result.stderr
    first, second = (
        read_webdataset([tmp_path / "out" / "scenes-000.tar"]),
        read_webdataset([tmp_path / "out" / "scenes-001.tar"]),
    )
    assert (len(first), len(second)) == (4, 3)
    assert {"scene", "dense", "brief", "old_text_kind", "width", "height"} <= set(json.loads(first[0]["json"]))
