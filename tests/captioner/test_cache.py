"""Keys and values in growing buffers are those that transformers' own cache keeps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, MistralConfig
from transformers.cache_utils import DynamicCache

from captioner.cache import STEP, GrowingLayer, growing_cache


@pytest.fixture
def model() -> SimpleNamespace:
    return SimpleNamespace(config=LlamaConfig(num_hidden_layers=2))


def tokens(count: int, rows: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, 2, count, 4, generator=torch.Generator().manual_seed(seed))


def test_what_is_kept_is_what_transformers_keeps_over_many_growths(model):
    ours, theirs = growing_cache(model), DynamicCache(config=model.config)
    for step in range(3 * STEP):
        new = tokens(7 if step == 0 else 1, seed=step)
        for layer in range(2):
            mine, plain = ours.update(new, 2 * new, layer), theirs.update(new, 2 * new, layer)
            assert all(torch.equal(a, b) for a, b in zip(mine, plain, strict=True))
    assert ours.get_seq_length() == theirs.get_seq_length() == 3 * STEP + 6


def test_a_token_is_written_in_place_and_moves_nothing_else(model):
    cache = growing_cache(model)
    before = cache.update(tokens(3), tokens(3), 0)[0].data_ptr()
    after = [cache.update(tokens(1), tokens(1), 0)[0].data_ptr() for _ in range(STEP - 3)]
    assert set(after) == {before}
    assert cache.update(tokens(1), tokens(1), 0)[0].data_ptr() != before


@pytest.mark.parametrize("change", ["rows", "crop"])
def test_rows_that_are_selected_and_tokens_that_are_cropped_stay_right(model, change):
    ours, theirs = growing_cache(model), DynamicCache(config=model.config)
    for cache in (ours, theirs):
        cache.update(tokens(5), tokens(5, seed=1), 0)
        cache.update(tokens(5), tokens(5, seed=1), 1)
        if change == "rows":
            cache.batch_select_indices(torch.tensor([2, 0]))
        else:
            cache.crop(-2)
    new = tokens(1, rows=2 if change == "rows" else 3, seed=9)
    for mine, plain in zip(ours.update(new, new, 0), theirs.update(new, new, 0), strict=True):
        assert torch.equal(mine, plain)


def test_layers_that_keep_a_window_stay_transformers_own():
    windowed = SimpleNamespace(config=MistralConfig(num_hidden_layers=1, sliding_window=8))
    assert not any(isinstance(layer, GrowingLayer) for layer in growing_cache(windowed).layers)
