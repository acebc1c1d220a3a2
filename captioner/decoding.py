"""Tokens for a batch by transformers' `generate`, from which rows that have ended leave.

`generate` goes on with all rows until the longest caption ends, and a row that ended early costs as much as any other.
Here it stops when half of its rows have ended, and goes on with the others, whose keys and values are kept; captions
stay what they were. Serves transformers_engine.py; leaves out memory and what tokens mean.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch

from captioner.cache import growing_cache
from captioner.watchdog import Watchdog

#: Rows below which nobody leaves: what is saved would not pay for calling `generate` again.
FEWEST = 8


class Leaving:
    """A stopping criterion: ends a call of `generate` for all rows when half of them, or more, have ended."""

    def __init__(self, prompt_tokens: int, end_ids: Collection[int], watchdog: Watchdog) -> None:
        self._first, self._watchdog = prompt_tokens, watchdog
        self._end_ids = torch.tensor(sorted(end_ids))
        self._ended: Any = None

    def __call__(self, input_ids: torch.Tensor, scores: Any = None, **_unused: Any) -> torch.Tensor:
        newest = torch.isin(input_ids[:, -1], self._end_ids.to(input_ids.device))
        self._ended = newest if self._ended is None else self._ended | newest
        ended = int(self._ended.sum()) + len(self._watchdog.stopped)
        leave = input_ids.shape[1] > self._first and 2 * ended >= len(input_ids)
        return torch.full((len(input_ids),), leave, dtype=torch.bool, device=input_ids.device)


def decode(
    model: Any, inputs: dict[str, torch.Tensor], asked: Sequence[Any], *, max_new_tokens: int, end_ids: Collection[int]
) -> list[tuple[list[int], int | None]]:
    """For each row its new tokens, and how many of them there were when the watchdog ended it (None: it did not).

    `inputs`: what the processor made, on the model's device, `input_ids` (rows, prompt) among them; `asked`: logits
    processors, which tell rows apart by their place, so that with any of them nobody leaves.
    """
    prompt_tokens = inputs["input_ids"].shape[1]
    found: list[tuple[list[int], int | None]] = [([], None)] * len(inputs["input_ids"])
    rows = list(range(len(found)))
    cache = growing_cache(model)
    while rows:
        before = inputs["input_ids"].shape[1]
        watchdog = Watchdog(prompt_tokens, end_ids)
        criteria: list[Any] = [watchdog]
        may_leave = not asked and len(rows) >= FEWEST
        if may_leave:
            criteria.append(Leaving(before, end_ids, watchdog))
        output = model.generate(
            **inputs,
            past_key_values=cache,
            max_new_tokens=max_new_tokens - (before - prompt_tokens),
            logits_processor=list(asked),
            stopping_criteria=criteria,
        )
        new = output[:, prompt_tokens:].tolist()
        left = []
        for at, row in enumerate(rows):
            ended = at in watchdog.stopped or any(token in end_ids for token in new[at])
            if may_leave and not ended and len(new[at]) < max_new_tokens:
                left.append(at)
            else:
                found[row] = new[at], watchdog.stopped.get(at)
        rows = [rows[at] for at in left]
        if rows:
            kept = torch.tensor(left, device=output.device)
            cache.batch_select_indices(kept)
            mask = inputs["attention_mask"][kept]
            grown = mask.new_ones(len(kept), output.shape[1] - before)
            inputs = {"input_ids": output[kept], "attention_mask": torch.cat([mask, grown], dim=1)}
    return found
