"""A run's losses: read from its log, and drawn as one picture, training and validation against steps.

Where a run was stopped and went on, a step may stand in the log twice; the later line counts. Leaves out: writing the
log (the command does).
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from core.files import write_atomic

PICTURE = "loss.png"
#: Part of all lines of the log that a smoothed loss is the mean of, half before and half after its own.
SMOOTH = 0.1


@dataclass(frozen=True, slots=True)
class Losses:
    """(step, loss) in order of steps."""

    train: tuple[tuple[int, float], ...]
    validation: tuple[tuple[int, float], ...]


def read_losses(log: Path) -> Losses:
    """The losses in a log of JSON lines; none where there is no log. A line that a kill cut off is passed over."""
    train: dict[int, float] = {}
    validation: dict[int, float] = {}
    for line in log.read_text().splitlines() if log.is_file() else ():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if "loss" in told:
            train[told["step"]] = told["loss"]
        if "validation_loss" in told:
            validation[told["step"]] = told["validation_loss"]
    return Losses(tuple(sorted(train.items())), tuple(sorted(validation.items())))


def smoothed(values: Sequence[float]) -> list[float]:
    """Means of the values around each: as many before as after, so that a falling loss is not drawn late."""
    sums = [0.0, *accumulate(values)]
    half, last = round(SMOOTH * len(values) / 2), len(values) - 1
    widths = (min(half, place, last - place) for place in range(len(values)))
    return [(sums[place + wide + 1] - sums[place - wide]) / (2 * wide + 1) for place, wide in enumerate(widths)]


def plot(losses: Losses, file: Path) -> None:
    """Draws them into a PNG file, which appears whole or not at all. Raises StorageError and kin."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.5, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    if losses.train:
        steps, values = zip(*losses.train, strict=True)
        axes.plot(steps, values, color="#9db4d0", linewidth=0.8, label="training, each line of the log")
        axes.plot(steps, smoothed(values), color="#1f5fa8", linewidth=1.8, label="training, smoothed")
    if losses.validation:
        steps, values = zip(*losses.validation, strict=True)
        axes.plot(steps, values, color="#c2571a", linewidth=1.8, marker="o", markersize=4, label="validation")
    axes.set_xlabel("step")
    axes.set_ylabel("loss (mean over images)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e4e0", linewidth=0.8)
    axes.set_axisbelow(True)
    if losses.train or losses.validation:
        axes.legend(frameon=False)
    image = io.BytesIO()
    figure.savefig(image, format="png")
    write_atomic(file, image.getvalue())
