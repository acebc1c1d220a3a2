"""What moves the weights: AdamW, its 8-bit form, or Muon for the blocks' matrices with AdamW for the rest.

Weight decay is for the matrices of linear layers and convolutions alone: vectors, norms, tables and embeddings have
none. Muon's are those inside the blocks; what embeds (a time, too, which in a DiT's class lies in the blocks), the
first and the last projection and all of a classifier, which has no such blocks, are AdamW's. Rates follow from the
step's number and nothing else, so that a resume has no schedule to restore. Leaves out: gradients (loop.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from core.errors import MissingPackageError
from training.recipe import Optimiser

#: Of Muon (torch's own default): how much of the direction before stays.
MOMENTUM = 0.95


def optimisers(model: nn.Module, recipe: Optimiser) -> list[torch.optim.Optimizer]:
    """One or two optimisers over all of the model's weights. Raises MissingPackageError."""
    matrices = dict(_block_matrices(model)) if recipe.name == "muon" else {}
    rest = [(name, each) for name, each in model.named_parameters() if name not in matrices and each.requires_grad]
    decayed = set(_decayed(model))
    groups = [
        {"params": [each for name, each in rest if name in decayed], "weight_decay": recipe.weight_decay},
        {"params": [each for name, each in rest if name not in decayed], "weight_decay": 0.0},
    ]
    kind = _adamw8bit() if recipe.name == "adamw8bit" else torch.optim.AdamW
    made: list[torch.optim.Optimizer] = [kind(groups, lr=recipe.rate, betas=recipe.betas, eps=recipe.eps)]
    if matrices:
        made.append(
            torch.optim.Muon(
                matrices.values(),
                lr=recipe.matrix_rate,
                weight_decay=recipe.weight_decay,
                momentum=MOMENTUM,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    for group in (group for each in made for group in each.param_groups):
        group["full_rate"] = group["lr"]
    return made


def _block_matrices(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights of linear layers in the blocks, by name: what Muon is for."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and "transformer_blocks" in name and ".emb." not in name:
            yield f"{name}.weight", module.weight


def _decayed(model: nn.Module) -> Iterator[str]:
    """The names of weights that are multiplied with what they are given. A table, whatever its shape, is added."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            yield f"{name}.weight"


def _adamw8bit() -> Any:
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise MissingPackageError(
            "The optimiser adamw8bit needs the package bitsandbytes, which is not installed.",
            hint="pip install 'densify[quantize]', or set optimiser.name to adamw.",
        ) from error
    return AdamW8bit


def share_of_rate(recipe: Optimiser, step: int, steps: int) -> float:
    """What part of its full rate step `step` of `steps` has, from 0: above 0, at most 1."""
    if step < recipe.warmup:
        return (step + 1) / (recipe.warmup + 1)
    if recipe.schedule == "cosine":
        done = (step - recipe.warmup) / max(1, steps - recipe.warmup)
        return max(1e-8, 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
    if recipe.schedule == "decay":
        return max(1e-8, min(1.0, (steps - step) / max(1.0, recipe.decay_share * steps)))
    return 1.0


def set_rates(made: Sequence[Any], share: float) -> None:
    """Gives every group this share of the rate that it was made with."""
    for optimiser in made:
        for group in optimiser.param_groups:
            group["lr"] = group["full_rate"] * share
