"""The processes of a run: one, or as many as `torchrun` or `accelerate launch` started, on GPUs or on a CPU.

accelerate joins them. Leaves out: how a step is shared (loop.py).
"""

from __future__ import annotations

import atexit
import functools
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import torch

T = TypeVar("T")

#: Features of a large data set take long, and one process may be done hours before another.
PATIENCE = timedelta(days=7)


def on_cpu() -> bool:
    """Whether there is nothing better."""
    return not torch.accelerator.is_available()


def join() -> tuple[int, int]:
    """(number of this process, how many there are); joins the others at its first call."""
    from accelerate import PartialState

    state = PartialState(cpu=on_cpu(), timeout=PATIENCE)
    _leave_at_exit()
    return int(state.process_index), int(state.num_processes)


@functools.cache
def _leave_at_exit() -> None:
    """Ends the threads that carry what processes tell each other while Python still runs: torch asks for it, and one
    that meets the end of another process later could abort this one."""

    def leave() -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    atexit.register(leave)


def device() -> torch.device:
    """The device that is this process's own."""
    from accelerate import PartialState

    join()
    found: torch.device = PartialState().device
    return found


def mine(items: Sequence[T]) -> Sequence[T]:
    """This process's part of some work; together the processes have all of it, and none twice."""
    rank, ranks = join()
    return items[rank::ranks]


def wait() -> None:
    """Goes on when all processes have come so far."""
    from accelerate import PartialState

    join()
    PartialState().wait_for_everyone()


def is_first() -> bool:
    """Whether this process is the one that writes and tells."""
    return join()[0] == 0
