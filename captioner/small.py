"""A LLaVA of the real classes with random weights: small, quick, deterministic in its seed, saying words.

It sees (other pictures, other words) but knows nothing. Tests, benchmarks and first trials run on it; it is no
captioner. `python -m captioner.small FOLDER` writes one; `--kind` chooses among the three families.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Literal

from captioner.processors import image_only_onevision, quiet

Kind = Literal["llava", "llava_next", "llava_onevision"]
KINDS: tuple[Kind, ...] = ("llava", "llava_next", "llava_onevision")

IMAGE_SIDE = 32  # pixels, of one tile
PATCH_SIDE = 8  # pixels
CONTEXT = 2048  # tokens
PINPOINTS = [[32, 64], [64, 32], [64, 64]]  # (height, width) grids of NeXT and OneVision, pixels

_NOUNS = (
    "boat harbor mountain dog cat street bicycle tree window kitchen table chair lamp book river bridge train "
    "station market apple bread bottle flower garden bird cloud beach child woman man horse field fence house "
    "door wall clock tower car bus road sign camera guitar painting mirror carpet candle cup plate spoon"
)
_OTHERS = (
    "a the small large old red blue green white black wooden bright dark two three stands lies hangs near under "
    "above behind beside with and on in of is are holds shows"
)
NOUNS = tuple(_NOUNS.split())
OTHERS = tuple(_OTHERS.split())

CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% endif %}{% endfor %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def build_small_llava(folder: Path | str, kind: Kind = "llava", seed: int = 0, hidden: int = 64) -> Path:
    """Writes model, tokenizer and processor into `folder` (made if absent) and returns it.

    `hidden` is the width of tower and language model, a multiple of 16. AutoModelForImageTextToText and AutoProcessor
    load the folder. The same arguments write the same weights.
    """
    import torch

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = small_tokenizer()
        model = _model(kind, hidden, tokenizer)
        _spread(model, tokenizer)
        model.save_pretrained(target)
        _processor(kind, tokenizer, model.config).save_pretrained(target)
    return target


def small_tokenizer() -> Any:
    """A byte-level BPE tokenizer in which each word of NOUNS and OTHERS is one token, and any text can be written."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        special_tokens=["<s>", "</s>", "<pad>", "<image>", "<video>"],
        vocab_size=4096,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([" " + " ".join(NOUNS + OTHERS)] * 4, trainer)
    start = core.token_to_id("<s>")
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", start)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>", "video_token": "<video>"},
        padding_side="left",
        model_max_length=CONTEXT,
    )


def word_ids(tokenizer: Any) -> list[int]:
    """The tokens that the small model says: whole words with their leading space, and the end of text."""
    ids = [tokenizer.encode(f" {word}", add_special_tokens=False) for word in NOUNS + OTHERS]
    assert all(len(one) == 1 for one in ids), "every word is one token"
    return [one[0] for one in ids] + [tokenizer.eos_token_id]


def _model(kind: Kind, hidden: int, tokenizer: Any) -> Any:
    import transformers

    tower: dict[str, Any] = {
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": hidden // 16,
        "image_size": IMAGE_SIDE,
        "patch_size": PATCH_SIDE,
    }
    text: dict[str, Any] = {
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": hidden // 16,
        "num_key_value_heads": hidden // 16,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": CONTEXT,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    shared = {"image_token_index": tokenizer.convert_tokens_to_ids("<image>")}
    if kind == "llava":
        config = transformers.LlavaConfig(
            vision_config={"model_type": "clip_vision_model", **tower},
            text_config={"model_type": "llama", **text},
            image_seq_length=(IMAGE_SIDE // PATCH_SIDE) ** 2,
            **shared,
        )
        return transformers.LlavaForConditionalGeneration(config)
    if kind == "llava_next":
        config = transformers.LlavaNextConfig(
            vision_config={"model_type": "clip_vision_model", **tower},
            text_config={"model_type": "llama", **text},
            image_grid_pinpoints=PINPOINTS,
            **shared,
        )
        return transformers.LlavaNextForConditionalGeneration(config)
    config = transformers.LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **tower},
        text_config={"model_type": "qwen2", **text},
        image_grid_pinpoints=PINPOINTS,
        vision_aspect_ratio="anyres_max_9",
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        **shared,
    )
    return transformers.LlavaOnevisionForConditionalGeneration(config)


def _spread(model: Any, tokenizer: Any) -> None:
    """Scales the random weights up until pictures matter, and keeps tokens that are no words from being likeliest."""
    import torch

    for name, weight in model.named_parameters():
        if weight.dim() >= 2 and "embed" not in name and "lm_head" not in name:
            fan_in = weight[0].numel()
            torch.nn.init.normal_(weight, std=2.0 / fan_in**0.5)
        elif "embed" in name or "lm_head" in name or "image_newline" in name:
            torch.nn.init.normal_(weight, std=1.0)
    words = torch.tensor(word_ids(tokenizer))
    with torch.no_grad():
        head = model.lm_head.weight
        spoken = head[words].clone()
        # The mean of the words' rows never scores above the best word.
        head[:] = spoken.mean(dim=0)
        head[words] = spoken
        head[tokenizer.eos_token_id] *= 0.8  # captions of a word or two are of little use


def _processor(kind: Kind, tokenizer: Any, config: Any) -> Any:
    import transformers

    side = {"height": IMAGE_SIDE, "width": IMAGE_SIDE}
    if kind == "llava":
        return transformers.LlavaProcessor(
            image_processor=transformers.CLIPImageProcessor(size={"shortest_edge": IMAGE_SIDE}, crop_size=side),
            tokenizer=tokenizer,
            patch_size=PATCH_SIDE,
            num_additional_image_tokens=1,
            vision_feature_select_strategy=config.vision_feature_select_strategy,
            chat_template=CHAT_TEMPLATE,
        )
    if kind == "llava_next":
        return transformers.LlavaNextProcessor(
            image_processor=transformers.LlavaNextImageProcessor(
                size={"shortest_edge": IMAGE_SIDE}, crop_size=side, image_grid_pinpoints=PINPOINTS
            ),
            tokenizer=tokenizer,
            patch_size=PATCH_SIDE,
            num_additional_image_tokens=1,
            vision_feature_select_strategy=config.vision_feature_select_strategy,
            chat_template=CHAT_TEMPLATE,
        )
    return image_only_onevision()(
        image_processor=transformers.LlavaOnevisionImageProcessor(size=side, image_grid_pinpoints=PINPOINTS),
        tokenizer=tokenizer,
        num_image_tokens=(IMAGE_SIDE // PATCH_SIDE) ** 2,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        vision_aspect_ratio=config.vision_aspect_ratio,
        chat_template=CHAT_TEMPLATE,
    )


def main() -> None:
    """`python -m captioner.small FOLDER [--kind llava] [--seed 0]`."""
    parser = argparse.ArgumentParser(description="Write a small LLaVA with random weights.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=KINDS, default="llava")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    build_small_llava(given.folder, given.kind, given.seed)


if __name__ == "__main__":
    main()
