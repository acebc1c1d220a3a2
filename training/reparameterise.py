"""A PixArt made of a DiT: what the class-conditional model knows of pixels is where the text model begins.

PixArt-alpha, section 2.3 (arXiv 2310.00426): one MLP makes shifts and scales of all blocks from the time step alone
(adaLN-single), and every block adds a table of its own. The tables are set so that at one time step, t = 500, each
block gets what the DiT's block got *without class condition*; cross-attention begins with a zero output. So at t = 500
the PixArt says exactly what the DiT says, whatever the caption: a test proves it.

What the paper leaves open: the MLP's own weights (here the mean of the blocks' MLPs, which makes the tables smallest),
and what "without class condition" means: `zero`, a zero vector in place of the class, or `null`, the class that stands
for no class and that classifier-free guidance trains.

Where diffusers' classes differ: half of a time step's 256 channels are cosines, half sines, of 128 frequencies from 1
down. In PixArt, and in DiT's own code, the last is 10000^(-127/128) (`downscale_freq_shift` 0); in diffusers' DiT it is
1/10000 (1). So one embedder, taken over from diffusers' DiT, hears another step: the two projections have a cosine of
0.93 at t = 300, 0.82 at 500, 0.68 at 700, 0.55 at 900. At the chosen step the tables absorb it; elsewhere training
must. A DiT of DiT's own names is heard by its own frequencies (`hear_own_times`), and both hear the same at every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from core.errors import BadFieldError
from training.models import initialise

if TYPE_CHECKING:
    from diffusers import DiTTransformer2DModel, PixArtTransformer2DModel

WithoutClass = Literal["zero", "null"]

#: Parts that are taken over as they are: block by block, and of the whole model.
_BLOCK = ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "ff.net.0.proj", "ff.net.2")


@torch.no_grad()
def pixart_from_dit(
    source: DiTTransformer2DModel,
    *,
    text: int,
    at: int = 500,
    without: WithoutClass = "null",
    side: int | None = None,
) -> PixArtTransformer2DModel:
    """The PixArt that begins where `source` ended. `text`: channels of the text encoder; `at`: the time step; `side`:
    of the latent where it is not the DiT's; positions are then scaled, so that the DiT's own stay what they were.

    Raises BadFieldError where the DiT has no class for no class and `without` asks for it.
    """
    from diffusers import PixArtTransformer2DModel

    was = source.config
    made = PixArtTransformer2DModel(
        num_attention_heads=was.num_attention_heads,
        attention_head_dim=was.attention_head_dim,
        num_layers=was.num_layers,
        in_channels=was.in_channels,
        out_channels=source.out_channels,
        cross_attention_dim=source.inner_dim,
        caption_channels=text,
        sample_size=side or was.sample_size,
        patch_size=was.patch_size,
        interpolation_scale=(side or was.sample_size) / was.sample_size,
        attention_bias=was.attention_bias,
        norm_eps=was.norm_eps,
        use_additional_conditions=False,
    )
    initialise(made)
    state = source.state_dict()
    taken = {f"pos_embed.proj.{kind}": state[f"pos_embed.proj.{kind}"] for kind in ("weight", "bias")}
    taken |= {f"proj_out.{kind}": state[f"proj_out_2.{kind}"] for kind in ("weight", "bias")}
    for number in range(was.num_layers):
        for part in _BLOCK:
            for kind in ("weight", "bias"):
                name = f"transformer_blocks.{number}.{part}.{kind}"
                if name in state:
                    taken[name] = state[name]
    first = "transformer_blocks.0.norm1.emb.timestep_embedder."
    for name in (name for name in state if name.startswith(first)):
        taken[f"adaln_single.emb.timestep_embedder.{name.removeprefix(first)}"] = state[name]
    unknown = set(made.load_state_dict(taken, strict=False).unexpected_keys)
    assert not unknown, unknown
    if source.dtype != made.dtype:  # diffusers warns of every cast
        made.to(source.dtype)
    _set_tables(source, made, at, without)
    return made


def hear_own_times(model: DiTTransformer2DModel) -> None:
    """Makes a DiT whose weights DiT's own code trained hear time steps as it did there. Not kept when it is saved."""
    for block in model.transformer_blocks:
        block.norm1.emb.time_proj.downscale_freq_shift = 0


def _set_tables(source: DiTTransformer2DModel, made: PixArtTransformer2DModel, at: int, without: WithoutClass) -> None:
    mlps = [block.norm1.linear for block in source.transformer_blocks]
    single = made.adaln_single
    single.linear.weight.copy_(torch.stack([mlp.weight for mlp in mlps]).mean(0))
    single.linear.bias.copy_(torch.stack([mlp.bias for mlp in mlps]).mean(0))
    time = torch.tensor([at], device=single.linear.weight.device)
    shared, embedded = single(time, hidden_dtype=single.linear.weight.dtype)
    for block, mine in zip(source.transformer_blocks, made.transformer_blocks, strict=True):
        modulation = block.norm1.linear(functional.silu(_condition(block.norm1.emb, time, without)))
        mine.scale_shift_table.copy_((modulation - shared).view_as(mine.scale_shift_table))
    last = source.proj_out_1(functional.silu(_condition(source.transformer_blocks[0].norm1.emb, time, without)))
    made.scale_shift_table.copy_(last.view_as(made.scale_shift_table) - embedded)


def _condition(embedder: torch.nn.Module, time: torch.Tensor, without: WithoutClass) -> torch.Tensor:
    """What a DiT's block is told at this time step and of no class, (1, width)."""
    table = embedder.class_embedder.embedding_table.weight
    told = embedder.timestep_embedder(embedder.time_proj(time).to(table.dtype))
    if without == "zero":
        return told
    classes = embedder.class_embedder.num_classes
    if len(table) <= classes:
        raise BadFieldError(
            "This DiT was trained without a class for no class.", hint="Set model.without_class to zero in the recipe."
        )
    return told + table[classes]
