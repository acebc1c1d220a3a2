"""Encoders small enough for a test, of the classes that the real ones have, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.analysis.make_tokenizer import word_tokenizer

TEXT = 12


def small_vae(folder: Path) -> Path:
    """An AutoencoderKL of factor 4 and four channels, saved into the folder, which is returned."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    model = AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.5,
    )
    model.save_pretrained(folder)
    return folder


def small_text_encoder(folder: Path) -> Path:
    """A T5EncoderModel of TEXT channels with a tokenizer of words, saved into the folder, which is returned."""
    from transformers import AutoTokenizer, T5Config, T5EncoderModel

    torch.manual_seed(0)
    config = T5Config(vocab_size=16, d_model=TEXT, d_kv=4, d_ff=16, num_layers=1, num_heads=2, dropout_rate=0.0)
    T5EncoderModel(config).save_pretrained(folder / "text_encoder")
    words = AutoTokenizer.from_pretrained(word_tokenizer(folder / "tokenizer"))
    words.pad_token = words.eos_token
    words.save_pretrained(folder / "tokenizer")
    return folder
