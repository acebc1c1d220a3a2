"""What is chosen from: nouns per sample as the density table counts them, names by which samples are found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.counts import measure
from analysis.curate_input import Read, caps_of, read_caps, read_excluded, read_samples
from analysis.nouns import load_pipeline
from analysis.tables import Counting
from core.errors import BadCaptionsError, BadFieldError, InputError, NoSuchPathError, NothingToReadError
from shards.writer import write_shard
from tests.shards.make_shards import picture

CAPTIONS = ["two dogs and a dog in Paris", "", "a cat on a roof", "Paris"]


def lines(path: Path, *captions: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"text": caption}) + "\n" for caption in captions))
    return path


def shard(path: Path, *captions: str | None) -> Path:
    samples: list[tuple[str, dict[str, bytes]]] = []
    for number, text in enumerate(captions):
        samples.append(
            (f"{number:04d}", {"jpg": picture(number)} | ({"txt": text.encode()} if text is not None else {}))
        )
    path.parent.mkdir(exist_ok=True)
    write_shard(path, samples)
    return path


def places(read: Read) -> list[tuple[str, str, int]]:
    """(origin, key, row) of every sample."""
    import numpy as np

    number, row = read.place(np.arange(len(read.samples)))
    return [(read.origins[n].name, read.keys[i], int(row[i])) for i, n in enumerate(number)]


# ---- samples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [Counting(), Counting(folding="lemma"), Counting(names=False)])
def test_nouns_of_samples_add_up_to_the_counts_of_the_table(tmp_path: Path, how: Counting) -> None:
    read = read_samples([lines(tmp_path / "a.jsonl", *CAPTIONS)], how)
    counts, _ = measure(((str(n), text) for n, text in enumerate(CAPTIONS)), load_pipeline("en"), how.folding)
    column = 0 if how.names else 2
    expected = {noun: row[column] for noun, row in counts.nouns.items() if row[column]}
    assert dict(zip(read.samples.nouns, read.samples.totals().tolist(), strict=True)) == expected
    assert len(read.samples) == read.reading.captions == 4


def test_samples_are_named_by_shard_and_key_though_keys_repeat(tmp_path: Path) -> None:
    first, second = shard(tmp_path / "a.tar", "a dog", None, "a cat"), shard(tmp_path / "b.tar", "a horse")
    assert places(read_samples([first, second], Counting())) == [
        ("a", "0000", 1),
        ("a", "0002", 2),
        ("b", "0000", 1),
    ]


def test_shards_of_a_folder_are_named_one_by_one(tmp_path: Path) -> None:
    shard(tmp_path / "in" / "a.tar", "a dog")
    shard(tmp_path / "in" / "b.tar", None)
    shard(tmp_path / "in" / "c.tar", "a cat")
    assert places(read_samples([tmp_path / "in"], Counting())) == [("a", "0000", 1), ("c", "0000", 1)]


def test_lines_are_named_by_their_number_and_files_of_one_name_by_their_path(tmp_path: Path) -> None:
    paths = [lines(tmp_path / "x" / "a.jsonl", "a dog", "a cat"), lines(tmp_path / "y" / "a.jsonl", "a horse")]
    assert places(read_samples(paths, Counting())) == [
        (str(paths[0]), "1", 1),
        (str(paths[0]), "2", 2),
        (str(paths[1]), "1", 1),
    ]


def test_rows_of_one_key_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,caption\n7,a dog\n7,a cat\n")
    assert places(read_samples([path], Counting())) == [("a.csv", "7", 1), ("a.csv", "7", 2)]


def test_excluded_nouns_are_not_counted_and_absent_ones_are_named(tmp_path: Path) -> None:
    read = read_samples([lines(tmp_path / "a.jsonl", "a dog and a cat")], Counting(), frozenset({"dog", "unicorn"}))
    assert list(read.samples.nouns) == ["cat"]
    assert read.absent == {"unicorn"}


def test_progress_is_told_while_reading(tmp_path: Path) -> None:
    told: list[int] = []
    read_samples([lines(tmp_path / "a.jsonl", *["a dog"] * 600)], Counting(progress=told.append))
    assert told == [256, 256]


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda folder: [], NothingToReadError, "No path"),
        (lambda folder: [folder / "absent.jsonl"], NoSuchPathError, "absent.jsonl"),
        (lambda folder: [lines(folder / "a.jsonl")], NothingToReadError, "no caption"),
        (lambda folder: [shard(folder / "in" / "a.tar", None).parent], NothingToReadError, "no caption"),
        (lambda folder: [lines(folder / "a.jsonl", "a dog"), folder / "x" / ".." / "a.jsonl"], InputError, "twice"),
        (lambda folder: [lines(folder / "a.nouns.parquet", "x")], BadCaptionsError, "name no sample"),
    ],
)
def test_input_that_cannot_be_chosen_from_is_told(
    tmp_path: Path, make: Any, error: type[InputError], says: str
) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(error, match=says):
        read_samples(make(tmp_path), Counting())


# ---- lists ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("caps.csv", "noun,cap\nDog, 20\n\nice cream,0\n"),
        ("caps.csv", '\ufeffDog,20\n"ice cream",0\n'),
        ("caps.json", '{"Dog": 20, "ice cream": 0}'),
    ],
)
def test_caps_are_read_from_csv_and_json(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert read_caps(tmp_path / name) == {"dog": 20, "ice cream": 0}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("caps.csv", b"dog,20\ncat,many\n", "line 2: the cap 'many'"),
        ("caps.csv", b"dog,-1\n", "line 1"),
        ("caps.csv", b"dog,1.5\n", "line 1"),
        ("caps.csv", b"dog,20,3\n", "line 1 has 3 cells"),
        ("caps.csv", b"dog\n", "line 1 has 1 cells"),
        ("caps.csv", b'"dog,1\n', "broken"),
        ("caps.csv", b"dog,1\nDOG,2\n", "'dog' stands there twice"),
        ("caps.csv", b"!,1\n", "names no noun"),
        ("caps.csv", b"", "names no noun"),
        ("caps.csv", b"\xff,1\n", "UTF-8"),
        ("caps.json", b"{", "not JSON"),
        ("caps.json", b"[1]", "no JSON object"),
        ("caps.json", b'{"dog": true}', "'dog': the cap True"),
        ("caps.json", b'{"dog": 1e400}', "'dog'"),
        ("caps.json", b'{"dog": 99999999999999999999}', "'dog'"),
    ],
)
def test_a_caps_file_that_is_wrong_is_told_with_the_place(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadFieldError, match=says):
        read_caps(tmp_path / name)


def test_excluded_nouns_are_folded_and_empty_lines_passed_over(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("Image\n\n picture \nimage\n")
    assert read_excluded(tmp_path / "list.txt") == {"image", "picture"}


@pytest.mark.parametrize("read", [read_caps, read_excluded])
def test_a_list_that_is_not_there_is_told(tmp_path: Path, read: Any) -> None:
    with pytest.raises(NoSuchPathError):
        read(tmp_path / "absent.csv")


def test_every_noun_has_its_own_cap_or_the_general_one(tmp_path: Path) -> None:
    read = read_samples([lines(tmp_path / "a.jsonl", "a dog and a cat")], Counting())
    assert caps_of(read.samples, 10, {"cat": 3, "horse": 1}).tolist() == [10, 3]
