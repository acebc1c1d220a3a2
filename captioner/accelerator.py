"""What an accelerator's errors mean: too little memory (halve the batch), or a lost device (end the process).

CUDA says both in several ways, and not all have a class of their own.
"""

from __future__ import annotations

#: Words of errors that tell of too little memory, in lower case. cuBLAS finds no workspace when memory is full.
_MEMORY_WORDS = ("out of memory", "cublas_status_alloc_failed", "can't allocate memory", "not enough memory")
_LOST_WORDS = ("cuda error", "cudnn error", "cublas error", "nccl error", "hip error")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may go through."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _MEMORY_WORDS)
    )


def is_fatal(error: BaseException) -> bool:
    """Whether the device's context is lost: every later call of this process would fail too."""
    import torch

    if is_out_of_memory(error):
        return False
    lost = getattr(torch, "AcceleratorError", ())
    return isinstance(error, lost) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _LOST_WORDS)
    )
