from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.density import Table
from analysis.handoff_build import build, make_handoff, publish
from core.errors import (
    BadFieldError,
    CheckFailedError,
    CountMismatchError,
    NothingToHandOffError,
)
from core.gates import Gates
from core.spec import CaptionSpec
from shards.handoff import FileRef, HandoffShard, SplitCounts, SplitRule, load
from shards.keys import captioned_key
from shards.store import open_store
from tests.analysis.make_handoff import SPEC, captioned_shard, handed_off

REF = FileRef(path="../captioned/x.json", sha256="0" * 64, size_bytes=1)


def entry(name: str = "a", **changes: object) -> HandoffShard:
    shard = HandoffShard(
        name=name,
        path=f"../captioned/{name}.tar",
        sha256="1" * 64,
        size_bytes=10,
        edition="e" * 16,
        source_sha256=name[0] * 64 if name[0] in "abcdef" else "9" * 64,
        model_identity="m",
        samples_in=10,
        captioned=8,
        rejected=2,
        flagged=1,
        rejects={"poison": 2},
        splits=SplitCounts(train=8, validation=0),
        manifest=REF,
        records=REF,
        nouns=REF,
        samples=REF,
    )
    return shard.model_copy(update=changes)


def table(images: int) -> Table:
    return Table(images, images * 5, 20, 10, 9, 10, "plain-1")


def test_the_manifest_pins_counts_spec_density_and_gates() -> None:
    handoff = build(
        "birds", SPEC, [entry("b"), entry("a")], table(16), code_version="1", gates=Gates(min_valid_share=0.6)
    )
    assert [shard.name for shard in handoff.shards] == ["a", "b"]
    assert (handoff.totals.samples_in, handoff.totals.captioned, handoff.totals.rejected) == (20, 16, 4)
    assert handoff.totals.rejects == {"poison": 4}
    assert handoff.spec_hash == SPEC.hash
    assert handoff.density["valid_share"] == 0.5
    assert not handoff.gates.passed
    assert [failure.gate for failure in handoff.gates.failures] == ["min_valid_share"]


def test_the_name_is_the_contents_hash_and_the_order_of_shards_does_not_matter() -> None:
    one = build("birds", SPEC, [entry("b"), entry("a")], table(16), code_version="1")
    two = build("birds", SPEC, [entry("a"), entry("b")], table(16), code_version="1")
    other = build("birds", SPEC, [entry("a", flagged=2), entry("b")], table(16), code_version="1")
    assert one == two
    assert one.digest != other.digest
    assert one.file_name == f"birds-{one.digest[:16]}.json"
    assert load(one.dump()) == one
    assert load(one.dump()).dump() == one.dump()


def test_hand_offs_made_before_later_gates_and_keeps_have_the_same_bytes() -> None:
    made = {
        gates: build(
            "birds", SPEC, [entry("b"), entry("a", released="wanted")], table(16), code_version="1", gates=gates
        )
        for gates in (None, Gates(min_valid_share=0.6, max_flagged_share=0.5))
    }
    # The digests that Densify 0.1 gave them.
    assert [handoff.digest[:16] for handoff in made.values()] == ["c48d79e7a3c86ce3", "ce1da7f5d668b1f4"]
    assert [hashlib.sha256(handoff.dump()).hexdigest()[:16] for handoff in made.values()] == [
        "c459c1cc5299e889",
        "0146564f266897c3",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples_in": 11}, "11 samples in, but 8 captioned \\+ 2 rejected = 10: a difference of 1"),
        ({"rejects": {"poison": 1}}, "2 rejected, but 1 with a reason"),
        ({"splits": SplitCounts(train=7, validation=0)}, "8 captioned, but 7 in the splits"),
    ],
)
def test_counts_that_do_not_add_up_are_refused_with_the_difference(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CountMismatchError, match=message):
        build("birds", SPEC, [entry(**changes)], table(8), code_version="1")


def test_a_density_table_of_other_captions_is_refused() -> None:
    with pytest.raises(CountMismatchError, match="8 samples are captioned, but the density table counted 7"):
        build("birds", SPEC, [entry()], table(7), code_version="1")


def test_a_shard_twice_and_no_shard_are_refused() -> None:
    with pytest.raises(CheckFailedError, match="handed off twice: a, a2"):
        build("birds", SPEC, [entry("a"), entry("a2")], table(16), code_version="1")
    with pytest.raises(NothingToHandOffError):
        build("birds", SPEC, [], table(0), code_version="1")


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b'{"format": "densify.captioned/1"}'])
def test_what_is_no_hand_off_is_refused(data: bytes) -> None:
    with pytest.raises(BadFieldError, match="no hand-off manifest"):
        load(data)


