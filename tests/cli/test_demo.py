"""The demo: the whole way in one command, honest about its captions, repeatable, careful with folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import demo, pictures
from core.errors import ConflictError
from tests.cli.conftest import Densify


def test_the_demo_goes_the_whole_way_and_says_what_it_is(densify: Densify, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    result = densify("demo", "--pictures", "20", "--folder", folder)
    assert result.exit_code == 0, result.stdout + result.stderr
    assert "RANDOM weights" in result.stdout
    assert "gibberish" in result.stdout
    assert "baseline: old_text.jsonl" in result.stdout
    assert "proven: 20 samples in = 20 captioned + 0 rejected" in result.stdout
    (manifest,) = (folder / "handoff" / "handoffs").glob("shop-*.json")
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
    first, second = list(pictures.draw_pictures(6)), list(pictures.draw_pictures(6))
    assert first == second
    assert len({each.jpeg for each in first}) == 6
    assert list(pictures.draw_pictures(6, seed=1)) != first
    for name in ("a", "b"):
        pictures.write_shards(tmp_path / name, count=5, per_shard=2)
    files = sorted((tmp_path / "a").iterdir())
    assert [file.name for file in files] == ["shop-000.tar", "shop-001.tar", "shop-002.tar"]
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in sorted((tmp_path / "b").iterdir())]
