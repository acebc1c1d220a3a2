"""A model that is spread over the processes of a run (`run.shard`): torch's FSDP 2, a part of every weight in each.

Its weights are DTensors, and so are their gradients, averages and optimisers' states. Leaves out: what is written to
the disk, which is whole (states.py).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from core.errors import TrainingStoppedError


def shard(model: nn.Module, device: torch.device) -> None:
    """Spreads the model, block by block, over all processes. Raises TrainingStoppedError where there is one alone."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    if not dist.is_initialized() or dist.get_world_size() == 1:
        raise TrainingStoppedError(
            "run.shard is true, and this run has one process: there is nothing to spread the model over.",
            hint="Start it with torchrun --nproc-per-node N -m cli.main train …, or leave run.shard out.",
        )
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    blocks = list(getattr(model, "transformer_blocks", ()))
    weights = [id(each) for block in blocks for each in block.parameters()]
    # A DiT's blocks share their embedders, and what is shared can be in one unit only.
    for block in blocks if len(weights) == len(set(weights)) else ():
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(value: torch.Tensor) -> torch.Tensor:
    """All of a tensor, in every process; all of them must call it."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def fill(into: torch.Tensor, value: torch.Tensor) -> None:
    """Writes a whole tensor into one that may be spread; all processes must call it."""
    value = value.to(into.device)
    if isinstance(into, DTensor):
        value = distribute_tensor(value, into.device_mesh, into.placements)
    into.copy_(value)


def collect_at_last(model: Any, last: bool) -> None:
    """Whether the next backward pass adds the gradients of all processes: at the last part of a batch alone."""
    model.set_requires_gradient_sync(last)
