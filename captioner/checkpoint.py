"""Checkpoints in LLaVA's original format (liuhaotian/llava-v1.5-7b and kin), read into transformers' classes.

Such a folder's config.json names `mm_vision_tower`, its weights are called `model.mm_projector.0.weight`,
`model.layers.0...`, and the vision tower is inside or lies elsewhere. transformers loads them *with random weights*;
here every key is mapped, and what cannot be mapped is refused in one sentence. Supported: Llama and Mistral with a
two-layer projector and a CLIP tower, as LLaVA-1.5 or (`anyres`, `spatial_unpad`) as LLaVA-NeXT.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioner.chat import CHATML, MISTRAL, VICUNA
from captioner.processors import prepare_tokenizer
from captioner.sentencepieces import llama_tokenizer
from captioner.source import ModelSource
from captioner.tower import Tower, find_tower
from captioner.weights import Weights, read_weights
from core.errors import BadCheckpointError

#: model_type of the original config -> model_type of its language model.
LANGUAGE_MODELS = {"llava": "llama", "llava_llama": "llama", "llava_mistral": "mistral"}
#: Fields of the original config that describe the language model.
_TEXT_FIELDS = (
    "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim hidden_act "
    "rms_norm_eps rope_theta rope_scaling max_position_embeddings vocab_size bos_token_id eos_token_id pad_token_id "
    "attention_bias mlp_bias sliding_window tie_word_embeddings"
)
TEXT_FIELDS = tuple(_TEXT_FIELDS.split())
#: Vocabularies are filled up to a multiple of this, as in the published conversions.
VOCABULARY_STEP = 64

_RENAMED = (
    (re.compile(r"model\.(embed_tokens|layers|norm)\."), r"model.language_model.\1."),
    (re.compile(r"model\.mm_projector\.0\."), "model.multi_modal_projector.linear_1."),
    (re.compile(r"model\.mm_projector\.2\."), "model.multi_modal_projector.linear_2."),
    (re.compile(r"lm_head\."), "lm_head."),
    (re.compile(r"model\.image_newline"), "model.image_newline"),
)
_TOWER = "model.vision_tower.vision_tower.vision_model."
#: Tables that older versions saved and that follow from the configuration.
_DERIVED = re.compile(r".*(?:rotary_emb\.inv_freq|embeddings\.position_ids)")


@dataclass(frozen=True, slots=True)
class Original:
    """What an original-format folder becomes. `unspoken`: tokens without a trained row, never to be generated."""

    model_class: Any
    config: Any
    weights: Weights
    processor: Any
    chat_form: str
    unspoken: list[int]
    tower_folders: tuple[Path, ...]


def is_original(config: Mapping[str, Any]) -> bool:
    """Whether config.json is of LLaVA's original format."""
    return "mm_vision_tower" in config and "vision_config" not in config


def read_original(source: ModelSource) -> Original:
    """Reads and maps the checkpoint. Raises BadCheckpointError, HubUnreachableError (for the vision tower)."""
    config = source.config()
    _refuse_unmappable(source, config)
    tokenizer = _tokenizer(source)
    weights = read_weights(source.folder)
    tower = find_tower(source.folder, str(config["mm_vision_tower"]), inside=any(k.startswith(_TOWER) for k in weights))
    mapped = _map_keys(source.name, weights, tower)
    image_id = int(tokenizer.convert_tokens_to_ids("<image>"))
    trained = _grow_vocabulary(source.name, mapped, max(int(config["vocab_size"]), len(tokenizer)))
    vocabulary = mapped["model.language_model.embed_tokens.weight"].shape[0]
    model_class, hub_config = _configure(config, tower, vocabulary, image_id)
    return Original(
        model_class=model_class,
        config=hub_config,
        weights=_fit_tower_names(model_class, hub_config, mapped),
        processor=prepare_tokenizer(_processor(config, tower, tokenizer)),
        chat_form=_chat_form(config, tokenizer),
        unspoken=sorted({*range(trained, vocabulary), image_id}),
        tower_folders=(tower.folder,) if tower.folder is not None else (),
    )


def _refuse_unmappable(source: ModelSource, config: Mapping[str, Any]) -> None:
    projector, aspect = config.get("mm_projector_type", "linear"), config.get("image_aspect_ratio")
    reason = None
    if (source.folder / "adapter_config.json").is_file():
        reason = "it is a LoRA adapter: merge it into its base model first"
    elif config.get("model_type") not in LANGUAGE_MODELS:
        reason = f"its language model ('{config.get('model_type')}') is neither Llama nor Mistral"
    elif projector != "mlp2x_gelu":
        reason = f"its projector is '{projector}', not the two layers of 'mlp2x_gelu'"
    elif config.get("mm_use_im_start_end"):
        reason = "it puts marks around images (mm_use_im_start_end)"
    elif aspect not in (None, "square", "pad", "anyres"):
        reason = f"its image_aspect_ratio is '{aspect}'"
    elif aspect == "anyres" and config.get("mm_patch_merge_type") != "spatial_unpad":
        reason = f"its mm_patch_merge_type is '{config.get('mm_patch_merge_type')}', not 'spatial_unpad'"
    elif config.get("mm_vision_select_feature", "patch") not in ("patch", "cls_patch"):
        reason = f"its mm_vision_select_feature is '{config['mm_vision_select_feature']}'"
    if reason:
        raise BadCheckpointError(
            f"The original-format checkpoint {source.name} cannot be mapped: {reason}.",
            hint="Use a checkpoint in transformers' format (the llava-hf ones), or serve it and use the engine openai.",
        )


