"""PixArt's twin of the paper's ablation: adaLN with a projection in every block, where PixArt has adaLN-single.

Per block SiLU and Linear(D, 6D), Linear(D, 2D) at the end, no tables; the text enters the modulation as the mean of its
tokens through Linear(text, D), which makes 833,213,984 parameters: the paper's 833 million (arXiv 2310.00426, figure
6; that the text is pooled so is a reading that this number supports). Everything else is diffusers' PixArt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says, as diffusers' models return it."""

    sample: torch.Tensor


class AdaLn(nn.Module):
    """Made of a PixArtTransformer2DModel, whose parts it takes over; called as it is."""

    def __init__(self, plain: Any, text: int) -> None:
        super().__init__()
        width = plain.inner_dim
        self.config, self.out_channels = plain.config, plain.out_channels
        self.pos_embed, self.caption_projection = plain.pos_embed, plain.caption_projection
        self.blocks, self.norm_out, self.proj_out = plain.transformer_blocks, plain.norm_out, plain.proj_out
        self.time = plain.adaln_single.emb
        self.pooled = nn.Linear(text, width)
        for block in self.blocks:
            # A block adds its table to what it is told: here all that is told comes from its own projection.
            del block.scale_shift_table
            block.register_buffer("scale_shift_table", torch.zeros(6, width), persistent=False)
        self.modulate = nn.ModuleList(nn.Linear(width, 6 * width) for _ in self.blocks)
        self.last = nn.Linear(width, 2 * width)

    def forward(
        self,
        latents: torch.Tensor,
        *,
        encoder_hidden_states: torch.Tensor,
        encoder_attention_mask: torch.Tensor,
        timestep: torch.Tensor,
    ) -> Said:
        """As PixArtTransformer2DModel.forward: (n, c, h, w) latents, texts, which of their tokens count, times."""
        count, patch = len(latents), self.config.patch_size
        height, width = (side // patch for side in latents.shape[-2:])
        mask = encoder_attention_mask.to(latents.dtype)
        bias = ((1 - mask) * -10000.0).unsqueeze(1)
        mean = (encoder_hidden_states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        time = self.time(timestep, None, None, batch_size=count, hidden_dtype=latents.dtype)
        told = nn.functional.silu(time + self.pooled(mean))
        texts = self.caption_projection(encoder_hidden_states)
        hidden = self.pos_embed(latents)
        for block, modulate in zip(self.blocks, self.modulate, strict=True):
            hidden = block(hidden, encoder_hidden_states=texts, encoder_attention_mask=bias, timestep=modulate(told))
        shift, scale = self.last(told)[:, None].chunk(2, dim=2)
        hidden = self.proj_out(self.norm_out(hidden) * (1 + scale) + shift)
        pixels = hidden.reshape(count, height, width, patch, patch, self.out_channels)
        pixels = torch.einsum("nhwpqc->nchpwq", pixels)
        return Said(pixels.reshape(count, self.out_channels, height * patch, width * patch))
