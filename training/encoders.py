"""The frozen encoders: the VAE that makes latents of images, and the T5 that makes vectors of captions.

Named in a recipe by `demo` (what ships), a folder, or a hub id; a folder of a whole diffusers pipeline will do, its
`vae`, `text_encoder` and `tokenizer` are then taken. Of a hub's repository those parts alone are fetched, or the files
of its root where it has no such part. Captions are lowered and stripped as diffusers' PixArt pipeline
does with every prompt, and no caption is the text encoder's answer to "" (one token, `</s>`), in training as in
sampling.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from core.errors import BadCheckpointError, NoSuchPathError
from core.hub import folder_hash, hub_snapshot

SHIPPED = {"demo": Path(__file__).parent / "demo" / "model"}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def _weights(name: str) -> tuple[str, ...]:
    """Weights by this name in one file or in several, without their doubles in other precisions."""
    return f"{name}.safetensors", f"{name}-*.safetensors", f"{name}.safetensors.index.json"


_TOKENIZER = ("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "spiece.model", "tokenizer.model")
#: Files of each part. A `*` of the hub's patterns is any number of folders too: none may begin with one.
_FILES = {
    "vae": ("config.json", *_weights("diffusion_pytorch_model")),
    "text_encoder": ("config.json", *_weights("model")),
    "tokenizer": _TOKENIZER,
}
#: What a folder of the part has beside it.
_BESIDE = {"vae": ("vae",), "text_encoder": ("text_encoder", "tokenizer")}


@dataclass(frozen=True)
class ImageEncoder:
    """`vae`: diffusers' AutoencoderKL; `identity`: a hash of its files, which names caches; `folder`: where it lies."""

    vae: Any
    identity: str
    folder: Path

    @property
    def factor(self) -> int:
        """Pixels of a side for each value of a latent's side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def channels(self) -> int:
        """Channels of a latent."""
        return int(self.vae.config.latent_channels)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return _device(self.vae)

    @torch.inference_mode()
    def encode(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """(n, channels, h, w) latents of RGB images of one size: the mean of the VAE's answer, of a variance near 1."""
        pixels = torch.stack([torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8) for image in images])
        width, height = images[0].size
        pixels = pixels.view(-1, height, width, 3).permute(0, 3, 1, 2)
        weights = next(self.vae.parameters())
        scaled = pixels.to(weights.device, weights.dtype) / 127.5 - 1
        found = self.vae.encode(scaled).latent_dist.mode()
        return (found - (self.vae.config.shift_factor or 0.0)) * self.vae.config.scaling_factor


@dataclass(frozen=True)
class TextEncoder:
    """`encoder`: transformers' T5EncoderModel, with its tokenizer; `identity` names caches."""

    encoder: Any
    tokenizer: Any
    identity: str
    folder: Path

    @property
    def width(self) -> int:
        """Channels of a token's vector."""
        return int(self.encoder.config.d_model)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return _device(self.encoder)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], tokens: int) -> list[torch.Tensor]:
        """For each text (length, width): its own tokens alone, at most `tokens` of them, no padding."""
        clean = [text.lower().strip() for text in texts]
        found = self.tokenizer(clean, padding=True, truncation=True, max_length=tokens, return_tensors="pt")
        mask = found.attention_mask.to(self.device)
        said = self.encoder(found.input_ids.to(self.device), attention_mask=mask).last_hidden_state
        return [vectors[kept.bool()] for vectors, kept in zip(said, mask, strict=True)]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, nothing cut."""
        clean = [text.lower().strip() for text in texts]
        return [len(ids) for ids in self.tokenizer(clean, verbose=False).input_ids]


def load_image_encoder(name: str, device: torch.device | str, dtype: torch.dtype) -> ImageEncoder:
    """The VAE of this name, frozen. Raises NoSuchPathError, HubUnreachableError, BadCheckpointError."""
    from diffusers import AutoencoderKL

    folder = _find(name, "vae")
    return ImageEncoder(_frozen(AutoencoderKL, folder, device, dtype), folder_hash(folder), folder)


def load_text_encoder(name: str, device: torch.device | str, dtype: torch.dtype) -> TextEncoder:
    """The text encoder of this name and its tokenizer, frozen. Raises what load_image_encoder raises."""
    from transformers import AutoTokenizer, T5EncoderModel

    folder = _find(name, "text_encoder")
    beside = folder.parent / "tokenizer"
    words = beside if folder.name == "text_encoder" and beside.is_dir() else folder
    tokenizer = AutoTokenizer.from_pretrained(words)
    identity = folder_hash(folder) if words is folder else f"{folder_hash(folder)}+{folder_hash(words)}"
    return TextEncoder(_frozen(T5EncoderModel, folder, device, dtype), tokenizer, identity, folder)


def _find(name: str, part: str) -> Path:
    """The folder of one part of the named model."""
    folder = SHIPPED.get(name, Path(name).expanduser())
    if not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")) or not _HUB_ID.fullmatch(name):
            raise NoSuchPathError(f"There is no folder '{name}' with a {part}.", hint="Name a folder, or a hub id.")
        folder = _fetch(name, part)
    inside = folder / part
    return inside if inside.is_dir() else folder


def _fetch(name: str, part: str) -> Path:
    """The folder of a hub's repository, with one part of a pipeline in it, or with that part alone."""
    instead = "and name the folder in the recipe"
    inside = [f"{each}/{file}" for each in _BESIDE[part] for file in _FILES[each]]
    folder = hub_snapshot(name, None, inside, instead=instead)
    if (folder / part).is_dir():
        return folder
    return hub_snapshot(name, folder.name, [file for each in _BESIDE[part] for file in _FILES[each]], instead=instead)


def _device(model: Any) -> torch.device:
    device: torch.device = next(model.parameters()).device
    return device


def _frozen(kind: Any, folder: Path, device: torch.device | str, dtype: torch.dtype) -> Any:
    if not (folder / "config.json").is_file():
        raise BadCheckpointError(f"{folder} holds no config.json: it is no {kind.__name__}.")
    try:
        model, told = kind.from_pretrained(folder, torch_dtype=dtype, output_loading_info=True)
    except OSError as error:
        raise BadCheckpointError(f"{folder} holds no weights of a {kind.__name__} as safetensors.") from error
    missing = sorted(told["missing_keys"])
    if missing:
        raise BadCheckpointError(
            f"{folder} lacks {len(missing)} weights of a {kind.__name__}: {', '.join(missing[:3])}."
        )
    return model.requires_grad_(False).eval().to(device)
