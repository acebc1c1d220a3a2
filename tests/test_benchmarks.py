"""The benchmarks: `make bench` runs them all, and the one on concept density works at a small size."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.counts import NounCounts
from analysis.density import table_from_counts, table_from_files
from benchmarks.count_files import Corpus, words, write_count_files

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "benchmarks"


def test_make_bench_runs_every_benchmark() -> None:
    loop = re.search(r"for script in ([a-z_ ]+); do", (REPOSITORY / "Makefile").read_text())
    assert loop is not None
    scripts = {file.stem for file in FOLDER.glob("*.py") if "__main__" in file.read_text()}
    assert set(loop[1].split()) == scripts


def test_synthetic_count_files_are_count_files(tmp_path: Path) -> None:
    files = write_count_files(tmp_path, Corpus(shards=3, captions=50, nouns=12, vocabulary=300, seed=1))
    merged = NounCounts("synthetic")
    for file in files:
        counts = NounCounts.from_parquet(file)
        assert counts.to_parquet() == file.read_bytes()
        assert sum(row[0] for row in counts.nouns.values()) == 50 * 12
        assert all(row[0] >= row[1] > 0 and row[2] in (0, row[0]) for row in counts.nouns.values())
        merged.merge(counts)
    table = table_from_files(files)
    assert table == table_from_counts(merged)
    assert (table.images, table.total_nouns) == (150, 1800)
    assert 1 < table.valid_nouns < table.distinct_nouns <= 300


def test_synthetic_words_are_different_and_in_order() -> None:
    vocabulary = words(20_000)
    assert len(set(vocabulary)) == 20_000
    assert vocabulary == sorted(vocabulary)
    assert {len(word) for word in vocabulary} == {8, 9, 11, 14}


@pytest.mark.slow
def test_concept_density_is_measured_at_a_small_size_and_nothing_recorded(tmp_path: Path) -> None:
    before = (FOLDER / "RESULTS.md").read_bytes()
    (tmp_path / "captions.txt").write_text("a dog near the old house\na red ball\n" * 40)
    command = [sys.executable, FOLDER / "density.py", "--trial", "--captions", tmp_path / "captions.txt"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "DENSIFY_DATA": str(tmp_path)}
    done = subprocess.run(
        [*command, "--data", tmp_path], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    for figure in (
        "| captions.txt: `en`, one core / spaCy's default form, one core | ",
        "| captions.txt: `en`, two processes, two cores / spaCy's n_process=2, two cores | ",
        "| captions.txt: captions | 2 rounds of 20, ",
        "| F1, annotated captions | `en` 9",
        "## Concept density: the table of 200 captions",
        "| figures at 20 images: seconds | ",
        "## Concept density: a report over 100 captions",
        "| seconds, end to end | ",
    ):
        assert figure in done.stdout, figure
    assert (FOLDER / "RESULTS.md").read_bytes() == before
