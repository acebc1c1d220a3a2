"""Keys and values of the tokens so far, in buffers that grow by steps: transformers' own cache makes new tensors of all
of them at every token, which costs a tenth of a small model's time and twice the memory of a large one's.

Serves transformers_engine.py; what models see of it is transformers' DynamicCache.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

#: Tokens by which a buffer grows.
STEP = 64


class GrowingLayer(DynamicLayer):
    """One layer's keys and values (n, heads, tokens, width): the first tokens of buffers with room for more."""

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Called at the first tokens."""
        super().lazy_initialization(key_states, value_states)
        self._buffers: list[torch.Tensor] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """All keys and values, the new ones last."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        first = self.get_seq_length()
        last = first + key_states.shape[-2]
        self.keys, self.values = (
            self._filled(place, old, new, first, last)
            for place, (old, new) in enumerate(((self.keys, key_states), (self.values, value_states)))
        )
        return self.keys, self.values

    def _filled(self, place: int, old: torch.Tensor, new: torch.Tensor, first: int, last: int) -> torch.Tensor:
        # Whoever selected rows or cropped has left tensors of its own in `old`: those no longer lie in the buffer.
        buffer = self._buffers[place] if place < len(self._buffers) else None
        inside = buffer is not None and old.data_ptr() == buffer.data_ptr() and len(old) == len(buffer)
        if buffer is None or not inside or last > buffer.shape[-2]:
            size = -(-last // STEP) * STEP
            buffer = new.new_empty(*new.shape[:-2], size, new.shape[-1])
            if first:
                buffer[..., :first, :] = old
            self._buffers[place : place + 1] = [buffer]
        buffer[..., first:last, :] = new
        return buffer[..., :last, :]


def growing_cache(model: Any) -> DynamicCache:
    """An empty cache for `model`; layers that keep a window of tokens, or anything else, stay transformers' own."""
    cache = DynamicCache(config=model.config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
