"""Writes a small LLaVA the way LLaVA's own code would have saved it: the inverse of captioner/checkpoint.py's map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer

TOWER = "model.vision_tower."


def write_original(
    hub: Path,
    target: Path,
    *,
    tower: Literal["inside", "folder"] = "inside",
    files: Literal["bin", "bin-index", "safetensors"] = "bin",
    **config: Any,
) -> Path:
    """`hub`: a folder in transformers' format (llava or llava_next). Extra keywords change the original config.

    The tower's configuration always lies in a folder beside; `tower` says where its weights are.
    """
    target.mkdir(parents=True)
    hub_config = AutoConfig.from_pretrained(hub)
    weights = {original_name(name): value for name, value in load_file(hub / "model.safetensors").items()}
    _write_tower(target.parent / "clip-tiny", hub_config, weights, tower)
    if tower == "folder":
        weights = {name: value for name, value in weights.items() if not name.startswith(TOWER)}
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)  # as older versions saved it
    _write_weights(target, weights, files)
    text = hub_config.text_config.to_dict()
    rope = text.pop("rope_parameters", None) or {}
    original = {
        **{name: value for name, value in text.items() if name not in ("model_type", "architectures", "dtype")},
        "rope_theta": rope.get("rope_theta", 10_000.0),
        "model_type": "llava_llama",
        "architectures": ["LlavaLlamaForCausalLM"],
        "mm_vision_tower": "somebody/clip-tiny",
        "mm_projector_type": "mlp2x_gelu",
        "mm_hidden_size": hub_config.vision_config.hidden_size,
        "mm_vision_select_layer": hub_config.vision_feature_layer,
        "mm_vision_select_feature": "patch",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "image_aspect_ratio": "square",
        **config,
    }
    (target / "config.json").write_text(json.dumps(original))
    AutoTokenizer.from_pretrained(hub).save_pretrained(target)
    (target / "chat_template.jinja").unlink(missing_ok=True)
    return target


def original_name(name: str) -> str:
    """A transformers name of a weight in LLaVA's own naming."""
    for ours, theirs in (
        ("language_model.model.", "model."),
        ("language_model.lm_head.", "lm_head."),
        ("multi_modal_projector.linear_1.", "model.mm_projector.0."),
        ("multi_modal_projector.linear_2.", "model.mm_projector.2."),
        ("vision_tower.", "model.vision_tower.vision_tower.vision_model."),
        ("image_newline", "model.image_newline"),
    ):
        if name.startswith(ours):
            return name.replace(ours, theirs, 1)
    raise AssertionError(name)


def _write_tower(folder: Path, hub_config: Any, weights: dict[str, torch.Tensor], where: str) -> None:
    folder.mkdir(exist_ok=True)
    vision = hub_config.vision_config.to_dict()
    (folder / "config.json").write_text(json.dumps({"model_type": "clip", "vision_config": vision}, default=str))
    if where == "inside":
        return
    prefix = f"{TOWER}vision_tower."
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    own |= {
        "text_model.embeddings.token_embedding.weight": torch.zeros(2, 2),
        "logit_scale": torch.zeros(()),
        "vision_model.embeddings.position_ids": torch.arange(3),
    }
    torch.save(own, folder / "pytorch_model.bin")


def _write_weights(target: Path, weights: dict[str, torch.Tensor], files: str) -> None:
    if files == "safetensors":
        save_file(weights, target / "model.safetensors")
        return
    if files == "bin":
        torch.save(weights, target / "pytorch_model.bin")
        return
    names = sorted(weights)
    index = {}
    for part, chosen in enumerate((names[::2], names[1::2]), 1):
        name = f"pytorch_model-0000{part}-of-00002.bin"
        torch.save({key: weights[key] for key in chosen}, target / name)
        index |= dict.fromkeys(chosen, name)
    (target / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def train_pieces(target: Path, sentences: list[str], size: int = 300) -> None:
    """Trains a SentencePiece model as Llama's is: byte-pair encoding that falls back to bytes."""
    with target.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=file,
            vocab_size=size,
            model_type="bpe",
            byte_fallback=True,
            split_digits=True,
            hard_vocab_limit=False,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            minloglevel=2,
        )
