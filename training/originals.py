"""Checkpoints of DiT's and PixArt's own code as diffusers' models: a file of weights, whose sizes say what it is.

Leaves out the names (checkpoints.py). DiT's weights come under CC-BY-NC-4.0, and so does what begins with them: whoever
loads them is told.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from core.errors import BadCheckpointError
from core.logs import get_logger
from training.checkpoints import dit_to_diffusers, is_original, pixart_to_diffusers
from training.models import SIZES, Size, dit, pixart, separate_embedders
from training.size_conditions import TOLD_AT

log = get_logger(__name__)

SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")
DIT_LICENCE = "CC-BY-NC-4.0"
#: Where PixArt's and DiT's own trainers keep the weights inside a file; averages are what is drawn with.
_INSIDE = ("state_dict_ema", "ema", "state_dict", "model")


def load_original(file: Path, side: int) -> Any:
    """The model in a file: a PixArtTransformer2DModel for latents of `side`, or a DiTTransformer2DModel for those that
    it was trained on, whose class has no other positions. Where the file tells no side, it is said and `side` is taken.

    Raises BadCheckpointError.
    """
    state = _read(file)
    if not is_original(state):
        raise BadCheckpointError(
            f"{file} has neither DiT's nor PixArt's own names.",
            hint="Name the folder of a diffusers model, not a file in it.",
        )
    size, channels, both = _size(state, file, side)
    model: Any
    if "y_embedder.embedding_table.weight" in state:
        # One row more than classes, where the class for no class was learnt.
        classes = state["y_embedder.embedding_table.weight"].shape[0] - 1
        tell_licence(str(file))
        model = separate_embedders(dit(size, classes, channels=channels, learn_sigma=both))
        converted = dit_to_diffusers(state)
    else:
        model = pixart(size, side=side, channels=channels, learn_sigma=both, conditions=_reads_sizes(state))
        converted = pixart_to_diffusers(state)
    found = model.load_state_dict(converted, strict=False)
    missing = [name for name in found.missing_keys if "pos_embed.pos_embed" not in name]
    if missing or found.unexpected_keys:
        raise BadCheckpointError(
            f"{file}: {len(missing)} weights are missing and {len(found.unexpected_keys)} have no place: "
            f"{', '.join([*missing, *found.unexpected_keys][:3])}."
        )
    return model


def file_hash(file: Path) -> str:
    """A hash of a file's bytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def tell_licence(what: str) -> None:
    """Says that a model begins with DiT's weights."""
    log.warning(
        f"DiT's weights are licensed {DIT_LICENCE}: what is trained from them may not be used commercially", start=what
    )


def _read(file: Path) -> Mapping[str, torch.Tensor]:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadCheckpointError(f"{file} cannot be read as weights: {' '.join(str(error).split())[:200]}") from error
    for name in _INSIDE:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            return dict(found[name])
    return dict(found)


def _reads_sizes(state: Mapping[str, torch.Tensor]) -> bool:
    return any(name.startswith("csize_embedder.") for name in state)


def _side(state: Mapping[str, torch.Tensor], patch: int, file: Path, side: int) -> int:
    """Side of the latents that it was trained on, `side` where nothing says."""
    if "pos_embed" in state:
        return int(patch * math.isqrt(state["pos_embed"].shape[1]))
    if _reads_sizes(state):
        return TOLD_AT
    log.warning(
        "The file has no table of positions, and is taken to be of the run's own resolution; at another one its "
        "positions would be wrong",
        start=str(file),
        side=side,
    )
    return side


def _size(state: Mapping[str, torch.Tensor], file: Path, side: int) -> tuple[Size, int, bool]:
    """(the named size, channels of a latent, whether it says its variance too)."""
    patches = state["x_embedder.proj.weight"]
    width, channels, patch, _ = patches.shape
    layers = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    text = state["y_embedder.y_proj.fc1.weight"].shape[1] if "y_embedder.y_proj.fc1.weight" in state else 0
    out = state["final_layer.linear.weight"].shape[0] // patch**2
    for size in SIZES.values():
        if (size.layers, size.width, size.patch) == (layers, width, patch):
            was = _side(state, patch, file, side)
            # PixArt's positions of 1,024 pixels were halved in training (`lewei_scale`), those of 256 and 512 not.
            positions = was // max(was // 64, 1) if text else was
            made = Size(size.layers, size.heads, size.head, size.patch, text or size.text, positions)
            return made, channels, out == 2 * channels
    raise BadCheckpointError(
        f"{file} has {layers} layers of {width} channels and patches of {patch}, which is no named size.",
        hint=f"Sizes: {', '.join(SIZES)}.",
    )
