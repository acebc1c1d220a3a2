"""What a run begins with: a new model of a named size, or the weights of another, made to fit.

From a DiT (stage 1) a PixArt is made by re-parameterisation (stage 2); from a PixArt of another resolution come its
weights as they are (stage 3), since positions are computed. Leaves out: training.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch

from core.errors import BadCheckpointError, BadRecipeError, NoSuchPathError
from core.hub import folder_hash, hub_snapshot
from training.classifier import classifier
from training.encoders import SHIPPED
from training.folders import standing
from training.lineage import FILE as LINEAGE
from training.models import SIZES, Size, dit, pixart, share_embedders
from training.originals import DIT_LICENCE, file_hash, load_original, tell_licence
from training.recipe import Recipe
from training.reparameterise import hear_own_times, pixart_from_dit
from training.size_conditions import TOLD_AT, without_size_conditions

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
#: What a run saves last, and what a diffusers folder has its model in.
PIPELINE, TRANSFORMER, SCHEDULER = "pipeline", "transformer", "scheduler"
#: Of a pipeline on the hub: what its parts are loaded from, and none of the doubles in other formats.
_PIPELINE_FILES = ["*.json", *(f"*/*.{kind}" for kind in ("json", "safetensors", "model", "txt"))]
_PIXART, _DIT = "PixArtTransformer2DModel", "DiTTransformer2DModel"


def start(
    recipe: Recipe, *, side: int, channels: int, text: int, classes: int
) -> tuple[Any, str | None, tuple[str, ...]]:
    """(the model, the identity of the weights it begins with or None, licences that these are bound by, which are
    announced). `side`, `channels`: of the latents of a square image; `text`: channels of the text encoder; `classes`:
    how many there are (methods dit, classifier).

    Raises BadRecipeError, NoSuchPathError, BadCheckpointError, HubUnreachableError.
    """
    torch.manual_seed(recipe.run.seed)
    if recipe.model.start is None:
        size = _size(recipe)
        if recipe.method == "pixart" and size.text != text:
            size = Size(size.layers, size.heads, size.head, size.patch, text, size.side)
        _check_patch(side, size.patch, recipe)
        if recipe.method == "classifier":
            return classifier(size, classes, side=side, channels=channels), None, ()
        learn_sigma = recipe.objective.learn_sigma
        if recipe.method == "dit":
            return dit(size, classes, side=side, channels=channels, learn_sigma=learn_sigma), None, ()
        return pixart(size, side=side, channels=channels, learn_sigma=learn_sigma), None, ()
    file = Path(recipe.model.start).expanduser()
    if file.is_file():
        model, identity = load_original(file, side), file_hash(file)
        name = type(model).__name__
        licences: tuple[str, ...] = (DIT_LICENCE,) if name == _DIT else ()
        if name == _DIT:
            share_embedders(model)
            if recipe.method == "pixart":
                hear_own_times(model)
    else:
        file = find_transformer(recipe.model.start)
        model, name, identity = _loaded(file, side), _class_of(file), folder_hash(file)
        licences = _licences(file, name)
        if licences:
            tell_licence(recipe.model.start)
    _check(recipe, model, name, file, channels, text, classes, side)
    if recipe.method == "pixart" and name == _DIT:
        at, without = recipe.model.reparameterise_at, recipe.model.without_class
        model = pixart_from_dit(model, text=text, at=at, without=without, side=side)
    elif name == _PIXART and model.use_additional_conditions and side != TOLD_AT:
        model = without_size_conditions(model, recipe.data.resolution)
    return model, identity, licences


def find_transformer(name: str, *, whole: bool = False) -> Path:
    """The folder of a model's weights, named by a run, a pipeline, the folder itself, `demo`, or a hub id.

    `whole`: of a hub id the pipeline around it is fetched too. Raises NoSuchPathError, BadCheckpointError and what the
    hub raises.
    """
    folder = SHIPPED.get(name, Path(name).expanduser())
    if not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")) or not _HUB_ID.fullmatch(name):
            raise NoSuchPathError(f"There is no run or model {name}.", hint="Name a folder, or a hub id.")
        files = _PIPELINE_FILES if whole else [f"{TRANSFORMER}/*"]
        folder = hub_snapshot(name, None, files, instead="and name the folder")
    for inside in (standing(folder / PIPELINE) / TRANSFORMER, folder / TRANSFORMER, folder):
        if (inside / "config.json").is_file():
            return inside
    raise BadCheckpointError(
        f"{folder} holds no model: neither {PIPELINE}/{TRANSFORMER} nor {TRANSFORMER} nor a config.json.",
        hint="A run has one when it is done; name a run that is, or a diffusers folder.",
    )


def _licences(transformer: Path, name: str) -> tuple[str, ...]:
    """What these weights are bound by: a run's lineage says it, of all runs before it; a DiT without one is DiT's."""
    for folder in (transformer.parent, transformer.parent.parent):
        if (folder / LINEAGE).is_file():
            return tuple(json.loads((folder / LINEAGE).read_text()).get("licences", ()))
    return (DIT_LICENCE,) if name == _DIT else ()


def _size(recipe: Recipe) -> Size:
    name = recipe.model.size
    if name is None:
        raise BadRecipeError("model.size is missing, and there is no model.start that has one.")
    if name not in SIZES:
        raise BadRecipeError(f"model.size: there is no size {name}.", hint=f"Sizes: {', '.join(SIZES)}.")
    return SIZES[name]


def _check_patch(side: int, patch: int, recipe: Recipe) -> None:
    if side % patch:
        raise BadRecipeError(
            f"data.resolution {recipe.data.resolution} makes latents of {side} values a side, which patches of {patch} "
            "do not divide.",
            hint="Choose a resolution that the VAE's factor times the patch divides.",
        )


def _class_of(folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_text())
        # A classifier is transformers' class, and says so in transformers' way.
        name = config.get("_class_name") or "".join(config.get("architectures") or ["model of no known class"])
    except (OSError, ValueError) as error:
        raise BadCheckpointError(f"{folder / 'config.json'} cannot be read as JSON: {error}") from error
    # Checkpoints of before 2024 name the class that both were split from.
    return {"Transformer2DModel": _PIXART}.get(str(name), str(name))


def _loaded(folder: Path, side: int) -> Any:
    """The model in float32: a PixArt for latents of this side, a DiT for its own."""
    import diffusers

    name = _class_of(folder)
    if name not in (_PIXART, _DIT):
        raise BadCheckpointError(f"{folder} holds a {name}: a DiT or a PixArt was expected.")
    kind = getattr(diffusers, name)
    config = kind.load_config(folder)
    more: dict[str, Any] = {}
    if name == _PIXART:
        # Positions are computed from the side, and scaled so that those of the start's own side stay what they were.
        was = int(config["sample_size"])
        more["sample_size"] = side
        scale = config.get("interpolation_scale") or max(was // 64, 1)
        more["interpolation_scale"] = scale * side / was
        # A side of 128 would switch size conditions on, which the weights do not have.
        asked = config.get("use_additional_conditions")
        more["use_additional_conditions"] = was == 128 if asked is None else asked
    model, told = kind.from_pretrained(folder, torch_dtype=torch.float32, output_loading_info=True, **more)
    if told["missing_keys"]:
        names = ", ".join(sorted(told["missing_keys"])[:3])
        raise BadCheckpointError(f"{folder} lacks {len(told['missing_keys'])} weights of a {name}: {names}.")
    if name == _DIT:
        share_embedders(model)
    return model


def _check(
    recipe: Recipe, model: Any, name: str, folder: Path, channels: int, text: int, classes: int, side: int
) -> None:
    """Raises BadCheckpointError where the start does not fit the recipe."""
    _check_patch(side, model.config.patch_size, recipe)
    wrong = []
    if model.config.in_channels != channels:
        wrong.append(f"latents of {model.config.in_channels} channels, and the VAE makes {channels}")
    if model.out_channels != (2 if recipe.objective.learn_sigma else 1) * channels:
        wrong.append(
            f"{model.out_channels} channels of output, and objective.learn_sigma is {recipe.objective.learn_sigma}"
        )
    if name == _PIXART and recipe.method == "dit":
        wrong.append("captions, and the method dit learns from classes")
    elif name == _PIXART and model.config.caption_channels != text:
        wrong.append(f"texts of {model.config.caption_channels} channels, and the text encoder makes {text}")
    if name == _DIT and recipe.method == "dit" and model.config.num_embeds_ada_norm != classes:
        wrong.append(f"{model.config.num_embeds_ada_norm} classes, and the data has {classes}")
    if name == _DIT and recipe.method == "dit" and model.config.sample_size != side:
        wrong.append(
            f"latents of {model.config.sample_size} values a side, and data.resolution makes {side}: a DiT's positions "
            "have no other scale, a PixArt's do"
        )
    if recipe.model.size is not None:
        size = _size(recipe)
        found = model.config.num_layers, model.config.num_attention_heads, model.config.attention_head_dim
        if found != (size.layers, size.heads, size.head):
            wrong.append("{} layers of {} heads of {}".format(*found) + f", and model.size is {recipe.model.size}")
    if wrong:
        raise BadCheckpointError(f"{folder} is made for {'; for '.join(wrong)}.")
