"""Encoders of the hub: of a repository the part that is needed, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.errors import BadCheckpointError
from tests.training.small_encoders import small_text_encoder, small_vae
from training import encoders

#: A whole pipeline, with doubles of weights, as PixArt's and Stable Diffusion's repositories are.
PIPELINE = [
    "README.md",
    "model_index.json",
    "sd_xl_base_1.0.safetensors",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model-00001-of-00002.safetensors",
    "text_encoder/model-00002-of-00002.safetensors",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/model.safetensors.index.json",
    "text_encoder/openvino_model.xml",
    "text_encoder_2/config.json",
    "text_encoder_2/model.safetensors",
    "tokenizer/special_tokens_map.json",
    "tokenizer/spiece.model",
    "tokenizer/tokenizer_config.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.fp16.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "vae_1_0/diffusion_pytorch_model.safetensors",
]
VAE = ["config.json", "diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors", "unet/config.json"]
TEXTS = ["config.json", "model.safetensors", "spiece.model", "tokenizer.json", "tf_model.h5", "vae/config.json"]


class Hub:
    """A hub with one repository of these files; `fetched` says which of them were asked for."""

    def __init__(self, folder: Path, files: list[str]) -> None:
        self.folder, self.files = folder / "0123abc", files
        self.fetched: list[str] = []

    def snapshot(self, name: str, revision: str | None, patterns: list[str], *, instead: str) -> Path:
        from huggingface_hub.utils import filter_repo_objects

        assert revision in (None, "0123abc")
        for file in filter_repo_objects(self.files, allow_patterns=patterns):
            self.fetched.append(file)
            (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / file).touch()
        return self.folder


@pytest.mark.parametrize(
    ("files", "part", "expected"),
    [
        (PIPELINE, "vae", ["vae/config.json", "vae/diffusion_pytorch_model.safetensors"]),
        (
            PIPELINE,
            "text_encoder",
            [
                "text_encoder/config.json",
                "text_encoder/model-00001-of-00002.safetensors",
                "text_encoder/model-00002-of-00002.safetensors",
                "text_encoder/model.safetensors.index.json",
                "tokenizer/special_tokens_map.json",
                "tokenizer/spiece.model",
                "tokenizer/tokenizer_config.json",
            ],
        ),
        (VAE, "vae", ["config.json", "diffusion_pytorch_model.safetensors"]),
        (TEXTS, "text_encoder", ["config.json", "model.safetensors", "spiece.model", "tokenizer.json"]),
    ],
)
def test_of_a_hubs_repository_the_part_alone_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], part: str, expected: list[str]
) -> None:
    hub = Hub(tmp_path, files)
    monkeypatch.setattr(encoders, "hub_snapshot", hub.snapshot)
    found = encoders._find("somebody/model", part)
    assert sorted(hub.fetched) == expected
    assert found == (hub.folder / part if files is PIPELINE else hub.folder)
    assert (found / "config.json").is_file()


def test_encoders_are_loaded_from_what_was_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small_text_encoder(tmp_path / "whole")
    small_vae(whole / "vae")
    files = [str(file.relative_to(whole)) for file in whole.rglob("*") if file.is_file()]

    class Copying(Hub):
        def snapshot(self, name: str, revision: str | None, patterns: list[str], *, instead: str) -> Path:
            super().snapshot(name, revision, patterns, instead=instead)
            for file in self.fetched:
                (self.folder / file).write_bytes((whole / file).read_bytes())
            return self.folder

    hub = Copying(tmp_path / "cache", files)
    monkeypatch.setattr(encoders, "hub_snapshot", hub.snapshot)
    vae = encoders.load_image_encoder("somebody/model", "cpu", torch.float32)
    assert vae.identity == encoders.load_image_encoder(str(whole), "cpu", torch.float32).identity
    texts = encoders.load_text_encoder("somebody/model", "cpu", torch.float32)
    assert len(texts.encode(["a red dog"], 6)[0]) > 1


def test_a_part_without_weights_is_one_sentence(tmp_path: Path) -> None:
    vae = small_vae(tmp_path / "vae")
    (vae / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(BadCheckpointError, match="holds no weights of a AutoencoderKL"):
        encoders.load_image_encoder(str(vae), "cpu", torch.float32)
