from __future__ import annotations

from pathlib import Path

import pytest

from analysis.counts import NounCounts, measure
from analysis.density import Table, table_from_counts, table_from_files
from core.errors import InputError, NothingToReadError
from tests.analysis.plain_nouns import PlainNouns


def table(**figures: object) -> Table:
    base: dict[str, object] = {
        "images": 0,
        "total_nouns": 0,
        "distinct_nouns": 0,
        "valid_nouns": 0,
        "valid_nouns_over": 0,
        "min_count": 10,
        "noun_pipeline": "plain-1",
    }
    return Table(**(base | figures))  # type: ignore[arg-type]


def counts_of(*texts: str) -> NounCounts:
    return measure((("k", text) for text in texts), PlainNouns())[0]


@pytest.mark.parametrize(
    ("valid", "distinct", "share", "total", "per_image"),
    [
        (210_000, 2_461_000, "8.5%", 72.0e6, "6.4"),
        (85_000, 646_000, "13.2%", 233.9e6, "20.9"),
        (23_000, 124_000, "18.5%", 327.9e6, "29.3"),
        (152_000, 582_000, "26.1%", 136.6e6, "12.2"),
    ],
)
def test_the_papers_rows_follow_from_its_own_counts(
    valid: int, distinct: int, share: str, total: float, per_image: str
) -> None:
    # The paper prints 13.3 % and 18.6 %: its VN and DN are rounded to thousands. Each set has 11.2M images.
    row = table(images=11_200_000, total_nouns=int(total), distinct_nouns=distinct, valid_nouns=valid)
    assert f"{row.valid_share:.1%}" == share
    assert f"{row.nouns_per_image:.1f}" == per_image


def test_ten_occurrences_are_valid_and_more_than_ten_stand_beside() -> None:
    row = table_from_counts(counts_of("dog " * 9 + "cat " * 10 + "bird " * 11))
    assert (row.distinct_nouns, row.valid_nouns, row.valid_nouns_over, row.total_nouns) == (3, 2, 1, 30)
    assert (row.valid_share, row.valid_share_over) == (2 / 3, 1 / 3)


def test_names_can_be_left_out() -> None:
    counts = counts_of("Rome Rome dog", "Rome")
    with_names = table_from_counts(counts, min_count=1)
    without = table_from_counts(counts, min_count=1, names=False)
    assert (with_names.distinct_nouns, with_names.total_nouns, with_names.images_without_noun) == (2, 4, 0)
    assert (without.distinct_nouns, without.total_nouns, without.images_without_noun) == (1, 1, 1)


def test_no_images_and_no_nouns_give_zeros_not_errors() -> None:
    empty = table_from_counts(NounCounts("plain-1"))
    assert (empty.valid_share, empty.nouns_per_image, empty.words_per_image) == (0.0, 0.0, 0.0)
    assert table_from_files([NounCounts("plain-1").to_parquet()]) == empty


def test_files_by_path_and_by_bytes_give_one_table(tmp_path: Path) -> None:
    blobs = [counts_of(text).to_parquet() for text in ("dog cat", "dog Rome", "개 tree")]
    folder = tmp_path / "odd [name] *"
    folder.mkdir()
    paths = [tmp_path / "0.nouns.parquet", folder / "1.nouns.parquet", tmp_path / "it's.nouns.parquet"]
    for path, blob in zip(paths, blobs, strict=True):
        path.write_bytes(blob)
    expected = table_from_files(blobs, min_count=2)
    assert (expected.images, expected.total_nouns, expected.distinct_nouns, expected.valid_nouns) == (3, 6, 5, 1)
    assert table_from_files(paths, min_count=2) == expected
    assert table_from_files([paths[0], blobs[1], paths[2]], min_count=2) == expected


def test_a_shard_named_twice_is_counted_twice(tmp_path: Path) -> None:
    blob = counts_of("dog").to_parquet()
    assert table_from_files([blob, blob]).total_nouns == 2


def test_without_files_there_is_no_table() -> None:
    with pytest.raises(NothingToReadError):
        table_from_files([])


def test_a_damaged_count_file_is_an_error_not_a_wrong_table(tmp_path: Path) -> None:
    blob = bytearray(counts_of("dog cat tree " * 50).to_parquet())
    file = tmp_path / "x.nouns.parquet"
    file.write_bytes(blob[: len(blob) // 2])
    with pytest.raises(InputError):
        table_from_files([file])


def test_a_table_survives_json_and_refuses_what_is_none() -> None:
    row = table_from_counts(counts_of("dog Rome cat"))
    assert Table.from_dict(row.as_dict()) == row
    for wrong in ({}, {"images": "3"}, row.as_dict() | {"images": True}, row.as_dict() | {"words": 1.0}):
        with pytest.raises(ValueError, match="in the density table"):
            Table.from_dict(wrong)
