"""Choosing from a hand-off: its own samples, with their nouns as they were measured; tagged only where that differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from analysis import curate_input
from analysis.curate_input import Read
from analysis.handoff_samples import is_handoff
from analysis.nouns import Noun
from analysis.tables import Counting
from core.errors import BadFieldError, CheckFailedError
from tests.analysis.make_handoff import handed_off
from tests.analysis.plain_nouns import PlainNouns
from tests.shards.make_shards import flip


class Tagger(PlainNouns):
    """Finds nouns as the shards of these tests were measured, and knows how many captions it was given."""

    def __init__(self) -> None:
        self.tagged = 0

    def nouns(self, texts: Iterable[str]) -> Iterator[list[Noun]]:
        for text in texts:
            self.tagged += 1
            yield from super().nouns([text])


@pytest.fixture
def tagger(monkeypatch: pytest.MonkeyPatch) -> Tagger:
    made = Tagger()
    monkeypatch.setattr(curate_input, "load_pipeline", lambda name: made)
    return made


def samples(read: Read) -> list[tuple[str, str, dict[str, int]]]:
    """(origin, key, nouns) of every sample."""
    number, _ = read.place(np.arange(len(read.samples)))
    found = []
    for at, which in enumerate(number):
        entries = slice(*read.samples.starts[at : at + 2].tolist())
        nouns = [read.samples.nouns[column] for column in read.samples.columns[entries]]
        counts = read.samples.counts[entries].tolist()
        found.append((read.origins[which].name, read.keys[at], dict(zip(nouns, counts, strict=True))))
    return found


@pytest.mark.parametrize("how", [Counting(), Counting(names=False)])
def test_nouns_are_read_as_they_were_measured_and_equal_those_of_the_tars(
    how: Counting, tagger: Tagger, tmp_path: Path
) -> None:
    _, handoff, manifest = handed_off(tmp_path)
    excluded = frozenset({"roof"})
    measured = curate_input.read_samples([manifest], how, excluded)
    assert tagger.tagged == 0
    tars = [manifest.parent / shard.path for shard in handoff.shards]
    tagged = curate_input.read_samples(tars, how, excluded)
    assert tagger.tagged == 13
    assert samples(measured) == samples(tagged)
    assert list(measured.samples.nouns) == list(tagged.samples.nouns)
    assert [origin.captions for origin in measured.origins] == [6, 3, 4]
    assert (measured.reading, measured.noun_pipeline) == (tagged.reading, "plain-1")


def test_another_way_of_counting_tags_again(tagger: Tagger, tmp_path: Path) -> None:
    _, _, manifest = handed_off(tmp_path)
    read = curate_input.read_samples([manifest], Counting(folding="lemma"))
    assert tagger.tagged == 13
    assert "cat" in read.samples.nouns


@pytest.mark.parametrize("folding", ["lower", "lemma"])
def test_only_samples_that_the_hand_off_keeps_are_chosen_from(folding: str, tagger: Tagger, tmp_path: Path) -> None:
    _, handoff, manifest = handed_off(tmp_path, [("a", "a/0004"), ("b", "0001"), ("a", "a/0001")])
    read = curate_input.read_samples([manifest], Counting(folding=folding))  # type: ignore[arg-type]
    stems = [Path(shard.path).stem for shard in handoff.shards]
    found = [(name, key) for name, key, _ in samples(read)]
    assert found == [(stems[0], "a/0001"), (stems[0], "a/0004"), (stems[1], "0001")]


def test_a_manifest_and_its_tars_are_the_same_samples_twice(tagger: Tagger, tmp_path: Path) -> None:
    _, handoff, manifest = handed_off(tmp_path)
    with pytest.raises(BadFieldError, match="named twice"):
        curate_input.read_samples([manifest, manifest.parent / handoff.shards[0].path], Counting())


def test_sample_rows_that_have_changed_are_refused(tagger: Tagger, tmp_path: Path) -> None:
    _, handoff, manifest = handed_off(tmp_path)
    rows = manifest.parent / handoff.shards[1].samples.path
    rows.write_bytes(flip(rows.read_bytes(), 400))
    with pytest.raises(CheckFailedError, match="bytes have changed"):
        curate_input.read_samples([manifest], Counting())


def test_only_the_manifest_of_a_hand_off_is_one(tmp_path: Path) -> None:
    _, handoff, manifest = handed_off(tmp_path)
    assert is_handoff(manifest)
    for text in ("{}", "[]", "{", '{"format": "densify.captioned/1"}'):
        (tmp_path / "x.json").write_text(text)
        assert not is_handoff(tmp_path / "x.json")
    assert not is_handoff(tmp_path / "absent.json")
    assert not is_handoff(manifest.parent / handoff.shards[0].manifest.path)
