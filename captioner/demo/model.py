"""The demo LLaVA's classes and sizes: transformers' own CLIP tower, projector and Llama, and a processor to match.

`build` makes it with fresh weights, `save` writes the folder that ships. Leaves out training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from captioner.demo.pictures import SIDE
from captioner.demo.tokenizer import CONTEXT

PATCH = 12  # pixels
GRID = SIDE // PATCH
IMAGE_TOKENS = GRID * GRID
WIDTH = 160
TOWER_LAYERS, TOWER_FFN = 6, 640
TEXT_LAYERS, TEXT_FFN = 4, 448
HEAD = 32
EMBEDDING_SPREAD = 0.1


#: Of CLIP's processor; the training set is normalised by the same numbers.
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)

CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: <image>\n{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def build(tokenizer: Any, *, attention: str = "sdpa") -> Any:
    """A LlavaForConditionalGeneration with fresh weights from torch's random state."""
    import torch
    import transformers

    config = transformers.LlavaConfig(
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": WIDTH,
            "intermediate_size": TOWER_FFN,
            "num_hidden_layers": TOWER_LAYERS,
            "num_attention_heads": WIDTH // HEAD,
            "image_size": SIDE,
            "patch_size": PATCH,
            "hidden_act": "gelu_pytorch_tanh",
        },
        text_config={
            "model_type": "llama",
            "hidden_size": WIDTH,
            "intermediate_size": TEXT_FFN,
            "num_hidden_layers": TEXT_LAYERS,
            "num_attention_heads": WIDTH // HEAD,
            "num_key_value_heads": WIDTH // HEAD,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": CONTEXT,
            "tie_word_embeddings": True,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=IMAGE_TOKENS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
        attn_implementation=attention,
    )
    llava = transformers.LlavaForConditionalGeneration(config)
    # transformers' spread of 0.02 leaves the 58 nouns nearly parallel as soon as all of them have moved towards "some
    # noun", and the language model then never tells them apart. A generator of its own leaves torch's state alone.
    generator = torch.Generator().manual_seed(torch.initial_seed())
    with torch.no_grad():
        llava.model.language_model.embed_tokens.weight.normal_(std=EMBEDDING_SPREAD, generator=generator)
    return llava


def build_processor(tokenizer: Any) -> Any:
    """Pictures are squeezed into a square, whatever their shape: a crop would lose their sides."""
    import transformers

    side = {"height": SIDE, "width": SIDE}
    return transformers.LlavaProcessor(
        image_processor=transformers.CLIPImageProcessor(size=side, do_center_crop=False, crop_size=side),
        tokenizer=tokenizer,
        patch_size=PATCH,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
        chat_template=CHAT_TEMPLATE,
    )


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Model in half precision, tokenizer and processor, as `from_pretrained` reads them."""
    import copy

    import torch

    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).to(torch.float16)
    half.save_pretrained(folder)
    build_processor(tokenizer).save_pretrained(folder)
