"""What a model can draw: sizes, guidance, tokens of a prompt. diffusers draws some of it in silence as something else.

Leaves out: classes and schedulers (guided.py, sampling.py), which say themselves what they do not know.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from core.errors import BadFieldError
from training.lineage import FILE

#: Tokens read of a prompt where nothing says how many were in training: PixArt-alpha's, and diffusers' default.
TOKENS = 120


def draws_classes(pipeline: Any) -> bool:
    """Whether it is a DiT's pipeline."""
    return hasattr(pipeline, "get_label_ids")


def side_of(pipeline: Any) -> int:
    """Pixels of a side of the square images that the model was trained on."""
    return int(pipeline.transformer.config.sample_size * _factor(pipeline))


def tokens_of(pipeline: Any) -> int:
    """Tokens that the model was trained to read of a caption, as the lineage beside or inside its folder says."""
    folder = Path(str(pipeline.config.get("_name_or_path") or ""))
    for file in (folder / FILE, folder.parent / FILE):
        if file.is_file():
            recipe = json.loads(file.read_text())["recipe"]
            return int(recipe.get("captions", {}).get("tokens", TOKENS))
    return TOKENS


def hears_negative(pipeline: Any, guidance: float) -> bool:
    """Whether drawing at this scale asks the model for what is not wanted."""
    return guidance != 1 if draws_classes(pipeline) else guidance > 1


def check(pipeline: Any, width: int, height: int, guidance: float, classifier_scale: float = 0.0) -> None:
    """Raises BadFieldError for what would be drawn as something else, or not at all."""
    for name, scale in (("guidance", guidance), ("classifier's guidance", classifier_scale)):
        if not math.isfinite(scale) or scale < 0:
            raise BadFieldError(f"{scale} is no scale of {name}.", hint="Scales are numbers from 0 on.")
    if draws_classes(pipeline):
        side = side_of(pipeline)
        if (width, height) != (side, side):
            raise BadFieldError(f"This model draws {side} x {side} pixels.", hint="Leave --width and --height out.")
        return
    if guidance < 1:
        raise BadFieldError(
            f"A model that draws from captions has no guidance of {guidance:g}: below 1 there is none.",
            hint="1 draws without guidance.",
        )
    # diffusers' pipeline asks for 8 of every model.
    step = math.lcm(8, _factor(pipeline) * int(pipeline.transformer.config.patch_size))
    for name, pixels in (("width", width), ("height", height)):
        if pixels < step or pixels % step:
            below = pixels // step * step
            near = " or ".join(str(size) for size in (below, below + step) if size)
            raise BadFieldError(
                f"This model cannot draw a {name} of {pixels} pixels: {step} does not divide it.",
                hint=f"Nearest: {near}.",
            )


def _factor(pipeline: Any) -> int:
    """Pixels of a side for each value of a latent's side."""
    return int(2 ** (len(pipeline.vae.config.block_out_channels) - 1))
