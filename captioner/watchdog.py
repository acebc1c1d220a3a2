"""Stops rows of a batch that repeat themselves while they are being decoded.

A row stops when its last tokens are a block of 1 to LONGEST_PERIOD tokens repeated side by side often enough. It is
looked at every LOOK_EVERY new tokens, counted from the prompt's end: where a row stops depends on that row alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

LONGEST_PERIOD = 40  # tokens
COPIES = 3
SHORTEST_RUN = 24  # tokens: short blocks must be repeated until they fill so many
LOOK_EVERY = 8  # tokens: each look copies the tail of the batch from the accelerator


def copies_needed(period: int) -> int:
    """So many copies of a block of `period` tokens, side by side, are a loop."""
    return max(COPIES, math.ceil(SHORTEST_RUN / period))


TAIL = max(period * copies_needed(period) for period in range(1, LONGEST_PERIOD + 1))


def looping(tail: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which rows of `tail` (rows x newest tokens, the newest last) end in a loop."""
    rows, length = tail.shape
    found = np.zeros(rows, dtype=bool)
    for period in range(1, min(LONGEST_PERIOD, length // COPIES) + 1):
        span = period * copies_needed(period)
        if span <= length:
            window = tail[:, length - span :]
            found |= (window[:, period:] == window[:, :-period]).all(axis=1)
    return found


class Watchdog:
    """A stopping criterion of `generate`: returns, row by row, whether to stop. One object serves one call.

    `stopped` holds, for each row it ended, how many new tokens that row has.
    """

    def __init__(self, prompt_tokens: int, end_ids: Collection[int]) -> None:
        self.prompt_tokens = prompt_tokens
        self.end_ids = np.array(sorted(end_ids), dtype=np.int64)
        self.stopped: dict[int, int] = {}
        self._done: Any = None

    def __call__(self, input_ids: Any, scores: Any = None, **_unused: Any) -> Any:
        import torch

        if self._done is None:
            self._done = torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
        new = input_ids.shape[1] - self.prompt_tokens
        if new >= COPIES and new % LOOK_EVERY == 0:
            fresh = self._look(input_ids[:, self.prompt_tokens :], new)
            if fresh:
                self._done[fresh] = True
        return self._done.clone()

    def _look(self, tokens: Any, new: int) -> list[int]:
        """Rows that loop now and did not before. Rows that ended by themselves are padded: padding is no loop."""
        tail = tokens[:, -TAIL:].cpu().numpy()
        found = np.flatnonzero(looping(tail))
        fresh = [int(row) for row in found if int(row) not in self.stopped]
        if fresh:
            # A row that ended shows it inside its tail or before it: all the new tokens are looked through.
            ended = np.isin(tokens[fresh].cpu().numpy(), self.end_ids).any(axis=1)
            fresh = [row for row, is_over in zip(fresh, ended, strict=True) if not is_over]
        self.stopped.update(dict.fromkeys(fresh, new))
        return fresh
