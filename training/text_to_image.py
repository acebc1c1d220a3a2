"""Stages 2 and 3: a PixArt learns to draw from captions, whose features were computed once.

Size conditions of the 1024-pixel checkpoints are given where the model asks for them. Leaves out: stage 1
(class_to_image.py) and the steps (loop.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.captions import choose
from training.epoch import Cursor, Integers
from training.features import Features, padded
from training.objective import Learning
from training.recipe import Recipe
from training.task import Batch


@dataclass(frozen=True)
class Place:
    """One sample: its key, its shard's number among the open files, its item there, and whether it has old text."""

    key: str
    file: int
    item: int
    has_old_text: bool


@dataclass(frozen=True)
class Cached:
    """The features of a data set: its samples, and for each shard the files of latents, captions and (where the recipe
    reads them) old texts; `null` (1, width) stands for no caption."""

    places: Sequence[Place]
    latents: Sequence[Features]
    captions: Sequence[Features]
    old_texts: Sequence[Features]
    null: torch.Tensor

    def latent(self, at: int) -> torch.Tensor:
        """(c, h, w), float32."""
        place = self.places[at]
        return self.latents[place.file][place.item].float()

    def text(self, recipe: Recipe, epoch: int, at: int) -> torch.Tensor:
        """(length, width) what the sample is read with in this epoch."""
        place = self.places[at]
        which = choose(recipe.captions, recipe.run.seed, epoch, place.key, has_old_text=place.has_old_text)
        if which == "none":
            return self.null
        return (self.captions if which == "caption" else self.old_texts)[place.file][place.item]


class TextToImage:
    """The task. `model`: a PixArtTransformer2DModel."""

    def __init__(self, recipe: Recipe, model: Any, cached: Cached) -> None:
        self.recipe, self.model, self.cached = recipe, model, cached
        self.learning = Learning(recipe.objective)

    def read(self, cursor: Cursor, places: Integers, generators: tuple[torch.Generator, ...]) -> Batch:
        """The batch of these samples."""
        latents = torch.stack([self.cached.latent(at) for at in places.tolist()])
        texts, mask = padded([self.cached.text(self.recipe, cursor.epoch, at) for at in places.tolist()])
        keys = tuple(self.cached.places[at].key for at in places.tolist())
        return Batch(latents, generators, keys, {"texts": texts, "mask": mask})

    def losses(self, model: Any, batch: Batch) -> torch.Tensor:
        """(n) how wrong the model is about each image."""
        noise, places = self.learning.draw(batch.latents.shape, batch.generators)
        clean = batch.latents
        noised = self.learning.noised(clean, noise.to(clean), places.to(clean))
        said = model(
            noised.latents,
            encoder_hidden_states=batch.given["texts"],
            encoder_attention_mask=batch.given["mask"],
            timestep=noised.times,
            added_cond_kwargs=self.conditions(batch),
        ).sample
        return self.learning.loss(said.float(), noised, clean)

    def conditions(self, batch: Batch) -> dict[str, torch.Tensor] | None:
        """Sizes and ratios in pixels, for models that ask for them."""
        if not self.model.use_additional_conditions:
            return None
        count, _, height, width = batch.latents.shape
        size = (
            torch.tensor([height, width]).to(batch.latents)
            * self.recipe.data.resolution
            / self.model.config.sample_size
        )
        ratio = torch.tensor([height / width]).to(batch.latents)
        return {"resolution": size.expand(count, 2), "aspect_ratio": ratio.expand(count, 1)}
