"""Pictures while a model learns: the same prompts and seeds every time, so that one grid can be laid beside another.

For captions one picture each, in reading order (`prompts.txt` beside them lists the prompts); for stage 1 a row for
each class. Drawn by the averaged model as `densify sample` draws, and written as PNG files that say inside how they
were made. Leaves out: when they are drawn (loop.py) and single pictures (sampling.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from core.errors import BadRecipeError, NothingToReadError
from core.files import write_atomic
from training.grids import grid
from training.pipelines import pipeline
from training.prepare import Prepared
from training.sampling import Drawing, draw, png
from training.source import Source
from training.text_to_image import TextToImage

FOLDER = "previews"
PROMPTS = "prompts.txt"
#: Pictures side by side at most; of a class, where there are too many classes to draw each of them twice.
COLUMNS, OF_A_CLASS = 8, 4


class Previews:
    """What a run draws again and again. `folder`: the run's.

    Reads the hand-off's validation split where the recipe names no prompt, and raises what that raises; BadRecipeError
    for a guidance that no captions are drawn with.
    """

    def __init__(self, prepared: Prepared, folder: Path) -> None:
        self._prepared, self._folder = prepared, folder / FOLDER
        task = prepared.task
        if isinstance(task, TextToImage) and prepared.recipe.previews.guidance < 1:
            raise BadRecipeError(
                f"previews.guidance is {prepared.recipe.previews.guidance:g}: from captions it is 1 (none) or more."
            )
        self._classes = None if isinstance(task, TextToImage) else task.names
        #: What is drawn, one picture each; for stage 1 the names of classes, some pictures each.
        self.prompts = _prompts(prepared) if self._classes is None else self._rows(self._classes)

    def _rows(self, classes: Sequence[str]) -> list[str]:
        """All classes where each has two pictures at least, or as many as have a row of OF_A_CLASS."""
        few = len(classes) * 2 <= self._count
        return list(classes if few else classes[: max(1, self._count // OF_A_CLASS)])

    @property
    def _count(self) -> int:
        return self._prepared.recipe.previews.count

    def draw(self, step: int, model: Any) -> Image.Image:
        """The grid of this step, drawn with `model` and written. Raises StorageError and kin.

        The model stays where it is and as it is.
        """
        with _quiet():
            drawn = pipeline(self._prepared, model)
            sheet = self._of_prompts(drawn) if self._classes is None else self._of_classes(drawn)
        write_atomic(self._folder / PROMPTS, "".join(f"{prompt}\n" for prompt in self.prompts).encode())
        write_atomic(self._folder / f"step-{step:08d}.png", self._png(sheet, step))
        return sheet

    def _of_prompts(self, drawn: Any) -> Image.Image:
        recipe, side = self._prepared.recipe, self._prepared.recipe.data.resolution
        asked, seed = recipe.previews, recipe.run.seed
        drawings = [
            Drawing(
                prompt,
                seed + number,
                asked.steps,
                asked.guidance,
                width=side,
                height=side,
                tokens=recipe.captions.tokens,
            )
            for number, prompt in enumerate(self.prompts)
        ]
        images = [image for _, image in draw(drawn, drawings)]
        return grid(images, min(COLUMNS, len(images)))

    def _of_classes(self, drawn: Any) -> Image.Image:
        recipe, side = self._prepared.recipe, self._prepared.recipe.data.resolution
        asked, each = recipe.previews, min(COLUMNS, max(1, self._count // len(self.prompts)))
        # The seeds of a row are those of the others: what differs is the class.
        drawings = [
            Drawing(name, recipe.run.seed + column, asked.steps, asked.guidance, width=side, height=side)
            for name in self.prompts
            for column in range(each)
        ]
        return grid([image for _, image in draw(drawn, drawings)], each, rows=self.prompts)

    def _png(self, sheet: Image.Image, step: int) -> bytes:
        recipe = self._prepared.recipe
        told = {
            "step": step,
            "prompts": self.prompts,
            "seed": recipe.run.seed,
            "steps": recipe.previews.steps,
            "guidance": recipe.previews.guidance,
            "tokens": recipe.captions.tokens,
        }
        return png(sheet, told)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without diffusers' word on every long prompt, each time: how many captions are cut is said before a run."""
    from diffusers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _prompts(prepared: Prepared) -> list[str]:
    """The recipe's prompts, or captions of the validation split; of what is learnt where that split is empty."""
    recipe = prepared.recipe
    if recipe.previews.prompts:
        return list(recipe.previews.prompts)
    try:
        source = Source(recipe.data.handoff, "validation", recipe.data.digest)
    except NothingToReadError:
        source = prepared.source
    samples = source.some(recipe.previews.count, recipe.run.seed).samples
    # A caption may have several lines; prompts.txt has one for each.
    return [" ".join((record.caption or "").split()) for record in samples]
