"""The picture of a run's losses: read from the log, smoothed without lag, drawn with named axes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from training.curves import Losses, plot, read_losses, smoothed


def test_of_a_step_that_was_taken_again_the_later_line_counts(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    told = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    told.append({"step": 2, "validation_loss": 5.0})
    log.write_text("".join(json.dumps(line) + "\n" for line in told) + '{"step": 3, "lo')
    assert read_losses(log) == Losses(((1, 3.0), (2, 1.0)), ((2, 5.0),))


def test_without_a_log_there_are_no_losses(tmp_path: Path) -> None:
    assert read_losses(tmp_path / "none") == Losses((), ())
    plot(Losses((), ()), tmp_path / "loss.png")
    assert (tmp_path / "loss.png").is_file()


def test_a_falling_loss_is_not_drawn_late_and_a_leap_is_spread() -> None:
    falling = [float(-place) for place in range(40)]
    assert smoothed(falling) == pytest.approx(falling)
    assert smoothed([0.0] * 20 + [6.0] + [0.0] * 20)[17:24] == pytest.approx([0.0] + [1.2] * 5 + [0.0])
    assert smoothed([]) == []


def test_both_losses_are_in_the_picture(tmp_path: Path) -> None:
    train = tuple((step, 1 / step) for step in range(1, 30))
    pictures = set()
    for number, losses in enumerate((Losses(train, ()), Losses((), train), Losses(train, ((10, 0.4), (20, 0.3))))):
        plot(losses, tmp_path / f"{number}.png")
        with Image.open(tmp_path / f"{number}.png") as image:
            assert image.size == (900, 504)
            pictures.add(image.tobytes())
    assert len(pictures) == 3
