"""A classifier that reads noised latents: what steers stage 1 to a class while it draws (guided.py).

Trained by the same loop as the DiT that it steers, on the same latents, with the same noise and time steps; its loss is
the cross entropy of the class (arXiv 2105.05233, section 4). Of the objective it shares what noises an image alone:
`learn_sigma` and `min_snr` play no part in it, and no class is dropped. Leaves out: drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from training.class_to_image import Labelled
from training.epoch import Cursor, Integers
from training.models import Size
from training.objective import Learning
from training.recipe import Recipe
from training.task import Batch

if TYPE_CHECKING:
    from transformers import ViTForImageClassification


class Classifier:
    """The task. `model`: from `classifier`; `names`: of the classes, in the order of their numbers."""

    def __init__(self, recipe: Recipe, model: Any, labelled: Labelled, names: Sequence[str]) -> None:
        self.recipe, self.model, self.labelled, self.names = recipe, model, labelled, names
        self.learning = Learning(recipe.objective)
        sampler: Any = self.learning.sampler()
        self._steps = int(sampler.config.num_train_timesteps)
        # The folder that it is saved into says what its answers mean.
        model.config.id2label = dict(enumerate(names))
        model.config.label2id = {name: number for number, name in enumerate(names)}

    def read(self, cursor: Cursor, places: Integers, generators: tuple[torch.Generator, ...]) -> Batch:
        """The batch of these samples, each with its class."""
        wanted = places.tolist()
        given = {"classes": torch.tensor([self.labelled.classes[at] for at in wanted])}
        keys = tuple(self.labelled.keys[at] for at in wanted)
        return Batch(self.labelled.stacked(wanted), generators, keys, given)

    def losses(self, model: Any, batch: Batch) -> torch.Tensor:
        """(n) the cross entropy of each image's class, in nats."""
        noise, places = self.learning.draw(batch.latents.shape, batch.generators)
        noised = self.learning.noised(batch.latents, noise.to(batch.latents), places.to(batch.latents))
        said = logits(model, noised.latents, noised.times, self._steps)
        return cross_entropy(said.float(), batch.given["classes"], reduction="none")


def classifier(size: Size, classes: int, *, side: int | None = None, channels: int = 4) -> ViTForImageClassification:
    """A vision transformer of the size's layers, heads and patch, with one channel more than the latents have.

    transformers' ViTForImageClassification, since it is saved, loaded and run anywhere with its classes' names. The
    paper's is half a U-Net, which no library has as a class of its own. A ViT knows no time: `logits` tells it by the
    added channel.
    """
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        image_size=side or size.side,
        patch_size=size.patch,
        num_channels=channels + 1,
    )
    config.num_labels = classes
    return ViTForImageClassification(config)


def logits(model: Any, latents: torch.Tensor, times: torch.Tensor, steps: int) -> torch.Tensor:
    """(n, classes) what the model says of noised latents (n, c, h, w) at `times` (n), 0 to `steps`.

    The time is a constant channel from -1, no noise, to 1: the patches' projection makes a vector of it that is added
    to every token, as a time embedder's would be.
    """
    told = (2 * times.to(latents) / steps - 1).view(-1, 1, 1, 1).expand(-1, 1, *latents.shape[2:])
    said: torch.Tensor = model(pixel_values=torch.cat([latents, told], 1)).logits
    return said
