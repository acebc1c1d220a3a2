from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from rich.console import Console

from analysis.report import payload, render, write_csv
from analysis.tables import Measured, measure_paths

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
    assert report["noun_pipeline"] == "densify-en-1"
    assert report["baseline"]["images"] == 15
    assert [row["name"] for row in report["baseline"]["datasets"]] == ["short.txt", "dense[1].txt"]


def test_without_a_baseline_the_payload_has_none(measured: tuple[Measured, Measured]) -> None:
    assert "baseline" not in payload(measured[0])


def test_the_table_has_a_row_for_each_data_set_and_baseline(measured: tuple[Measured, Measured]) -> None:
    text = shown(*measured)
    rows = [line for line in text.splitlines() if ".txt" in line or "all together" in line]
    assert len(rows) == 4
    assert "dense[1].txt" in rows[0]
    assert "100.0%" in rows[0]
    assert [("baseline: " in row) for row in rows] == [False, True, True, True]


def test_the_report_says_what_was_counted_and_warns_of_unequal_sizes(measured: tuple[Measured, Measured]) -> None:
    text = shown(*measured)
    assert "densify-en-1, common and proper nouns, lower case" in text
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
