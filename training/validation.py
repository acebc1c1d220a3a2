"""The validation loss, stabilised: the same held-out images, noise and time steps whenever it is measured.

A training loss jumps with the noise and the time steps that were drawn; here nothing is drawn anew, so that a change is
the model's own. Images are those of the hand-off's validation split, chosen by the run's seed, each with its caption;
time steps are spread evenly; the model is the averaged one. Every process measures all of it, which needs no agreement
between them. Leaves out: when it is measured (loop.py) and where it is told (board.py, the commands).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import BadRecipeError, NothingToReadError
from training.epoch import Cursor
from training.objective import Learning
from training.prepare import Meter, Prepared, task_over
from training.recipe import Objective, Recipe
from training.source import Source
from training.task import Batch, generators

#: Images measured together at most; without gradients they need little memory.
BATCH = 32


@dataclass(frozen=True, slots=True)
class Measured:
    """`loss`: mean over all images and time steps; `by_place`: for each place from image (0) to noise (1) its mean."""

    loss: float
    by_place: tuple[tuple[float, float], ...]


class Fixed(Learning):
    """An objective that draws no time step: every image is at `place`, 0 to 1, with the noise of its own chance."""

    def __init__(self, objective: Objective) -> None:
        super().__init__(objective)
        self.place = 0.5

    def draw(self, shape: torch.Size, generators: Sequence[torch.Generator]) -> tuple[torch.Tensor, torch.Tensor]:
        noise, drawn = super().draw(shape, generators)
        return noise, torch.full_like(drawn, self.place)


class Validation:
    """The held-out images of a run with their features, computed where they are not there. `folder`: the run's.

    Raises BadRecipeError where the recipe leaves nothing to measure with, and what task_over raises.
    """

    def __init__(self, prepared: Prepared, folder: Path, meter: Meter) -> None:
        recipe = _with_every_caption(prepared.recipe)
        source = held_out(recipe).some(recipe.validation.samples, recipe.run.seed)
        self.recipe = recipe
        self.keys = [record.key for record in source.samples]
        self._task = task_over(prepared, recipe, source, folder, meter)
        self._learning = Fixed(recipe.objective)
        self._task.learning = self._learning
        self._groups = list(self._alike())

    @torch.no_grad()
    def measure(self, model: Any) -> Measured:
        """The loss of a model, which is or wraps the run's and is not training."""
        device = next(model.parameters()).device
        times = self.recipe.validation.times
        means = []
        for number in range(times):
            self._learning.place = (number + 0.5) / times
            losses = [self._task.losses(model, self._read(group, number).to(device)).float() for group in self._groups]
            means.append((self._learning.place, float(torch.cat(losses).mean())))
        return Measured(sum(loss for _, loss in means) / times, tuple(means))

    def _read(self, group: Sequence[int], number: int) -> Batch:
        """These images at time step `number`; its noise is of no step of training, which are counted from 0."""
        chance = tuple(
            each for at in group for each in generators(self.recipe.run.seed, -1 - number, first=at, count=1)
        )
        return self._task.read(Cursor(0, 0), np.asarray(group, np.int64), chance)

    def _alike(self) -> Iterator[list[int]]:
        """Places of the images in batches of one shape."""
        shapes: dict[torch.Size, list[int]] = {}
        for at in range(len(self.keys)):
            shapes.setdefault(self._read([at], 0).latents.shape, []).append(at)
        for group in shapes.values():
            for start in range(0, len(group), BATCH):
                yield group[start : start + BATCH]


def _with_every_caption(recipe: Recipe) -> Recipe:
    captions = recipe.captions.model_copy(update={"dropout": 0.0, "old_text": 0.0})
    return recipe.model_copy(update={"captions": captions})


def held_out(recipe: Recipe) -> Source:
    """The hand-off's validation split. Raises BadRecipeError where it is empty, or is learnt from."""
    every = recipe.validation.every
    if recipe.data.split == "all":
        raise BadRecipeError(
            f"validation.every is {every}, and data.split is all: the model learns from the validation samples too.",
            hint="Set data.split to train, or validation.every to 0.",
        )
    try:
        return Source(recipe.data.handoff, "validation", recipe.data.digest)
    except NothingToReadError as error:
        raise BadRecipeError(
            f"validation.every is {every}, and {recipe.data.handoff} holds no sample of the split validation.",
            hint="Set validation.every=0, or hand off more samples.",
        ) from error
