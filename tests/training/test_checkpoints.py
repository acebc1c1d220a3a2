"""Checkpoints by DiT's and PixArt's own names: there and back, nothing left over, nothing unknown taken."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DiTTransformer2DModel, PixArtTransformer2DModel

from core.errors import BadCheckpointError
from training.checkpoints import (
    dit_from_diffusers,
    dit_to_diffusers,
    is_original,
    pixart_from_diffusers,
    pixart_to_diffusers,
)
from training.models import Size, dit

SMALL = {"num_attention_heads": 2, "attention_head_dim": 18, "num_layers": 2}


def small_pixart(**more: Any) -> PixArtTransformer2DModel:
    torch.manual_seed(0)
    return PixArtTransformer2DModel(**SMALL, cross_attention_dim=36, caption_channels=24, sample_size=8, **more)


@pytest.mark.parametrize("conditions", [False, True])
def test_pixart_goes_to_its_own_names_and_back(conditions: bool) -> None:
    state = small_pixart(use_additional_conditions=conditions).state_dict()
    original = pixart_from_diffusers(state)
    assert is_original(original)
    assert not is_original(state)
    assert ("csize_embedder.mlp.0.weight" in original) == conditions
    assert original["blocks.1.attn.qkv.weight"].shape == (3 * 36, 36)
    assert original["blocks.1.cross_attn.kv_linear.bias"].shape == (2 * 36,)
    back = pixart_to_diffusers(original)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_what_diffusers_has_no_place_for_is_left_out_of_pixart_and_nothing_else() -> None:
    original = pixart_from_diffusers(small_pixart().state_dict())
    extra = {"pos_embed": torch.zeros(1), "y_embedder.y_embedding": torch.zeros(120, 24)}
    assert pixart_to_diffusers(original | extra).keys() == pixart_to_diffusers(original).keys()
    with pytest.raises(BadCheckpointError, match=r"1 keys .* blocks\.0\.new\.weight"):
        pixart_to_diffusers(original | {"blocks.0.new.weight": torch.zeros(1)})


def test_dit_goes_to_its_own_names_and_back_with_its_embedder_in_every_block() -> None:
    torch.manual_seed(0)
    state = dit(Size(2, 2, 16, side=8), classes=5, learn_sigma=True).state_dict()
    original = dit_from_diffusers(state)
    assert sum(name.startswith("t_embedder.") for name in original) == 4
    assert original["y_embedder.embedding_table.weight"].shape == (6, 32)
    back = dit_to_diffusers(original | {"pos_embed": torch.zeros(1)})
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_a_dit_whose_embedders_drifted_apart_has_no_original_names() -> None:
    model = DiTTransformer2DModel(**SMALL, sample_size=8, num_embeds_ada_norm=5)
    with pytest.raises(BadCheckpointError, match=r"transformer_blocks\.1\.norm1\.emb"):
        dit_from_diffusers(model.state_dict())


def test_query_key_and_value_come_apart_in_this_order() -> None:
    state = small_pixart().state_dict()
    fused = pixart_from_diffusers(state)["blocks.0.attn.qkv.weight"]
    names = [f"transformer_blocks.0.attn1.to_{part}.weight" for part in "qkv"]
    assert torch.equal(fused, torch.cat([state[name] for name in names]))
