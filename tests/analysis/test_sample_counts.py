"""Any choice of samples counts, from the rows of the file, as if it had been measured alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counts import NounCounts, measure, write_samples
from analysis.sample_counts import counts_of_samples, has_forms, sample_keys
from core.errors import InputError
from tests.analysis.old_samples import samples_of_the_first_version
from tests.analysis.plain_nouns import PlainNouns
from tests.analysis.test_counts import captions


def measured(texts: list[str]) -> tuple[NounCounts, bytes]:
    counts, rows = measure(((str(number), text) for number, text in enumerate(texts)), PlainNouns())
    return counts, write_samples(rows, counts.noun_pipeline)


@settings(deadline=None, max_examples=60)
@given(texts=captions, data=st.data())
def test_any_choice_of_rows_counts_as_if_it_had_been_measured_alone(texts: list[str], data: st.DataObject) -> None:
    counts, file = measured(texts)
    assert counts_of_samples(file) == counts
    rows = data.draw(st.lists(st.sampled_from(range(len(texts))), unique=True)) if texts else []
    assert counts_of_samples(file, rows) == measured([texts[row] for row in rows])[0]


def test_rows_beyond_one_row_group_are_counted_too() -> None:
    texts = ["dog Rome", "the", "cat cat"] * 50_000
    counts, file = measured(texts)
    assert counts_of_samples(file) == counts
    assert counts_of_samples(file, range(100_000)).nouns["cat"] == [66_666, 33_333, 66_666, 33_333]


def test_keys_are_read_from_either_version_and_nouns_from_the_second_alone() -> None:
    _, rows = measure([("b", "dog"), ("a", "cat")], PlainNouns())
    new, old = write_samples(rows, "plain-1"), samples_of_the_first_version(rows)
    assert sample_keys(new) == sample_keys(old) == ["b", "a"]
    assert (has_forms(new), has_forms(old)) == (True, False)
    with pytest.raises(InputError, match=r"no count file of the format densify\.samples/2"):
        counts_of_samples(old)


@pytest.mark.parametrize("data", [b"", b"not parquet", measured(["dog"])[0].to_parquet()])
def test_what_are_no_sample_rows_is_refused(data: bytes) -> None:
    for read in (sample_keys, has_forms, counts_of_samples):
        with pytest.raises(InputError):
            read(data)
