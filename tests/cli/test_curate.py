"""`densify curate`: a choice from files and shards, its report, its keys, and one sentence for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from shards.writer import write_shard
from tests.cli.conftest import Densify
from tests.shards.make_shards import picture

CAPTIONS = ["a dog", "a dog", "a cat and a horse on a roof", "", "a bird"]


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    file = tmp_path / "captions.jsonl"
    file.write_text("".join(json.dumps({"caption": caption}) + "\n" for caption in CAPTIONS))
    return file


def rows(file: Path, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pq.read_table(file, columns=list(columns)).to_pylist()]


def test_a_file_is_curated_and_its_keys_written(densify: Densify, captions: Path, tmp_path: Path) -> None:
    keys = tmp_path / "new" / "keys.parquet"
    result = densify("curate", captions, "--budget", 3, "--out", keys)
    assert result.exit_code == 0, result.stderr
    assert "3 of 5 samples" in result.stdout
    assert "at least 63.2 %" in result.stdout
    assert f"3 keys: {keys}" in result.stderr
    assert rows(keys, "shard", "key", "order", "gain") == [
        ("captions.jsonl", "3", 1, 3),
        ("captions.jsonl", "1", 2, 1),
        ("captions.jsonl", "2", 3, 1),
    ]


def test_shards_are_curated_by_shard_and_key(densify: Densify, tmp_path: Path) -> None:
    for name, caption in (("a", b"a dog"), ("b", b"a cat and a horse")):
        write_shard(tmp_path / f"{name}.tar", [("0001", {"jpg": picture(1), "txt": caption})])
    keys = tmp_path / "keys.parquet"
    assert densify("curate", tmp_path, "--budget", 2, "--out", keys).exit_code == 0
    assert rows(keys, "shard", "key", "gain") == [("b", "0001", 2), ("a", "0001", 1)]


def test_json_has_choice_random_choices_margin_and_the_whole(densify: Densify, captions: Path) -> None:
    report = json.loads(densify("curate", captions, "--budget", 2, "--seed", 5, "--json").stdout)
    assert (report["budget"], report["cap"], report["random"]["seed"]) == (2, 10, 5)
    assert (report["chosen"]["images"], report["chosen"]["capped_sum"], report["whole"]["capped_sum"]) == (2, 4, 6)
    assert report["margin"]["capped_sum"]["mean"] > 0
    assert report["guarantee"]["share_of_best_here"] == 1.0


def test_caps_and_exclusions_steer_the_choice(densify: Densify, captions: Path, tmp_path: Path) -> None:
    (tmp_path / "caps.csv").write_text("noun,cap\ndog,1\n")
    (tmp_path / "no.txt").write_text("roof\ncat\nhorse\n")
    keys = tmp_path / "keys.parquet"
    arguments = ("--caps", tmp_path / "caps.csv", "--exclude", tmp_path / "no.txt", "--out", keys)
    assert densify("curate", captions, "--budget", 2, *arguments).exit_code == 0
    assert [key for (key,) in rows(keys, "key")] == ["1", "5"]


def test_counting_options_are_those_of_density(densify: Densify, tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("one\ttwo\ntwo dogs and a dog in Paris\tx\nbroken\tx\ty\n")
    arguments = ("--column", "one", "--lemma", "--no-propn", "--skip-bad", "--json")
    report = json.loads(densify("curate", file, "--budget", 1, *arguments).stdout)
    assert (report["folding"], report["names_counted"], report["reading"]["bad_lines"]) == ("lemma", False, 1)
    assert (report["chosen"]["distinct_nouns"], report["chosen"]["total_nouns"]) == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--budget", 6), "The budget is 6 samples, but there are only 5."),
        (("--budget", 0), "The budget is 0"),
        (("--budget", 1, "--cap", 0), "The cap is 0"),
        (("--budget", 1, "--caps", "absent.csv"), "There is no file absent.csv."),
        (("--budget", 1, "--exclude", "absent.txt"), "There is no file absent.txt."),
        (("--budget", 1, "--pipeline", "klingon"), "klingon"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    densify: Densify, captions: Path, arguments: tuple[object, ...], says: str
) -> None:
    result = densify("curate", captions, *arguments)
    assert result.exit_code == 2
    assert says in result.stderr.splitlines()[0]
    assert result.stdout == ""


def test_a_wrong_caps_file_is_told_before_captions_are_read(densify: Densify, captions: Path, tmp_path: Path) -> None:
    (tmp_path / "caps.json").write_text('{"dog": "many"}')
    result = densify("curate", captions, "--budget", 1, "--caps", tmp_path / "caps.json")
    assert result.exit_code == 2
    assert "'dog': the cap 'many' is no whole number" in result.stderr


def test_nothing_to_read_is_told(densify: Densify, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    result = densify("curate", tmp_path / "a.jsonl", "--budget", 1)
    assert result.exit_code == 2
    assert "no caption" in result.stderr


def test_a_refused_choice_leaves_no_keys(densify: Densify, captions: Path, tmp_path: Path) -> None:
    densify("curate", captions, "--budget", 6, "--out", tmp_path / "keys.parquet")
    assert not (tmp_path / "keys.parquet").exists()


@pytest.mark.slow
def test_a_choice_of_real_captions_beats_random_ones(densify: Densify, real_data: Path) -> None:
    file = real_data / "caption-text" / "model_dense_llava.jsonl"
    report = json.loads(densify("curate", file, "--budget", "300", "--json").stdout)
    assert report["margin"]["valid_nouns"]["low"] > 50
    assert report["guarantee"]["share_of_best_here"] > 0.632
