from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from rich.console import Console

from analysis.report import payload, render, write_csv
from analysis.tables import Counting, Measured, measure_paths
from analysis.truncation import Truncation
from tests.analysis.make_tokenizer import word_tokenizer

KEYS = {
    "images",
    "total_nouns",
    "distinct_nouns",
    "valid_nouns",
    "valid_share",
    "nouns_per_image",
    "min_count",
    "noun_pipeline",
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, Measured]:
    folder = tmp_path_factory.mktemp("captions")
    dense, short = folder / "dense[1].txt", folder / "short.txt"
    dense.write_text("a dog and a cat near the house\n" * 12)
    short.write_text("a dog\n" * 3)
    return measure_paths([dense]), measure_paths([short, dense])


def shown(data: Measured, baseline: Measured | None = None) -> str:
    console = Console(width=200, record=True, file=None, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        console.print(render(data, baseline))
    return captured.get()


def test_the_payload_has_the_promised_keys_at_top_and_in_every_row(measured: tuple[Measured, Measured]) -> None:
    report = json.loads(json.dumps(payload(*measured)))
    for entry in (report, *report["datasets"], report["baseline"], *report["baseline"]["datasets"]):
        assert entry.keys() >= KEYS
    assert report["images"] == 12
    assert report["valid_nouns"] == report["distinct_nouns"] == 3
    assert report["valid_share"] == 1.0
    assert report["nouns_per_image"] == 3.0
    assert report["min_count"] == 10
    assert report["noun_pipeline"] == "densify-en-2"
    assert report["baseline"]["images"] == 15
    assert [row["name"] for row in report["baseline"]["datasets"]] == ["short.txt", "dense[1].txt"]


def test_without_a_baseline_the_payload_has_none(measured: tuple[Measured, Measured]) -> None:
    assert "baseline" not in payload(measured[0])


def test_the_table_has_a_row_for_each_data_set_and_baseline(measured: tuple[Measured, Measured]) -> None:
    matched, text = shown(*measured).split("Concept density")
    assert matched.lstrip().startswith("At 3 images each")
    rows = [line for line in text.splitlines() if ".txt" in line or "all together" in line]
    assert len(rows) == 4
    assert "dense[1].txt" in rows[0]
    assert "100.0%" in rows[0]
    assert [("baseline: " in row) for row in rows] == [False, True, True, True]


def test_the_report_says_what_was_counted_and_warns_of_unequal_sizes(measured: tuple[Measured, Measured]) -> None:
    text = shown(*measured)
    assert "densify-en-2, common and proper nouns, lower case" in text
    assert "at least 10 times (beside it: more than 10)" in text
    assert "depends on the number of images" in text
    assert "3 to 15 images" in text
    assert "depends on the number of images" not in shown(measured[0])


def test_the_csv_has_every_figure_unrounded(measured: tuple[Measured, Measured], tmp_path: Path) -> None:
    write_csv(tmp_path / "out" / "density.csv", *measured)
    with (tmp_path / "out" / "density.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["role"], row["name"]) for row in rows] == [
        ("data", "dense[1].txt"),
        ("baseline", "short.txt"),
        ("baseline", "dense[1].txt"),
        ("baseline", "all together"),
    ]
    assert rows[0].keys() >= KEYS
    assert rows[3]["nouns_per_image"] == str(39 / 15)


# ---- what a trainer reads -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, Measured]:
    """Twelve captions of which a trainer reads five words, and three short ones."""
    folder = tmp_path_factory.mktemp("captions")
    (folder / "dense.txt").write_text("a dog and a cat near the house\n" * 12)
    (folder / "short.txt").write_text("a dog\n" * 3)
    trainer = Truncation(str(word_tokenizer(tmp_path_factory.mktemp("tok[1]"))), 6)
    how = Counting(trainer=trainer)
    return measure_paths([folder / "dense.txt"], how), measure_paths([folder / "short.txt"], how)


def test_the_report_leads_with_what_a_trainer_reads(cut: tuple[Measured, Measured]) -> None:
    text = shown(*cut)
    assert text.startswith("What a trainer reads: the first 6 tokens of /")
    assert "tok[1]" in text.splitlines()[0]
    first, matched, rest = (
        text.split("At 3 images each, as the trainer reads them")[0],
        *text.split("Concept density of the whole captions"),
    )
    rows = [line.split("│") for line in first.splitlines() if ".txt" in line]
    assert [cell.strip() for cell in rows[0][1:-1]] == [
        "dense.txt", "12", "2", "2", "100.0%", "24", "2.00", "12 (100.0%)", "12 (33.3%)", "1",
    ]  # fmt: skip
    assert [cell.strip() for cell in rows[1][-4:-1]] == ["0 (0.0%)", "0 (0.0%)", "0"]
    assert "as the trainer reads them" in matched
    assert "36" in rest
    assert "captions cut after 6 tokens" in rest


def test_the_payload_has_what_is_read_beside_what_is_there(cut: tuple[Measured, Measured]) -> None:
    report = json.loads(json.dumps(payload(*cut)))
    assert (report["total_nouns"], report["seen"]["total_nouns"]) == (36, 24)
    assert report["seen"].keys() >= KEYS
    loss = report["datasets"][0]["seen"]["loss"]
    assert loss.pop("tokenizer").endswith("0")
    assert loss == {
        "tokens": 6,
        "captions": 12,
        "cut": 12,
        "cut_share": 1.0,
        "nouns": 36,
        "lost": 12,
        "lost_share": 1 / 3,
        "valid_lost": 1,
        "valid_lost_over": 1,
    }
    assert report["baseline"]["seen"]["loss"]["lost"] == 0
    assert report["at_equal_images"]["rows"][0]["distinct"]["value"] == 3
    assert report["seen_at_equal_images"]["rows"][0]["distinct"]["value"] == 2


def test_without_a_cut_nothing_is_said_of_a_trainer(measured: tuple[Measured, Measured]) -> None:
    assert "trainer" not in shown(*measured)
    report = payload(*measured)
    assert "seen" not in report
    assert "seen_at_equal_images" not in report


# ---- gained and lost ------------------------------------------------------------------------------------------------


def test_gained_and_lost_nouns_stand_side_by_side(tmp_path: Path) -> None:
    new, old = tmp_path / "new.txt", tmp_path / "old.txt"
    new.write_text("a dog and a cat and a dog\n" * 12)
    old.write_text("a cat on a boat\n" * 24)
    data, baseline = measure_paths([new]), measure_paths([old])
    text = shown(data, baseline)
    assert "1 nouns gained, 1 lost, at 12 images each" in text
    row = next(line for line in text.splitlines() if "dog" in line and "boat" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["dog", "2,000.0", "0.0", "boat", "0.0", "1,000.0"]
    report = json.loads(json.dumps(payload(data, baseline)))["contrast"]
    dog = {"noun": "dog", "ours": 24, "theirs": 0, "ours_per_1000": 2000.0, "theirs_per_1000": 0.0}
    assert report["gained"] == [dog]
    assert (report["images"], report["valid_from"], report["gained_total"], report["lost_total"]) == (12, 10, 1, 1)
    assert "scaled to 12 images, reach 10 on one side only" in text
    assert "contrast" not in payload(data)
    assert "gained" not in shown(data)


# ---- the long tail --------------------------------------------------------------------------------------------------


def test_the_tail_is_shown_where_it_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("a dog and a cat\n" * 10 + "a boat near the house [/b]\n" + "a house\n")
    asked = measure_paths([file], Counting(tail=3))
    text = shown(asked)
    assert "The long tail of a.txt: 2 nouns (50.0%) below 10 occurrences" in text
    assert "a boat near the house [/b]" in text
    tail = json.loads(json.dumps(payload(asked)))["tail"]
    assert [(band["from"], band["to"], band["nouns"], band["share"]) for band in tail["bands"]] == [
        (1, 1, 1, 0.5),
        (2, 4, 1, 0.5),
        (5, 9, 0, 0.0),
    ]
    boat = tail["bands"][0]["examples"][0]
    assert (boat["noun"], boat["occurrences"], boat["dataset"], boat["index"]) == ("boat", 1, "a.txt", 10)
    plain = measure_paths([file])
    assert "long tail" not in shown(plain)
    assert "tail" not in payload(plain)


def test_a_tail_without_nouns_is_no_surprise(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("red\n")
    assert "0 nouns (0.0%) below 10" in shown(measure_paths([tmp_path / "a.txt"], Counting(tail=3)))


# ---- the paper's way ------------------------------------------------------------------------------------------------


def test_the_papers_profile_leads_with_more_than_the_threshold(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a dog and a cat\n" * 10 + "a dog\n")
    data = measure_paths([tmp_path / "a.txt"], Counting(folding="raw", profile="paper"))
    text = shown(data, data)
    heading = next(line for line in text.splitlines() if "words per image" in line)
    assert heading.index("VN (> 10)") < heading.index("VN (>= 10)")
    row = next(line for line in text.splitlines() if line.startswith("│ a.txt") and "2 (100.0%)" in line)
    assert [cell.strip() for cell in row.split("│")[3:7]] == ["1", "2", "50.0%", "2 (100.0%)"]
    matched = text.split("Concept density")[0]
    assert "50.0% [" in matched
    assert "as written. VN: distinct nouns seen more than 10 times (beside it: at least 10)" in text
    assert "about 11.2 million images each" in text
    report = payload(data)
    assert (report["profile"], report["folding"]) == ("paper", "raw")
    assert (report["valid_nouns"], report["valid_nouns_over"]) == (2, 1)
    assert payload(measure_paths([tmp_path / "a.txt"]))["profile"] == "densify"
