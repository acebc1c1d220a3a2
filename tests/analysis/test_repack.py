"""Shards packed anew hold what the hand-off keeps, byte for byte, and nothing else."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from analysis.export import export
from analysis.handoff_build import make_handoff, publish
from shards.handoff import SplitRule
from shards.reader import read_units
from shards.store import open_store
from shards.tar import TarLimits
from tests.analysis.make_handoff import SPEC, captioned_shard, handed_off

KEEP = [("a", "a/0001"), ("a", "a/0004"), ("b", "0004")]


def members(tar: Path) -> dict[str, bytes]:
    with tarfile.open(tar) as file:
        return {member.name: file.extractfile(member).read() for member in file}  # type: ignore[union-attr]


def test_one_tar_for_each_shard_with_a_kept_sample_members_as_they_were(tmp_path: Path) -> None:
    _, handoff, path = handed_off(tmp_path / "store", KEEP)
    assert export(path, tmp_path / "out", "repacked").samples == 3
    wholes = {Path(shard.path).name: members(path.parent / shard.path) for shard in handoff.shards}
    tars = sorted((tmp_path / "out").iterdir())
    assert [tar.name for tar in tars] == sorted(Path(shard.path).name for shard in handoff.shards[:2])
    for tar in tars:
        kept = {"a/0001", "a/0004"} if tar.name == Path(handoff.shards[0].path).name else {"0004"}
        expected = {name: data for name, data in wholes[tar.name].items() if name.partition(".")[0] in kept}
        assert members(tar) == expected
        assert list(members(tar)) == list(expected), "in their order"
        assert {name.partition(".")[2] for name in expected} == {"jpg", "txt", "json"}


def test_the_strict_reader_reads_them_and_the_same_keep_gives_the_same_bytes(tmp_path: Path) -> None:
    _, _, path = handed_off(tmp_path / "store", KEEP)
    for name in ("one", "two"):
        export(path, tmp_path / name, "repacked")
    digests = [
        {tar.name: hashlib.sha256(tar.read_bytes()).hexdigest() for tar in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    ]
    assert digests[0] == digests[1]
    for tar in (tmp_path / "one").iterdir():
        units = list(read_units(io.BytesIO(tar.read_bytes()), tar.stat().st_size, TarLimits()))
        assert all(unit.reject is None for unit in units)


def test_a_whole_hand_off_is_repacked_as_its_own_shards(tmp_path: Path) -> None:
    _, handoff, path = handed_off(tmp_path / "store")
    assert export(path, tmp_path / "out", "repacked").samples == 13
    for shard in handoff.shards:
        assert hashlib.sha256((tmp_path / "out" / Path(shard.path).name).read_bytes()).hexdigest() == shard.sha256


def test_a_split_goes_out_as_shards_too_and_leaves_no_empty_one(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    keys = [captioned_shard(store, "a", [f"{n:04d}" for n in range(20)])]
    # None of these is held out at this share.
    keys += [captioned_shard(store, "b", ["0000"], first=60)]
    splits = SplitRule(validation_share=0.3)
    made = make_handoff(store, "birds", SPEC, keys, splits=splits)
    path = store.path(publish(store, made))
    assert path is not None
    assert splits.split_of("0000") == "train"
    count = export(path, tmp_path / "out", "repacked", split="validation").samples
    assert count == made.totals.splits.validation > 0
    (tar,) = (tmp_path / "out").iterdir()
    held_out = {name.partition(".")[0] for name in members(tar)}
    assert held_out == {key for key in map("{:04d}".format, range(20)) if splits.split_of(key) == "validation"}
