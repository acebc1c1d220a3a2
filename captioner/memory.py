"""How many pictures go into one batch: asked of the accelerator's memory by measuring one and two pictures.

Knows nothing of models: what is measured comes in as functions, so that the arithmetic is tested without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

CPU_BATCH = 8
#: A CPU's batch for models of so few parameters: their time goes into single steps, which serve any number of rows.
SMALL_MODEL, SMALL_MODEL_BATCH = 100_000_000, 64
LARGEST_BATCH = 512
#: Share of the free memory that batches may fill; the rest is for fragmentation and for other processes' growth.
MEMORY_SHARE = 0.85


def cpu_batch(parameters: int) -> int:
    """How many pictures a model of so many parameters captions together on a CPU."""
    return SMALL_MODEL_BATCH if parameters < SMALL_MODEL else CPU_BATCH


def ladder() -> Iterator[int]:
    """Batch sizes that are used: powers of two and the steps half-way between them (1, 2, 3, 4, 6, 8, 12, ...)."""
    size = 1
    while size <= LARGEST_BATCH:
        yield size
        if size >= 2 and size * 3 // 2 <= LARGEST_BATCH:
            yield size * 3 // 2
        size *= 2


def round_down(pictures: float) -> int:
    """The greatest size of the ladder that is not above `pictures`; 1 at least."""
    return max((size for size in ladder() if size <= pictures), default=1)


def extrapolate(one_bytes: int, two_bytes: int, extra_bytes: int, free_bytes: int) -> int:
    """The batch that fits.

    `one_bytes` and `two_bytes`: peaks of a batch of one and of two above the resting model; `extra_bytes`: what a
    picture will need further on (its cache at the longest caption); `free_bytes`: memory free above the model.
    """
    growth = max(two_bytes - one_bytes, 1) + extra_bytes
    fixed = max(one_bytes - (two_bytes - one_bytes), 0)
    return round_down((free_bytes * MEMORY_SHARE - fixed) / growth)


def probe(peak: Callable[[int], int], extra_bytes: int, free: Callable[[], int]) -> int:
    """Measures with `peak(n)` (bytes that a batch of n takes at its peak) and returns the batch size."""
    peak(1)  # the first call also loads kernels and workspaces
    one = peak(1)
    two = peak(2)
    return extrapolate(one, two, extra_bytes, free())


def cuda_peak(run: Callable[[int], Any], device: Any) -> Callable[[int], int]:
    """`peak` for a CUDA device: runs a batch and reads torch's own count of bytes."""
    import torch

    def peak(pictures: int) -> int:
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run(pictures)
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device) - before)

    return peak


def cuda_free(device: Any) -> int:
    """Bytes that the driver still gives, and those that torch holds without using them."""
    import torch

    torch.cuda.empty_cache()
    free, _total = torch.cuda.mem_get_info(device)
    idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + idle)


def cache_bytes_per_token(text_config: Any, bytes_per_number: int) -> int:
    """Keys and values of one token in all layers."""
    heads = text_config.num_attention_heads
    kept = getattr(text_config, "num_key_value_heads", None) or heads
    width = getattr(text_config, "head_dim", None) or text_config.hidden_size // heads
    return int(2 * text_config.num_hidden_layers * kept * width * bytes_per_number)
