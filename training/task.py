"""What a method is to the loop: a model that learns, batches of a step, and how wrong the model is about each image.

A method adds a task, never a loop (loop.py). Noise and time steps of an image follow from the seed, the step and the
image's place in the batch, so that they are the same on any number of processes and after a resume.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import nn

from core.spec import content_hash
from training.epoch import Cursor, Integers

_MASK = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """One process's part of a step: `latents` (n, c, h, w), `generators` (n) of each image's chance, the images' keys,
    and what else the method reads (`given`)."""

    latents: torch.Tensor
    generators: tuple[torch.Generator, ...]
    keys: tuple[str, ...]
    given: dict[str, torch.Tensor] = field(default_factory=dict)

    def part(self, start: int, stop: int) -> Batch:
        """Images `start` to before `stop`."""
        given = {name: value[start:stop] for name, value in self.given.items()}
        return Batch(self.latents[start:stop], self.generators[start:stop], self.keys[start:stop], given)

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        given = {name: value.to(device, non_blocking=True) for name, value in self.given.items()}
        return Batch(self.latents.to(device, non_blocking=True), self.generators, self.keys, given)


class Task(Protocol):
    """A method of training."""

    model: nn.Module

    def read(self, cursor: Cursor, places: Integers, generators: tuple[torch.Generator, ...]) -> Batch:
        """The batch of these samples, in memory; called ahead of time by another thread."""
        ...

    def losses(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """(n) how wrong `model`, which is or wraps the task's, is about each image of a batch on its device."""
        ...


def generators(seed: int, step: int, first: int, count: int) -> tuple[torch.Generator, ...]:
    """The chance of images `first` to before `first + count` of the whole batch of a step."""
    made = []
    for place in range(first, first + count):
        number = int(content_hash([seed, step, place])[:16], 16) & _MASK
        made.append(torch.Generator().manual_seed(number))
    return tuple(made)
