"""Count files grouped: nouns of the same frequency together, over all files, whatever form a file comes in."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.count_files import group_files
from analysis.counts import NounCounts, measure
from core.errors import BadFieldError, InputError, NothingToReadError
from tests.analysis.plain_nouns import PlainNouns


def counts(*texts: str) -> bytes:
    return measure((("k", text) for text in texts), PlainNouns())[0].to_parquet()


def test_nouns_are_added_over_files_before_they_are_grouped(tmp_path: Path) -> None:
    path = tmp_path / "a [1].nouns.parquet"
    path.write_bytes(counts("dog dog cat", "Rome"))
    found = group_files([path, counts("dog tree", "")])
    assert (found.totals.images, found.totals.images_without_noun) == (4, 1)
    assert (found.noun_pipeline, found.folding) == ("plain-1", "lower")
    rows = zip(found.occurrences.tolist(), found.image_counts.tolist(), found.nouns.tolist(), strict=True)
    assert list(rows) == [(1, 1, 3), (3, 2, 1)]


def test_names_can_be_left_out() -> None:
    found = group_files([counts("dog Rome", "Rome rome")], names=False)
    assert (found.occurrences.tolist(), found.nouns.tolist()) == ([1], [2])


def test_without_a_noun_there_are_no_groups() -> None:
    found = group_files([counts("", "the red")])
    assert (found.totals.images, found.occurrences.tolist(), found.nouns.tolist()) == (2, [], [])


def test_files_that_cannot_be_added_or_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NothingToReadError):
        group_files([])
    with pytest.raises(BadFieldError, match="cannot be added"):
        group_files([counts("dog"), NounCounts("plain-1", "raw").to_parquet()])
    (tmp_path / "x.nouns.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match="cannot be read"):
        group_files([tmp_path / "x.nouns.parquet"])
