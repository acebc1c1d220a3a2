"""Size conditions of PixArt's 1,024-pixel checkpoints, where there can be none.

Those models read an image's height, width and ratio beside the time step (PixArt-alpha's micro-conditions). diffusers'
pipeline tells them to models of 1,024 pixels (a latent's side of 128) alone, so that such a model of another resolution
could be trained and never drawn with. Leaves out: telling them in training (text_to_image.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from diffusers import PixArtTransformer2DModel

#: Side of the latent at which diffusers' PixArt pipelines tell sizes.
TOLD_AT = 128
_EMBEDDERS = ("adaln_single.emb.resolution_embedder.", "adaln_single.emb.aspect_ratio_embedder.")


@torch.no_grad()
def without_size_conditions(model: PixArtTransformer2DModel, pixels: int) -> PixArtTransformer2DModel:
    """The model that says of every image what this one says of squares of `pixels` a side.

    The conditions of one size are one vector, added to that of the time step: it goes into the bias of the time's
    embedder. Ratios of other shapes are learnt from the shapes themselves, as PixArt's 512-pixel model does.
    """
    made = type(model).from_config(model.config, use_additional_conditions=False)
    sizes = model.adaln_single.emb
    nothing = torch.zeros(1, device=model.device)
    given = {
        "resolution": torch.full((1, 2), float(pixels), device=model.device),
        "aspect_ratio": torch.ones(1, 1, device=model.device),
    }
    told = sizes(nothing, **given, batch_size=1, hidden_dtype=model.dtype)
    time = sizes.timestep_embedder(sizes.time_proj(nothing).to(model.dtype))
    state = {name: value for name, value in model.state_dict().items() if not name.startswith(_EMBEDDERS)}
    bias = "adaln_single.emb.timestep_embedder.linear_2.bias"
    state[bias] = state[bias] + (told - time)[0]
    if model.dtype != made.dtype:  # diffusers warns of every cast
        made.to(model.dtype)
    made.load_state_dict(state)
    return made
