from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from analysis.export import FORMATS, export
from analysis.handoff_build import make_handoff, publish
from core.errors import BadFieldError, CheckFailedError, ConflictError, CountMismatchError, NoSuchPathError
from shards.handoff import Handoff, SplitRule
from shards.store import open_store
from tests.analysis.make_handoff import CAPTION, SPEC, captioned_shard, handed_off
from tests.shards.make_shards import flip, picture


@pytest.fixture(scope="module")
def handoff(tmp_path_factory: pytest.TempPathFactory) -> tuple[Handoff, Path]:
    _, handoff, path = handed_off(tmp_path_factory.mktemp("store"))
    return handoff, path


def images(folder: Path) -> dict[str, bytes]:
    found = [file for file in folder.iterdir() if file.suffix in (".jpg", ".png")]
    for file in found:
        Image.open(io.BytesIO(file.read_bytes())).load()
    return {file.name: file.read_bytes() for file in found}


def expected_images() -> set[str]:
    pictures = [picture(n) for n in range(6)] + [picture(100 + n) for n in (1, 2, 4)]
    pictures += [picture(200 + n, format="PNG") for n in range(4)]
    return {hashlib.sha256(data).hexdigest() for data in pictures}


def hashes(found: dict[str, bytes]) -> set[str]:
    return {hashlib.sha256(data).hexdigest() for data in found.values()}


@pytest.mark.parametrize(("format", "folder"), [("kohya", "1_densify"), ("everydream", "")])
def test_image_and_text_pairs_are_complete_and_one_line_each(
    format: str, folder: str, handoff: tuple[Handoff, Path], tmp_path: Path
) -> None:
    result = export(handoff[1], tmp_path / "out", format)  # type: ignore[arg-type]
    assert result.samples == 13
    found = images(tmp_path / "out" / folder)
    assert hashes(found) == expected_images()
    for name in found:
        text = (tmp_path / "out" / folder / name).with_suffix(".txt").read_text()
        assert text.startswith("A red dog and two cats on the roof of house ")
        assert text.count("\n") == 1
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(files) == 26


def test_an_image_folder_has_a_line_of_metadata_for_each_image(handoff: tuple[Handoff, Path], tmp_path: Path) -> None:
    export(handoff[1], tmp_path / "out", "imagefolder")
    found = images(tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()]
    assert {row["file_name"] for row in rows} == set(found)
    assert hashes(found) == expected_images()
    assert all(row["text"] == CAPTION.format(row["key"]) for row in rows)
    assert {row["shard"] for row in rows} == {"a", "b", "c"}


def test_pixart_has_the_fields_that_its_loader_reads(handoff: tuple[Handoff, Path], tmp_path: Path) -> None:
    export(handoff[1], tmp_path / "out", "pixart")
    found = images(tmp_path / "out" / "InternImgs")
    rows = json.loads((tmp_path / "out" / "InternData" / "data_info.json").read_text())
    assert {row["path"] for row in rows} == set(found)
    assert hashes(found) == expected_images()
    for row in rows:
        assert row.keys() == {"path", "width", "height", "ratio", "prompt", "sharegpt4v"}
        assert (row["width"], row["height"], row["ratio"]) == (32, 24, 0.75)
        assert row["prompt"] == row["sharegpt4v"]
        assert row["prompt"].startswith("A red dog")


def test_file_names_are_safe_unique_and_the_same_every_time(handoff: tuple[Handoff, Path], tmp_path: Path) -> None:
    export(handoff[1], tmp_path / "one", "everydream")
    export(str(handoff[1]), tmp_path / "two", "everydream")
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert names == sorted(file.name for file in (tmp_path / "two").iterdir())
    assert len({name.lower() for name in names}) == 26
    assert all(name.replace(".", "").replace("-", "").replace("_", "").isalnum() for name in names)
    assert "multiply.txt" not in names
    assert "0001.jpg" in names
    assert sum(name.startswith("0001") for name in names) == 4


