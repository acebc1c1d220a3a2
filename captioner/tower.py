"""Finds the CLIP vision tower that an original-format LLaVA names: its configuration, and its weights if they are not
inside the checkpoint. Serves checkpoint.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioner.source import SMALL_FILES, read_config
from captioner.weights import Weights, read_weights
from core.errors import BadCheckpointError, EngineConfigError, HubUnreachableError
from core.hub import hub_snapshot

CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]

_LARGE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "projection_dim": 768,
    "patch_size": 14,
}
#: Towers of the published checkpoints: with the weights inside, nothing has to be fetched for them.
KNOWN: dict[str, dict[str, Any]] = {
    "openai/clip-vit-large-patch14": {**_LARGE, "image_size": 224},
    "openai/clip-vit-large-patch14-336": {**_LARGE, "image_size": 336},
}
#: Parts of a whole CLIP that LLaVA has no use for.
_TEXT_SIDE = ("text_model.", "text_projection", "visual_projection", "logit_scale")
_DERIVED = "embeddings.position_ids"


@dataclass(frozen=True, slots=True)
class Tower:
    """A vision tower. `weights`: names without `vision_model.`; empty where the checkpoint holds them itself."""

    config: dict[str, Any]
    weights: Weights
    image_mean: list[float]
    image_std: list[float]
    folder: Path | None


def find_tower(checkpoint: Path, name: str, inside: bool) -> Tower:
    """The tower `name` (a folder, one beside or in the checkpoint, or a hub id). Raises HubUnreachableError and kin."""
    folder = _local(checkpoint, name)
    if folder is None and inside and name in KNOWN:
        return Tower(dict(KNOWN[name]), {}, CLIP_MEAN, CLIP_STD, None)
    if folder is None:
        folder = _from_hub(checkpoint, name, inside)
    mean, std = _colours(folder)
    return Tower(_vision_config(folder), {} if inside else _vision_weights(folder), mean, std, folder)


def _local(checkpoint: Path, name: str) -> Path | None:
    base = Path(name).name
    for folder in (Path(name), checkpoint / name, checkpoint / base, checkpoint.parent / base):
        if folder != checkpoint and (folder / "config.json").is_file():
            return folder.resolve()
    return None


def _from_hub(checkpoint: Path, name: str, inside: bool) -> Path:
    hint = f"Put the folder of {name} beside {checkpoint}, as {checkpoint.parent / Path(name).name}."
    try:
        folder = hub_snapshot(name, None, [*SMALL_FILES, *([] if inside else ["*.safetensors"])])
        if not inside and not any(folder.glob("*.safetensors")):
            hub_snapshot(name, folder.name, ["*.bin"])
    except HubUnreachableError as error:
        raise HubUnreachableError(
            f"The vision tower '{name}' of {checkpoint} is not on this machine, and the hub cannot be reached.",
            hint=hint,
        ) from error
    except EngineConfigError as error:
        raise BadCheckpointError(
            f"The vision tower of {checkpoint} is not found: {error.sentence}", hint=hint
        ) from error
    return folder


def _vision_config(folder: Path) -> dict[str, Any]:
    config = read_config(folder)
    kind = config.get("model_type")
    if kind not in ("clip", "clip_vision_model"):
        raise BadCheckpointError(f"The vision tower {folder} is of type '{kind}', not CLIP.")
    return dict(config.get("vision_config", {}) if kind == "clip" else config)


def _vision_weights(folder: Path) -> Weights:
    weights = {}
    for key, value in read_weights(folder).items():
        if not key.startswith(_TEXT_SIDE) and not key.endswith(_DERIVED):
            weights[key.removeprefix("vision_model.")] = value
    return weights


def _colours(folder: Path) -> tuple[list[float], list[float]]:
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return CLIP_MEAN, CLIP_STD
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadCheckpointError(f"{path} cannot be read as JSON: {error}") from error
    return found.get("image_mean", CLIP_MEAN), found.get("image_std", CLIP_STD)
