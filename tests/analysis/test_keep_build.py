"""A hand-off that keeps some samples: what it counts, what it pins, and which keys it refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from analysis.counts import measure, read_samples
from analysis.density import table_from_counts
from analysis.handoff_build import make_handoff, publish
from analysis.keys import read_keys
from core.errors import BadFieldError, NotReadyError
from core.gates import Gates
from shards.handoff import Handoff, SplitRule, load
from shards.handoff_place import Place
from shards.keep import load_keep
from shards.store import Store, open_store
from tests.analysis.make_handoff import CAPTION, SPEC, captioned_shard, handed_off, keys_file
from tests.analysis.old_samples import samples_of_the_first_version
from tests.analysis.plain_nouns import PlainNouns

KEEP = [("a", "a/0001"), ("a", "a/0004"), ("b", "0004"), ("b", "0001"), ("a", "a/0000")]


def test_kept_left_out_and_rejected_make_up_everything(tmp_path: Path) -> None:
    _, handoff, path = handed_off(tmp_path, KEEP)
    counts = {shard.name: (shard.samples_in, shard.kept, shard.left_out, shard.rejected) for shard in handoff.shards}
    assert counts == {"a": (6, 3, 3, 0), "b": (5, 2, 1, 2), "c": (4, 0, 4, 0)}
    totals = handoff.totals
    assert (totals.samples_in, totals.captioned, totals.rejected) == (15, 13, 2)
    assert (totals.kept, totals.left_out) == (5, 8)
    assert handoff.format == "densify.handoff/2"
    assert load(path.read_bytes()) == handoff


def test_flags_splits_and_density_are_those_of_the_kept_samples(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    keys = [f"{n:04d}" for n in range(30)]
    key = captioned_shard(store, "a", keys, flagged=[1, 2, 20], cut_off=[2, 3])
    kept = [keys[n] for n in (0, 2, 3, 5, 7, 9, 20)]
    splits = SplitRule(validation_share=0.3)
    chosen = read_keys(keys_file([("a", key) for key in kept]))
    gates = Gates(max_flagged_share=0.3, max_cut_off_share=0.25)
    handoff = make_handoff(store, "birds", SPEC, [key], splits=splits, keys=chosen, gates=gates)
    (shard,) = handoff.shards
    assert (shard.flagged, handoff.totals.flagged) == (3, 3)
    assert shard.splits == handoff.totals.splits == splits.counts(kept)
    counts, _ = measure([(key, CAPTION.format(key)) for key in kept], PlainNouns())
    assert handoff.density == table_from_counts(counts).as_dict()
    assert [(failure.gate, failure.figure) for failure in handoff.gates.failures] == [
        ("max_flagged_share", 3 / 7),
        ("max_cut_off_share", 2 / 7),
    ]


def test_the_keep_file_names_the_samples_and_the_manifest_what_was_said_of_them(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    key = captioned_shard(store, "a", ["x", "y", "z"], rejected=[1])
    keys = read_keys(keys_file([("a", "z")], cap=10, budget=1, paths=["/home/anna"]))
    handoff = make_handoff(store, "birds", SPEC, [key], keys=keys)
    path = store.path(publish(store, handoff))
    assert path is not None
    assert handoff.keep is not None
    assert handoff.keep.claims == {"budget": 1, "cap": 10}
    assert handoff.keep.path == f"keep/{handoff.keep.sha256}.parquet"
    keep = load_keep(handoff, Place(str(path)))
    assert keep is not None
    assert keep.of(handoff.shards[0].source_sha256) == [(2, "z")]


def test_equal_choices_give_the_same_hand_off_in_whatever_order_they_were_named(tmp_path: Path) -> None:
    digests = {
        handed_off(tmp_path, rows)[1].digest
        for rows in (KEEP, KEEP[::-1], [(f"x/{shard}.tar", key) for shard, key in KEEP])
    }
    assert len(digests) == 1
    assert handed_off(tmp_path, KEEP[:-1])[1].digest not in digests
    assert handed_off(tmp_path)[1].digest not in digests


def test_keeping_every_sample_counts_as_the_whole_does(tmp_path: Path) -> None:
    whole = handed_off(tmp_path)[1]
    place = Place(str(tmp_path / "handoffs" / whole.file_name))
    rows = []
    for shard in whole.shards:
        store, key = place.file(shard.samples.path)
        rows += [(shard.name, row.key) for row in read_samples(store.read_bytes(key))]
    kept = handed_off(tmp_path, rows)[1]
    assert (kept.totals.kept, kept.totals.left_out) == (13, 0)
    assert kept.density == whole.density
    assert kept.totals.splits == whole.totals.splits
    assert kept.totals.flagged == whole.totals.flagged


def test_without_keys_nothing_of_a_keep_is_written(tmp_path: Path) -> None:
    _, handoff, path = handed_off(tmp_path)
    text = path.read_text()
    assert handoff.keep is None
    assert '"format": "densify.handoff/1"' in text
    assert not any(word in text for word in ('"keep"', '"kept"', '"left_out"'))
    assert not (tmp_path / "handoffs" / "keep").exists()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [("a", "a/0001"), ("a", "nope"), ("b", "a/0001")],
            "2 of the 3 keys have no captioned sample; the first is 'nope' of a.",
        ),
        ([("b", "0000")], "1 of the 1 keys have no captioned sample; the first is '0000' of b."),
        ([("a", "a/0001"), ("a", "a/0001")], "1 of the 2 keys stand there twice; the first is 'a/0001' of a."),
        ([("a", "a/0001")] * 7, "The keys file has 7 keys of a, which has 6 samples."),
        ([("d", "a/0001")], "1 shard of the keys file, 'd' the first, cannot be handed off."),
    ],
)
def test_keys_that_the_shards_do_not_have_are_refused(
    rows: Sequence[tuple[str, str]], says: str, tmp_path: Path
) -> None:
    with pytest.raises(BadFieldError) as caught:
        handed_off(tmp_path, rows)
    assert caught.value.sentence == says
    assert caught.value.details["field"] == "keep"
    assert not (tmp_path / "handoffs").exists()


def measured_before(store: Store, key: str) -> None:
    """Puts sample rows of the first version beside a captioned shard, and into its manifest."""
    import hashlib

    manifest = json.loads(store.read_bytes(key))
    entry = manifest["files"]["samples"]
    place = f"{key.rpartition('/')[0]}/{entry['name']}"
    data = samples_of_the_first_version(read_samples(store.read_bytes(place)))
    store.put_bytes(place, data)
    entry.update(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    store.put_bytes(key, (json.dumps(manifest, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode())


def test_shards_measured_before_are_handed_off_whole_or_not_at_all(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    keys = [captioned_shard(store, name, ["1", "2"], first=first) for name, first in (("a", 0), ("b", 50))]
    measured_before(store, keys[0])
    assert make_handoff(store, "birds", SPEC, keys).totals.captioned == 4

    def hand_off(*rows: tuple[str, str]) -> Handoff:
        return make_handoff(store, "birds", SPEC, keys, keys=read_keys(keys_file(rows)))

    with pytest.raises(
        NotReadyError, match="1 of the shards, a the first, were measured by an earlier version"
    ) as caught:
        hand_off(("a", "1"), ("b", "1"))
    assert "Correct one caption" in caught.value.hint
    assert hand_off(("b", "1")).totals.left_out == 3, "of a shard with nothing kept nothing need be counted"
