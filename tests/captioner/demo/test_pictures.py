"""The training set on disk: the same whatever is drawn when, and seen as the model will see it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.demo import pictures
from captioner.demo.lessons import normalised
from captioner.demo.model import build_processor
from tests.captioner.demo.conftest import draw_here


def test_a_picture_depends_on_seed_and_number_only(
    drawn: pictures.Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "PART", 6)
    draw_here(tmp_path / "again", 12, seed=1)
    again = pictures.load(tmp_path / "again", 12, seed=1)
    assert (again.pixels(range(12)) == drawn.pixels(range(12))).all()
    assert (again.boxes == drawn.boxes[:12]).all()
    assert again.scenes == drawn.scenes[:12]
    draw_here(tmp_path / "other", 6, seed=2)
    assert pictures.load(tmp_path / "other", 6, seed=2).scenes != drawn.scenes[:6]


def test_what_is_drawn_already_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "PART", 3)
    draw_here(tmp_path, 6, seed=1)
    times = [file.stat().st_mtime_ns for file in sorted(tmp_path.iterdir())]
    pictures.prepare(tmp_path, 6, seed=1, processes=1)
    assert [file.stat().st_mtime_ns for file in sorted(tmp_path.iterdir())] == times
    with pytest.raises(FileNotFoundError):
        pictures.load(tmp_path, 7, seed=1)


def test_training_and_processor_see_the_same_numbers(drawn: pictures.Pictures, words: object) -> None:
    wide = Image.fromarray(np.tile(drawn.pixels([0])[0], (1, 2, 1)))
    processor = build_processor(words)
    theirs = processor.image_processor(wide, return_tensors="np")["pixel_values"]
    ours = normalised(pictures.squeeze(wide)[None]).numpy()
    assert theirs.shape == ours.shape == (1, 3, pictures.SIDE, pictures.SIDE)
    assert np.abs(theirs - ours).max() < 1e-5
