"""Checkpoints by DiT's and PixArt's own names: there and back, nothing left over, nothing unknown taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
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

#: Names of DiT's own code (facebookresearch/DiT, models.py), of a model of one block, and where each goes.
DIT_NAMES = {
    "x_embedder.proj.weight": "pos_embed.proj.weight",
    "x_embedder.proj.bias": "pos_embed.proj.bias",
    "t_embedder.mlp.0.weight": "transformer_blocks.0.norm1.emb.timestep_embedder.linear_1.weight",
    "t_embedder.mlp.0.bias": "transformer_blocks.0.norm1.emb.timestep_embedder.linear_1.bias",
    "t_embedder.mlp.2.weight": "transformer_blocks.0.norm1.emb.timestep_embedder.linear_2.weight",
    "t_embedder.mlp.2.bias": "transformer_blocks.0.norm1.emb.timestep_embedder.linear_2.bias",
    "y_embedder.embedding_table.weight": "transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight",
    "pos_embed": None,
    "blocks.0.attn.qkv.weight": "transformer_blocks.0.attn1.to_{qkv}.weight",
    "blocks.0.attn.qkv.bias": "transformer_blocks.0.attn1.to_{qkv}.bias",
    "blocks.0.attn.proj.weight": "transformer_blocks.0.attn1.to_out.0.weight",
    "blocks.0.attn.proj.bias": "transformer_blocks.0.attn1.to_out.0.bias",
    "blocks.0.mlp.fc1.weight": "transformer_blocks.0.ff.net.0.proj.weight",
    "blocks.0.mlp.fc1.bias": "transformer_blocks.0.ff.net.0.proj.bias",
    "blocks.0.mlp.fc2.weight": "transformer_blocks.0.ff.net.2.weight",
    "blocks.0.mlp.fc2.bias": "transformer_blocks.0.ff.net.2.bias",
    "blocks.0.adaLN_modulation.1.weight": "transformer_blocks.0.norm1.linear.weight",
    "blocks.0.adaLN_modulation.1.bias": "transformer_blocks.0.norm1.linear.bias",
    "final_layer.linear.weight": "proj_out_2.weight",
    "final_layer.linear.bias": "proj_out_2.bias",
    "final_layer.adaLN_modulation.1.weight": "proj_out_1.weight",
    "final_layer.adaLN_modulation.1.bias": "proj_out_1.bias",
}
#: Names of PixArt's own code (PixArt-alpha/PixArt-alpha, diffusion/model/nets/PixArtMS.py), the same way.
PIXART_NAMES = {
    "x_embedder.proj.weight": "pos_embed.proj.weight",
    "x_embedder.proj.bias": "pos_embed.proj.bias",
    "pos_embed": None,
    "t_embedder.mlp.0.weight": "adaln_single.emb.timestep_embedder.linear_1.weight",
    "t_embedder.mlp.0.bias": "adaln_single.emb.timestep_embedder.linear_1.bias",
    "t_embedder.mlp.2.weight": "adaln_single.emb.timestep_embedder.linear_2.weight",
    "t_embedder.mlp.2.bias": "adaln_single.emb.timestep_embedder.linear_2.bias",
    "t_block.1.weight": "adaln_single.linear.weight",
    "t_block.1.bias": "adaln_single.linear.bias",
    "csize_embedder.mlp.0.weight": "adaln_single.emb.resolution_embedder.linear_1.weight",
    "csize_embedder.mlp.0.bias": "adaln_single.emb.resolution_embedder.linear_1.bias",
    "csize_embedder.mlp.2.weight": "adaln_single.emb.resolution_embedder.linear_2.weight",
    "csize_embedder.mlp.2.bias": "adaln_single.emb.resolution_embedder.linear_2.bias",
    "ar_embedder.mlp.0.weight": "adaln_single.emb.aspect_ratio_embedder.linear_1.weight",
    "ar_embedder.mlp.0.bias": "adaln_single.emb.aspect_ratio_embedder.linear_1.bias",
    "ar_embedder.mlp.2.weight": "adaln_single.emb.aspect_ratio_embedder.linear_2.weight",
    "ar_embedder.mlp.2.bias": "adaln_single.emb.aspect_ratio_embedder.linear_2.bias",
    "y_embedder.y_embedding": None,
    "y_embedder.y_proj.fc1.weight": "caption_projection.linear_1.weight",
    "y_embedder.y_proj.fc1.bias": "caption_projection.linear_1.bias",
    "y_embedder.y_proj.fc2.weight": "caption_projection.linear_2.weight",
    "y_embedder.y_proj.fc2.bias": "caption_projection.linear_2.bias",
    "blocks.0.scale_shift_table": "transformer_blocks.0.scale_shift_table",
    "blocks.0.attn.qkv.weight": "transformer_blocks.0.attn1.to_{qkv}.weight",
    "blocks.0.attn.qkv.bias": "transformer_blocks.0.attn1.to_{qkv}.bias",
    "blocks.0.attn.proj.weight": "transformer_blocks.0.attn1.to_out.0.weight",
    "blocks.0.attn.proj.bias": "transformer_blocks.0.attn1.to_out.0.bias",
    "blocks.0.cross_attn.q_linear.weight": "transformer_blocks.0.attn2.to_q.weight",
    "blocks.0.cross_attn.q_linear.bias": "transformer_blocks.0.attn2.to_q.bias",
    "blocks.0.cross_attn.kv_linear.weight": "transformer_blocks.0.attn2.to_{kv}.weight",
    "blocks.0.cross_attn.kv_linear.bias": "transformer_blocks.0.attn2.to_{kv}.bias",
    "blocks.0.cross_attn.proj.weight": "transformer_blocks.0.attn2.to_out.0.weight",
    "blocks.0.cross_attn.proj.bias": "transformer_blocks.0.attn2.to_out.0.bias",
    "blocks.0.mlp.fc1.weight": "transformer_blocks.0.ff.net.0.proj.weight",
    "blocks.0.mlp.fc1.bias": "transformer_blocks.0.ff.net.0.proj.bias",
    "blocks.0.mlp.fc2.weight": "transformer_blocks.0.ff.net.2.weight",
    "blocks.0.mlp.fc2.bias": "transformer_blocks.0.ff.net.2.bias",
    "final_layer.linear.weight": "proj_out.weight",
    "final_layer.linear.bias": "proj_out.bias",
    "final_layer.scale_shift_table": "scale_shift_table",
}


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


@pytest.mark.parametrize(
    ("names", "convert"), [(DIT_NAMES, dit_to_diffusers), (PIXART_NAMES, pixart_to_diffusers)], ids=["dit", "pixart"]
)
def test_names_of_the_original_code_go_where_diffusers_has_them(
    names: dict[str, str | None], convert: Callable[[Mapping[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    state = {name: torch.full((6, 1), float(number)) for number, name in enumerate(names)}
    for name in (name for name in names if ".qkv." in name or ".kv_" in name):
        parts = 3 if ".qkv." in name else 2
        state[name] = state[name] + torch.arange(parts).repeat_interleave(6 // parts)[:, None] / 10
    found = convert(state)
    expected = {}
    for name, theirs in names.items():
        if theirs is None:
            continue
        fused = re.search(r"\{(.+)\}", theirs)
        letters = fused[1] if fused else ""
        for part, letter in enumerate(letters):
            expected[theirs.replace(f"{{{letters}}}", letter)] = float(state[name][0]) + part / 10
        if not letters:
            expected[theirs] = float(state[name][0])
    assert {name: round(float(value.unique()), 3) for name, value in found.items()} == {
        name: round(value, 3) for name, value in expected.items()
    }


def test_a_model_of_one_block_has_a_place_for_every_name_and_no_other() -> None:
    one = SMALL | {"num_layers": 1}
    pixart = PixArtTransformer2DModel(
        **one, cross_attention_dim=36, caption_channels=24, sample_size=8, use_additional_conditions=True
    )
    assert set(pixart_from_diffusers(pixart.state_dict())) == {name for name, theirs in PIXART_NAMES.items() if theirs}
    model = DiTTransformer2DModel(**one, sample_size=8, num_embeds_ada_norm=5)
    assert set(dit_from_diffusers(model.state_dict())) == {name for name, theirs in DIT_NAMES.items() if theirs}
