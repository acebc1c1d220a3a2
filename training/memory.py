"""What does not fit into an accelerator's memory while a model learns, and what to do about it. Serves the loop.

Leaves out: what a run would need, told before it starts (preflight.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from core.errors import OutOfMemoryError
from training.recipe import Recipe

#: (what it is, what to do) of all but a part of a batch.
WEIGHTS = (
    "The weights, their gradients and averages and what the optimiser remembers do not fit",
    "run.shard=true spreads them over several processes (AdamW); optimiser.name=adamw8bit and run.ema=0 need less, in "
    "a new folder where a state was saved.",
)
WATCHES = (
    "The measurement or the previews do not fit",
    "Nothing is lost: call it again with previews.every=0 or validation.every=0, or with a lower previews.count.",
)


@contextlib.contextmanager
def room(device: torch.device, what: str, hint: str) -> Iterator[None]:
    """While it lasts, `what` needs more memory than the device has raises OutOfMemoryError with this hint."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(f"{what} into the memory of {device}.", hint=hint) from error


def part_of(recipe: Recipe, size: int) -> tuple[str, str]:
    """(what it is, what to do) of a part of `size` images: fields that the same run may go on with."""
    parts, share = recipe.run.accumulate, recipe.run.accumulate * size
    ways = [f"run.accumulate={more}" for more in range(2 * parts, share + 1) if share % more == 0][:1]
    if not recipe.run.checkpointing and recipe.method != "classifier":
        ways.append("run.checkpointing=true")
    hint = f"Call it again with {' or '.join(ways)}: it goes on where it stopped."
    if not ways:
        hint = "It is as small as it can be: lower data.resolution or choose a smaller model, in a new folder."
    return f"A part of {size} images does not fit", hint
