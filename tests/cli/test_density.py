"""`densify density`: the table over captions from anywhere, beside a baseline, for people and machines."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Densify

KEYS = (
    "images",
    "total_nouns",
    "distinct_nouns",
    "valid_nouns",
    "valid_share",
    "nouns_per_image",
    "min_count",
    "noun_pipeline",
)


def jsonl(file: Path, captions: list[str]) -> Path:
    file.write_text("".join(json.dumps({"caption": caption}) + "\n" for caption in captions))
    return file


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    return jsonl(tmp_path / "dense.jsonl", ["The dog and the cat and the horse."] * 12)


@pytest.fixture
def poor(tmp_path: Path) -> Path:
    return jsonl(tmp_path / "poor.jsonl", ["image", ""] * 6)


def test_both_rows_of_the_table_are_printed(densify: Densify, dense: Path, poor: Path) -> None:
    result = densify("density", dense, "--baseline", poor)
    assert result.exit_code == 0, result.stderr
    assert "dense.jsonl" in result.stdout
    assert "baseline: poor.jsonl" in result.stdout


def test_json_has_the_same_figures(densify: Densify, dense: Path, poor: Path) -> None:
    report = json.loads(densify("density", dense, "--baseline", poor, "--json").stdout)
    assert {key: report[key] for key in KEYS} == {
        "images": 12,
        "total_nouns": 36,
        "distinct_nouns": 3,
        "valid_nouns": 3,
        "valid_share": 1.0,
        "nouns_per_image": 3.0,
        "min_count": 10,
        "noun_pipeline": report["noun_pipeline"],
    }
    assert set(KEYS) <= set(report["baseline"])


def test_a_baseline_takes_every_path_up_to_the_next_option(
    densify: Densify, dense: Path, poor: Path, tmp_path: Path
) -> None:
    third = jsonl(tmp_path / "third.jsonl", ["a cat"])
    report = json.loads(densify("density", dense, "--baseline", poor, third, "--json").stdout)
    assert [row["name"] for row in report["datasets"]] == ["dense.jsonl"]
    assert [row["name"] for row in report["baseline"]["datasets"]] == ["poor.jsonl", "third.jsonl"]


def test_the_threshold_is_an_option(densify: Densify, dense: Path) -> None:
    report = json.loads(densify("density", dense, "--min-count", "13", "--json").stdout)
    assert (report["min_count"], report["valid_nouns"]) == (13, 0)


def test_rows_are_written_as_csv(densify: Densify, dense: Path, poor: Path, tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    assert densify("density", dense, "--baseline", poor, "--csv", target).exit_code == 0
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert [(row["role"], row["name"]) for row in rows] == [("data", "dense.jsonl"), ("baseline", "poor.jsonl")]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b'{"caption": "ok"}\n{"caption": \n', "line 2"),
        ("a.jsonl", b"", "no caption"),
        ("a.xyz", b"", "no kind"),
        ("a.tsv", b"one\ttwo\n1\t2\n", "no caption column"),
    ],
)
def test_captions_that_cannot_be_read_are_told(
    densify: Densify, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    result = densify("density", tmp_path / name)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_path_that_is_not_there_is_told(densify: Densify, tmp_path: Path) -> None:
    assert densify("density", tmp_path / "absent.jsonl").exit_code == 2


def test_an_unknown_pipeline_is_told(densify: Densify, dense: Path) -> None:
    result = densify("density", dense, "--pipeline", "klingon")
    assert result.exit_code == 2
    assert "klingon" in result.stderr


def test_real_captions_are_denser_than_real_alt_text(densify: Densify, real_data: Path, tmp_path: Path) -> None:
    texts = real_data / "caption-text"
    few = []
    for name in ("model_dense_llava", "alt_text_noisy"):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("\n".join((texts / f"{name}.jsonl").read_text().splitlines()[:300]))
        few.append(file)
    report = json.loads(densify("density", few[0], "--baseline", few[1], "--json").stdout)
    assert report["nouns_per_image"] > 2 * report["baseline"]["nouns_per_image"]