def test_hostile_keys_stay_inside_the_folder(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    keys = ["x/CON", "con", "-rf", "~", "a" * 150, "a" * 151, "한국", "...x/y", "a\u202eb", "$(rm)", "nul"]
    key = captioned_shard(store, "a", keys)
    path = store.path(publish(store, make_handoff(store, "birds", SPEC, [key])))
    assert path is not None
    assert export(path, tmp_path / "out", "kohya").samples == len(keys)
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert {file.parent for file in files} == {tmp_path / "out" / "1_densify"}
    assert len(files) == 2 * len(keys)
    assert not {file.stem.lower() for file in files} & {"con", "nul", "-rf", "~"}


def test_splits_go_out_apart_and_together_are_everything(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    key = captioned_shard(store, "a", [f"{n:04d}" for n in range(30)])
    made = make_handoff(store, "birds", SPEC, [key], splits=SplitRule(validation_share=0.3))
    path = store.path(publish(store, made))
    assert path is not None
    steps: list[int] = []
    parts = {
        split: export(path, tmp_path / split, "everydream", split=split, progress=steps.append).samples  # type: ignore[arg-type]
        for split in ("all", "train", "validation")
    }
    assert parts["all"] == 30 == parts["train"] + parts["validation"]
    assert parts["validation"] == made.totals.splits.validation > 0
    names = [set(images(tmp_path / split)) for split in ("train", "validation", "all")]
    assert names[0] | names[1] == names[2]
    assert not names[0] & names[1]
    assert sum(steps) == 60


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_shard_leaves_no_export_behind(format: str, tmp_path: Path) -> None:
    _, handoff, path = handed_off(tmp_path / "store")
    tar = path.parent / handoff.shards[1].path
    tar.write_bytes(flip(tar.read_bytes(), 700))
    with pytest.raises(CheckFailedError, match="bytes have changed"):
        export(path, tmp_path / "out", format)  # type: ignore[arg-type]
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]


def test_an_export_that_would_be_incomplete_is_refused(tmp_path: Path) -> None:
    _, handoff, path = handed_off(tmp_path / "store")
    totals = handoff.totals.model_copy(update={"captioned": 14})
    path.write_bytes(handoff.model_copy(update={"totals": totals}).dump())
    with pytest.raises(CountMismatchError, match="13 samples were written, the hand-off has 14"):
        export(path, tmp_path / "out", "imagefolder")
    assert not (tmp_path / "out").exists()


def test_wrong_calls_are_refused(handoff: tuple[Handoff, Path], tmp_path: Path) -> None:
    with pytest.raises(BadFieldError, match="no export format 'lora'"):
        export(handoff[1], tmp_path / "out", "lora")  # type: ignore[arg-type]
    with pytest.raises(NoSuchPathError):
        export(tmp_path / "nope.json", tmp_path / "out", "kohya")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(ConflictError, match="is there already"):
        export(handoff[1], tmp_path / "full", "kohya")
    assert (tmp_path / "full" / "mine.txt").read_text() == "keep"
    (tmp_path / "empty").mkdir()
    assert export(handoff[1], tmp_path / "empty", "kohya").samples == 13


# ---- a hand-off that keeps some samples -----------------------------------------------------------------------------

KEEP = [("a", "a/0001"), ("a", "a/0004"), ("b", "0004")]
KEPT = {hashlib.sha256(data).hexdigest() for data in (picture(1), picture(4), picture(104))}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handed_off(tmp_path_factory.mktemp("kept"), KEEP)[2]


@pytest.mark.parametrize(
    ("format", "folder"), [("kohya", "1_densify"), ("everydream", ""), ("imagefolder", ""), ("pixart", "InternImgs")]
)
def test_only_kept_samples_go_out(format: str, folder: str, kept: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    result = export(kept, tmp_path / "out", format, progress=steps.append)  # type: ignore[arg-type]
    assert result.samples == sum(steps) == 3
    assert hashes(images(tmp_path / "out" / folder)) == KEPT


def test_shards_with_nothing_kept_need_not_be_there(tmp_path: Path) -> None:
    _, handoff, path = handed_off(tmp_path / "store", KEEP)
    assert handoff.shards[2].kept == 0
    (path.parent / handoff.shards[2].path).unlink()
    assert export(path, tmp_path / "out", "kohya").samples == 3


def test_a_changed_keep_file_leaves_no_export_behind(tmp_path: Path) -> None:
    _, handoff, path = handed_off(tmp_path / "store", KEEP)
    assert handoff.keep is not None
    keep = path.parent / handoff.keep.path
    keep.write_bytes(flip(keep.read_bytes(), 300))
    for format in FORMATS:
        with pytest.raises(CheckFailedError, match="bytes have changed"):
            export(path, tmp_path / "out", format)  # type: ignore[arg-type]
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]