def _tokenizer(source: ModelSource) -> Any:
    """The folder's tokenizer, with `<image>` as a special token."""
    from transformers import AddedToken, AutoTokenizer

    if (source.folder / "tokenizer.json").is_file():
        try:
            tokenizer = AutoTokenizer.from_pretrained(source.folder)
        except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
            raise BadCheckpointError(f"The tokenizer of {source.name} does not load: {error}") from error
    else:
        tokenizer = llama_tokenizer(source.folder)
    tokenizer.add_tokens([AddedToken("<image>", special=True, normalized=False)], special_tokens=True)
    return tokenizer


def _map_keys(name: str, weights: Weights, tower: Tower) -> Weights:
    """Weights under transformers' names; the tower's under `model.vision_tower.` without `vision_model.`."""
    mapped: Weights = {f"model.vision_tower.{key}": value for key, value in tower.weights.items()}
    unknown = []
    for key, value in weights.items():
        if _DERIVED.fullmatch(key):
            continue
        if key.startswith(_TOWER):
            mapped[f"model.vision_tower.{key.removeprefix(_TOWER)}"] = value
            continue
        renamed = next((to for pattern, to in _RENAMED if pattern.match(key)), None)
        if renamed is None:
            unknown.append(key)
            continue
        pattern = next(pattern for pattern, _to in _RENAMED if pattern.match(key))
        mapped[pattern.sub(renamed, key, count=1)] = value
    if unknown:
        raise BadCheckpointError(
            f"The original-format checkpoint {name} has weights that belong to no part of LLaVA: "
            f"{', '.join(sorted(unknown)[:5])}{f' and {len(unknown) - 5} more' if len(unknown) > 5 else ''}."
        )
    return mapped


def _grow_vocabulary(name: str, weights: Weights, tokens: int) -> int:
    """Adds rows for new tokens, filled up to VOCABULARY_STEP; returns how many rows the checkpoint had.

    A new row is the mean of the trained ones: its score is never above the best of theirs.
    """
    import torch

    trained = 0
    for key in ("model.language_model.embed_tokens.weight", "lm_head.weight"):
        if key not in weights:
            if key == "lm_head.weight":
                continue  # tied, or missing: transformers reports which
            raise BadCheckpointError(f"The original-format checkpoint {name} lacks its embeddings.")
        rows = weights[key]
        trained = rows.shape[0]
        wanted = -(-max(tokens, trained) // VOCABULARY_STEP) * VOCABULARY_STEP
        mean = rows.float().mean(dim=0, keepdim=True).to(rows.dtype)
        weights[key] = torch.cat([rows, mean.expand(wanted - trained, -1)])
    return int(trained)


def _configure(config: Mapping[str, Any], tower: Tower, vocabulary: int, image_id: int) -> tuple[Any, Any]:
    import transformers

    text = {field: config[field] for field in TEXT_FIELDS if config.get(field) is not None}
    text |= {"model_type": LANGUAGE_MODELS[config["model_type"]], "vocab_size": vocabulary}
    shared: dict[str, Any] = {
        "vision_config": {**tower.config, "model_type": "clip_vision_model"},
        "text_config": text,
        "image_token_index": image_id,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": int(config.get("mm_vision_select_layer", -2)),
        "vision_feature_select_strategy": _select_strategy(config),
        "tie_word_embeddings": bool(config.get("tie_word_embeddings", False)),
    }
    if config.get("image_aspect_ratio") == "anyres":
        pinpoints = config.get("image_grid_pinpoints")
        next_config = transformers.LlavaNextConfig(**shared, image_grid_pinpoints=pinpoints)
        return transformers.LlavaNextForConditionalGeneration, next_config
    patches = (tower.config["image_size"] // tower.config["patch_size"]) ** 2
    return transformers.LlavaForConditionalGeneration, transformers.LlavaConfig(**shared, image_seq_length=patches)


def _fit_tower_names(model_class: Any, config: Any, weights: Weights) -> Weights:
    """Puts `vision_model.` back into the tower's names where this version of transformers has it."""
    import torch

    with torch.device("meta"):
        names = model_class(config).state_dict()
    prefix = "model.vision_tower."
    if not any(name.startswith(f"{prefix}vision_model.") for name in names):
        return weights
    return {key.replace(prefix, f"{prefix}vision_model.", 1): value for key, value in weights.items()}


def _select_strategy(config: Mapping[str, Any]) -> str:
    return "default" if config.get("mm_vision_select_feature", "patch") == "patch" else "full"


def _processor(config: Mapping[str, Any], tower: Tower, tokenizer: Any) -> Any:
    import transformers

    side = tower.config["image_size"]
    pictures: dict[str, Any] = {
        "size": {"shortest_edge": side},
        "crop_size": {"height": side, "width": side},
        "image_mean": tower.image_mean,
        "image_std": tower.image_std,
    }
    shared: dict[str, Any] = {
        "tokenizer": tokenizer,
        "patch_size": tower.config["patch_size"],
        "num_additional_image_tokens": 1,
        "vision_feature_select_strategy": _select_strategy(config),
    }
    if config.get("image_aspect_ratio") == "anyres":
        grid = {"image_grid_pinpoints": config["image_grid_pinpoints"]} if config.get("image_grid_pinpoints") else {}
        return transformers.LlavaNextProcessor(transformers.LlavaNextImageProcessor(**pictures, **grid), **shared)
    pad = config.get("image_aspect_ratio") == "pad"
    return transformers.LlavaProcessor(transformers.LlavaImageProcessor(**pictures, do_pad=pad), **shared)


def _chat_form(config: Mapping[str, Any], tokenizer: Any) -> str:
    if LANGUAGE_MODELS[config["model_type"]] == "mistral":
        return MISTRAL
    return CHATML if "<|im_start|>" in tokenizer.get_vocab() else VICUNA
