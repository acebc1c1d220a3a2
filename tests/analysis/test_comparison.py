"""Comparisons lead with figures at equal numbers of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.comparison import compare
from analysis.report import payload
from analysis.tables import Measured, measure_paths
from core.errors import NothingToReadError


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, Measured]:
    folder = tmp_path_factory.mktemp("captions")
    (folder / "long.txt").write_text("a dog and a cat near the house\n" * 400)
    (folder / "short.txt").write_text("a boat\n" * 100)
    return measure_paths([folder / "long.txt"]), measure_paths([folder / "short.txt"])


def test_all_are_compared_at_the_size_of_the_smallest(measured: tuple[Measured, Measured]) -> None:
    comparison = compare(*measured)
    assert comparison is not None
    assert comparison.images == 100
    long, short = comparison.rows
    assert (long.role, short.role) == ("data", "baseline")
    assert (long.estimate.distinct.value, short.estimate.distinct.value) == (3, 1)
    assert long.nouns_per_image == 3


def test_the_json_report_has_it_beside_the_rows(measured: tuple[Measured, Measured]) -> None:
    found = payload(*measured)["at_equal_images"]
    assert found["images"] == 100
    assert [row["name"] for row in found["rows"]] == ["long.txt", "short.txt"]
    assert found["rows"][0]["valid"]["value"] == 3


def test_a_single_data_set_is_compared_with_nothing(measured: tuple[Measured, Measured]) -> None:
    assert compare(measured[0]) is None
    assert "at_equal_images" not in payload(measured[0])


def test_a_baseline_without_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(NothingToReadError, match="holds no caption"):
        measure_paths([tmp_path / "empty.txt"])
