"""Hand-offs pin editions: what changed since the manifest was made is refused."""

from __future__ import annotations

import pytest

from core.errors import NoSuchHandoffError, NothingToHandOffError, NotReadyError
from ledger import Ledger
from tests.ledger.helpers import SPEC, finalise, ready, sha


def test_a_hand_off_marks_its_shards_and_is_entered_once(ledger: Ledger) -> None:
    one, two = (finalise(ledger, ready(ledger, name=name).id) for name in ("a", "b"))
    made = ledger.add_handoff("d", sha("m"), "handoffs/m.json", {"images": 20}, {one.id: "e1", two.id: "e1"})
    assert (made.digest, made.key, made.summary) == (sha("m"), "handoffs/m.json", {"images": 20})
    assert [shard.state for shard in ledger.list_shards("d")[0]] == ["handed_off", "handed_off"]
    assert ledger.add_handoff("d", sha("m"), "other", {}, {}) == made
    assert ledger.list_handoffs("d") == ([made], None)
    assert ledger.get_handoff("d", sha("m")) == ledger.get_handoff("d", sha("m")[:16]) == made


def test_a_handed_off_shard_may_stand_in_another_hand_off(ledger: Ledger) -> None:
    shard = finalise(ledger, ready(ledger).id)
    for text in ("m1", "m2", "m3"):
        ledger.add_handoff("d", sha(text), text, {}, {shard.id: "e1"})
    first, cursor = ledger.list_handoffs("d", limit=2)
    rest, end = ledger.list_handoffs("d", cursor, 2)
    assert [handoff.key for handoff in first + rest] == ["m1", "m2", "m3"]
    assert end is None


def test_a_shard_that_changed_since_the_manifest_is_refused(ledger: Ledger) -> None:
    one, two = (finalise(ledger, ready(ledger, name=name).id) for name in ("a", "b"))
    ledger.correct("d", "b", "k", "text", "ann")
    with pytest.raises(NotReadyError):
        ledger.add_handoff("d", sha("m"), "m", {}, {one.id: "e1", two.id: "e1"})
    assert ledger.get_shard("d", "a").state == "accepted"  # all or nothing
    finalise(ledger, two.id, "e2")
    with pytest.raises(NotReadyError):
        ledger.add_handoff("d", sha("m"), "m", {}, {one.id: "e1", two.id: "e1"})
    ledger.add_handoff("d", sha("m"), "m", {}, {one.id: "e1", two.id: "e2"})


def test_nothing_and_another_data_sets_shards_cannot_be_handed_off(ledger: Ledger) -> None:
    shard = finalise(ledger, ready(ledger).id)
    ledger.create_dataset("other", SPEC)
    with pytest.raises(NothingToHandOffError):
        ledger.add_handoff("d", sha("m"), "m", {}, {})
    with pytest.raises(NotReadyError):
        ledger.add_handoff("other", sha("m"), "m", {}, {shard.id: "e1"})


def test_a_digest_that_names_none_or_two_is_not_found(ledger: Ledger) -> None:
    shard = finalise(ledger, ready(ledger).id)
    for end in ("0", "1"):
        ledger.add_handoff("d", "ab" * 31 + "0" + end, end, {}, {shard.id: "e1"})
    for digest in ("ab" * 8, "cd" * 32, "ab", "%", "_" * 64, "nul\x00"):
        with pytest.raises(NoSuchHandoffError):
            ledger.get_handoff("d", digest)
    assert ledger.get_handoff("d", "ab" * 31 + "01").key == "1"
