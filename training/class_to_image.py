"""Stage 1, pixel dependency: a DiT learns to draw from classes, cheaply, so that stage 2 begins with what pixels are.

The class of a sample is a field of its `.json` (`data.label`); classes are the values that occur, in alphabetical
order. Leaves out: stages 2 and 3 (text_to_image.py) and the steps (loop.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.errors import BadFieldError
from training.captions import choose
from training.epoch import Cursor, Integers
from training.features import Features
from training.models import drop_classes
from training.objective import Learning
from training.recipe import Recipe
from training.task import Batch


@dataclass(frozen=True)
class Labelled:
    """Latents with their classes: for each sample its key, the number of its file, its item there, and its class."""

    keys: Sequence[str]
    files: Sequence[int]
    items: Sequence[int]
    classes: Sequence[int]
    latents: Sequence[Features]

    def stacked(self, wanted: Sequence[int]) -> torch.Tensor:
        """(n, c, h, w) the latents of these samples, float32."""
        return torch.stack([self.latents[self.files[at]][self.items[at]].float() for at in wanted])


class ClassToImage:
    """The task. `model`: a DiTTransformer2DModel; `names`: of the classes, in the order of their numbers."""

    def __init__(self, recipe: Recipe, model: Any, labelled: Labelled, names: Sequence[str]) -> None:
        self.recipe, self.model, self.labelled, self.names = recipe, model, labelled, names
        self.learning = Learning(recipe.objective)

    def read(self, cursor: Cursor, places: Integers, generators: tuple[torch.Generator, ...]) -> Batch:
        """The batch of these samples; their classes are dropped at the rate at which captions would be."""
        of, captions, seed = self.labelled, self.recipe.captions, self.recipe.run.seed
        wanted = places.tolist()
        dropped = [choose(captions, seed, cursor.epoch, of.keys[at]) == "none" for at in wanted]
        given = {"classes": torch.tensor([of.classes[at] for at in wanted]), "dropped": torch.tensor(dropped)}
        return Batch(of.stacked(wanted), generators, tuple(of.keys[at] for at in wanted), given)

    def losses(self, model: Any, batch: Batch) -> torch.Tensor:
        """(n) how wrong the model is about each image."""
        clean = batch.latents
        noise, places = self.learning.draw(clean.shape, batch.generators)
        noised = self.learning.noised(clean, noise.to(clean), places.to(clean))
        classes = drop_classes(batch.given["classes"], batch.given["dropped"], self.model)
        said = model(noised.latents, timestep=noised.times, class_labels=classes).sample
        return self.learning.loss(said.float(), noised, clean)


def label_of(data: bytes | None, field: str, key: str) -> str:
    """The value of a field (`scene.main`: of an object inside) in a sample's `.json`. Raises BadFieldError."""
    try:
        value: Any = json.loads(data or b"null")
    except ValueError as error:
        raise BadFieldError(f"The .json of {key} is no JSON.") from error
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            raise BadFieldError(
                f"The sample {key} has no field {field} in its .json.",
                hint="Stage 1 learns from classes: set data.label to a field that every sample has.",
            )
        value = value[part]
    return str(value)


def number_classes(labels: Iterable[str]) -> tuple[list[str], list[int]]:
    """(names of the classes, the number of each label's class). Raises BadFieldError for a single class."""
    listed = list(labels)
    names = sorted(set(listed))
    if len(names) < 2:
        raise BadFieldError(
            f"All samples are of one class, {names[0] if names else 'none'}: there is nothing to tell apart."
        )
    return names, number_by(names, listed)


def number_by(names: Sequence[str], labels: Iterable[str]) -> list[int]:
    """The number of each label's class among `names`. Raises BadFieldError for a class that is not among them."""
    numbers = {name: number for number, name in enumerate(names)}
    listed = list(labels)
    unknown = sorted(set(listed) - numbers.keys())
    if unknown:
        raise BadFieldError(
            f"{len(unknown)} classes are none that the model learns: {', '.join(unknown[:3])}.",
            hint="A class needs a sample in the split train; with too few of each, set validation.every=0.",
        )
    return [numbers[label] for label in listed]