# ---- splits ---------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(key=st.text(max_size=30), seed=st.integers(0, 9))
def test_a_split_depends_on_key_and_seed_alone_and_grows_with_its_share(key: str, seed: int) -> None:
    sides = [SplitRule(validation_share=share, seed=seed).split_of(key) for share in (0, 0.01, 0.5, 1)]
    assert sides[0] == "train"
    assert sides[3] == "validation"
    assert sides == sorted(sides)


def test_the_default_split_holds_one_in_a_hundred_out() -> None:
    counts = SplitRule().counts(f"{number:09d}" for number in range(50_000))
    assert counts.train + counts.validation == 50_000
    assert 400 < counts.validation < 600
    assert SplitRule(seed=1).counts(["a"]) == SplitRule(seed=1).counts(["a"])


def test_the_split_rule_is_fixed_for_ever() -> None:
    held_out = [n for n in range(1000) if SplitRule().split_of(f"{n:05d}") == "validation"]
    assert held_out == [100, 110, 158, 168, 261, 283, 689, 702, 723, 816, 878, 909]


# ---- from the store -------------------------------------------------------------------------------------------------


def test_a_hand_off_is_made_from_the_store_and_published_once(tmp_path: Path) -> None:
    store, handoff, path = handed_off(tmp_path)
    assert (handoff.totals.samples_in, handoff.totals.captioned, handoff.totals.rejected) == (15, 13, 2)
    assert handoff.totals.flagged == 1
    assert handoff.totals.rejects == {"image_corrupt": 2}
    assert handoff.density["images"] == 13
    assert handoff.density["total_nouns"] == 13 * 5 + 5  # five words more in the odd keys of c
    assert path.name == handoff.file_name
    assert load(path.read_bytes()) == handoff
    for shard in handoff.shards:
        for ref in (shard.path, shard.manifest.path, shard.records.path, shard.nouns.path, shard.samples.path):
            assert ref.startswith("../captioned/")
            assert (path.parent / ref).is_file()
    before = path.stat().st_mtime_ns
    assert publish(store, handoff) == f"handoffs/{handoff.file_name}"
    assert path.stat().st_mtime_ns == before


def test_gates_are_asked_of_the_data_set_as_a_whole(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    keys = [
        captioned_shard(store, "a", [f"{n:04d}" for n in range(4)], cut_off=[1], rejected=[2]),
        captioned_shard(store, "b", [f"{n:04d}" for n in range(4)], first=50, cut_off=[0]),
    ]

    def failures(**gates: float) -> list[tuple[str, float]]:
        handoff = make_handoff(store, "birds", SPEC, keys, gates=Gates.model_validate(gates))
        assert handoff.gates.passed is not bool(handoff.gates.failures)
        return [(failure.gate, failure.figure) for failure in handoff.gates.failures]

    assert failures(max_cut_off_share=0.29, max_rejected_share=0.125) == []
    assert failures(max_cut_off_share=0.28, max_rejected_share=0.12) == [
        ("max_cut_off_share", 2 / 7),
        ("max_rejected_share", 1 / 8),
    ]
    # Seven captions with the same five nouns: none of them ten times, in two images or in seven.
    assert failures(min_valid_share=0.1, valid_share_images=2) == [("min_valid_share", 0.0)]
    assert failures(min_valid_share=0.0, valid_share_images=8) == [("valid_share_images", 7)]


def test_names_and_releases_are_recorded(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    key = captioned_shard(store, "a", ["1", "2"])
    handoff = make_handoff(store, "birds", SPEC, [key], released={key: "small, but wanted"}, names={key: "a@12345678"})
    assert [(shard.name, shard.released) for shard in handoff.shards] == [("a@12345678", "small, but wanted")]


def test_a_shard_of_another_spec_is_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    key = captioned_shard(store, "a", ["1"], spec=CaptionSpec(model="test/other"))
    with pytest.raises(CheckFailedError, match="another spec"):
        make_handoff(store, "birds", SPEC, [key])


@pytest.mark.parametrize("suffix", [".nouns.parquet", ".samples.parquet"])
def test_changed_counts_are_refused(suffix: str, tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    key = captioned_shard(store, "a", ["1"])
    stem = key.removesuffix(".json")
    store.put_bytes(stem + suffix, store.read_bytes(stem + suffix) + b"x")
    with pytest.raises(CheckFailedError, match="bytes have changed"):
        make_handoff(store, "birds", SPEC, [key])


def test_a_shard_that_was_never_measured_is_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    key = captioned_shard(store, "a", ["1"])
    text = store.read_bytes(key).replace(b'"nouns": {', b'"other": {')
    store.put_bytes(key, text)
    with pytest.raises(CheckFailedError, match="never measured"):
        make_handoff(store, "birds", SPEC, [key])


def test_no_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NothingToHandOffError):
        make_handoff(open_store(str(tmp_path)), "birds", SPEC, [])
    assert captioned_key("a" * 64, "e" * 16).startswith("captioned/")
