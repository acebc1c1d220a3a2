"""The models that learn: DiT for stage 1, PixArt for stages 2 and 3, as diffusers' classes, in named sizes.

Parameters, checked on the meta device in a test: PixArt-XL/2 has 610,856,096 at 256 pixels (the paper: 0.6 billion),
611,349,152 with size conditions. DiT-XL/2 has 749,826,464 in diffusers' class, which holds an embedder of time and
class in each of its 28 blocks where DiT has one for all; in training all blocks share the first one's
(`share_embedders`), and it is 674,834,720. Each of diffusers' 28 would also drop classes by a draw of its own, so that
one image is with its class in one block and without it in the next; here classes are dropped before they reach the
model. diffusers leaves the start to torch's defaults; here it is DiT's and PixArt's own (`initialise`). A time step is
told to diffusers' DiT by other frequencies than to diffusers' PixArt and to DiT's own code (reparameterise.py); trained
here it learns its own, and its class stays as it is, since plain diffusers is to draw with it. Leaves out: what turns a
DiT into a PixArt (reparameterise.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from diffusers import DiTTransformer2DModel, PixArtTransformer2DModel

#: Standard deviation of embedders' weights (DiT's and PixArt's `initialize_weights`).
EMBEDDER_STD = 0.02


@dataclass(frozen=True, slots=True)
class Size:
    """`width` = heads x head; `text`: channels of the text encoder (T5-v1.1-XXL 4096); `side`: of the latent."""

    layers: int
    heads: int
    head: int
    patch: int = 2
    text: int = 4096
    side: int = 32

    @property
    def width(self) -> int:
        """Channels of a token."""
        return self.heads * self.head


#: DiT's table 1 (arXiv 2212.09748), and the demo's, which reads the demo's own text encoder and 64-pixel images.
SIZES = {
    "XL/2": Size(28, 16, 72),
    "L/2": Size(24, 16, 64),
    "B/2": Size(12, 12, 64),
    "S/2": Size(12, 6, 64),
    "demo": Size(6, 4, 32, text=128, side=16),
}


def pixart(
    size: Size, *, side: int | None = None, channels: int = 4, learn_sigma: bool = False, conditions: bool = False
) -> PixArtTransformer2DModel:
    """A PixArt with its own initialisation. `side`: of the latent, where it is not the size's; `channels`: of it;
    `conditions`: it reads sizes (size_conditions.py)."""
    from diffusers import PixArtTransformer2DModel

    side = side or size.side
    model = PixArtTransformer2DModel(
        num_attention_heads=size.heads,
        attention_head_dim=size.head,
        num_layers=size.layers,
        in_channels=channels,
        out_channels=2 * channels if learn_sigma else channels,
        cross_attention_dim=size.width,
        caption_channels=size.text,
        sample_size=side,
        patch_size=size.patch,
        # Positions are those of the size's own side, so that weights go from one resolution to the next.
        interpolation_scale=side / size.side,
        # Left to itself, diffusers switches them on at a side of 128, and off elsewhere.
        use_additional_conditions=conditions,
    )
    initialise(model)
    return model


def dit(
    size: Size, classes: int, *, side: int | None = None, channels: int = 4, learn_sigma: bool = False
) -> DiTTransformer2DModel:
    """A class-conditional DiT; class `classes` stands for no class."""
    from diffusers import DiTTransformer2DModel

    model = DiTTransformer2DModel(
        num_attention_heads=size.heads,
        attention_head_dim=size.head,
        num_layers=size.layers,
        in_channels=channels,
        out_channels=2 * channels if learn_sigma else channels,
        sample_size=side or size.side,
        patch_size=size.patch,
        num_embeds_ada_norm=classes,
        # DiT's own, and PixArt's: with diffusers' default of 1e-5 the two would differ.
        norm_eps=1e-6,
    )
    initialise(model)
    share_embedders(model)
    return model


def share_embedders(model: DiTTransformer2DModel) -> None:
    """Makes all blocks use the first one's embedder, as DiT does, and leaves the dropping of classes to the caller."""
    first = model.transformer_blocks[0].norm1.emb
    first.class_embedder.dropout_prob = 0.0
    for block in model.transformer_blocks:
        block.norm1.emb = first


def separate_embedders(model: DiTTransformer2DModel) -> DiTTransformer2DModel:
    """The same model with an embedder of its own in every block, as diffusers saves and loads it."""
    apart = type(model).from_config(model.config)
    apart.load_state_dict(model.state_dict())
    weights = next(model.parameters())
    return apart.to(weights.device, weights.dtype).train(model.training)


def drop_classes(classes: torch.Tensor, dropped: torch.Tensor, model: DiTTransformer2DModel) -> torch.Tensor:
    """`classes` (n), the class for no class where `dropped` (n, bool)."""
    return torch.where(dropped, model.config.num_embeds_ada_norm, classes)


@torch.no_grad()
def initialise(model: DiTTransformer2DModel | PixArtTransformer2DModel) -> None:
    """DiT's and PixArt's start: every block begins as the identity (DiT: gates zero) and ignores captions (PixArt:
    cross-attention's output zero); what comes out is zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    patches = model.pos_embed.proj
    nn.init.xavier_uniform_(patches.weight.view(patches.weight.shape[0], -1))
    nn.init.zeros_(patches.bias)
    embedders = ("timestep_embedder", "caption_projection", "adaln_single.linear")
    for name, module in model.named_modules():
        if (isinstance(module, nn.Linear) and any(part in name for part in embedders)) or isinstance(
            module, nn.Embedding
        ):
            nn.init.normal_(module.weight, std=EMBEDDER_STD)
    for block in model.transformer_blocks:
        if hasattr(block.norm1, "emb"):
            nn.init.zeros_(block.norm1.linear.weight)
        if block.attn2 is not None:
            nn.init.zeros_(block.attn2.to_out[0].weight)
    for last in ("proj_out", "proj_out_1", "proj_out_2"):
        if hasattr(model, last):
            nn.init.zeros_(getattr(model, last).weight)
    for table in tables(model):
        nn.init.normal_(table, std=1 / math.sqrt(table.shape[1]))


def tables(model: nn.Module) -> Iterator[nn.Parameter]:
    """PixArt's learned tables: one of 6 rows in each block, one of 2 rows at the end."""
    return (each for name, each in model.named_parameters() if name.endswith("scale_shift_table"))


def count_sizes() -> list[tuple[str, Size, int, int]]:
    """(name, size, parameters of a PixArt, parameters of a DiT of 1,000 classes) of every named size."""
    with torch.device("meta"):
        return [(name, size, parameters(pixart(size)), parameters(dit(size, 1000))) for name, size in SIZES.items()]


def parameters(model: nn.Module) -> int:
    """How many numbers are learnt."""
    return sum(each.numel() for each in model.parameters())
