"""An original-format checkpoint gives the very captions of the same weights in transformers' format, or is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from captioner.chat import MISTRAL
from captioner.checkpoint import is_original, read_original
from captioner.engine import CaptionRequest
from captioner.source import find_model
from captioner.transformers_engine import TransformersEngine
from core.errors import BadCheckpointError, HubUnreachableError
from tests.captioner.helpers import GREEDY, pictures, requests
from tests.captioner.original import train_pieces, write_original

Open = Callable[..., TransformersEngine]


def captions(engine: TransformersEngine, asked: list[CaptionRequest]) -> list[Any]:
    return list(engine.caption(asked, GREEDY))


@pytest.mark.parametrize("files", ["bin", "bin-index", "safetensors"])
@pytest.mark.parametrize("tower", ["inside", "folder"])
def test_an_original_checkpoint_captions_like_its_twin(
    engine: TransformersEngine, open_engine: Open, small_folder: Path, tmp_path: Path, tower: Any, files: Any
) -> None:
    twin = open_engine(write_original(small_folder, tmp_path / "llava", tower=tower, files=files))
    asked = requests(pictures(6))
    assert captions(twin, asked) == captions(engine, asked)
    assert twin.identity != engine.identity


def test_its_logits_are_its_twins_to_the_bit(
    engine: TransformersEngine, open_engine: Open, small_folder: Path, tmp_path: Path
) -> None:
    twin = open_engine(write_original(small_folder, tmp_path / "llava"))
    text = "USER: <image>\nGo ASSISTANT:"
    logits = []
    for one in (engine, twin):
        inputs = one.processor(images=pictures(1), text=[text], return_tensors="pt")
        with torch.inference_mode():
            logits.append(one.model(**inputs).logits)
    vocabulary = logits[0].shape[-1]
    assert logits[1].shape[-1] % 64 == 0
    assert torch.equal(logits[0], logits[1][..., :vocabulary])


def test_an_anyres_checkpoint_captions_like_llava_next(
    engines: Any, open_engine: Open, small_folders: Any, tmp_path: Path
) -> None:
    folder = small_folders["llava_next"]
    pinpoints = json.loads((folder / "config.json").read_text())["image_grid_pinpoints"]
    original = write_original(
        folder,
        tmp_path / "llava-next",
        image_aspect_ratio="anyres",
        image_grid_pinpoints=pinpoints,
        mm_patch_merge_type="spatial_unpad",
    )
    asked = requests(pictures(6))
    assert captions(open_engine(original), asked) == captions(engines["llava_next"], asked)


def test_a_checkpoint_trained_on_padded_images_gets_padded_images(
    engine: TransformersEngine, open_engine: Open, small_folder: Path, tmp_path: Path
) -> None:
    padded = open_engine(write_original(small_folder, tmp_path / "llava", image_aspect_ratio="pad"))
    square, long = pictures(1)[0].resize((64, 64)), pictures(1)[0].resize((160, 32))
    ours, twins = captions(padded, requests([square, long])), captions(engine, requests([square, long]))
    assert ours[0] == twins[0]
    assert ours[1] != twins[1]


def test_tokens_without_a_trained_row_are_never_said(open_engine: Open, small_folder: Path, tmp_path: Path) -> None:
    engine = open_engine(write_original(small_folder, tmp_path / "llava"))
    suppressed = set(engine.model.generation_config.suppress_tokens)
    assert engine.model.config.image_token_index in suppressed
    assert engine.model.get_input_embeddings().num_embeddings - 1 in suppressed


def test_a_mistral_checkpoint_keeps_its_kind_its_rotation_and_its_chat_form(small_folder: Path, tmp_path: Path) -> None:
    folder = write_original(small_folder, tmp_path / "llava", model_type="llava_mistral", rope_theta=1_000_000.0)
    original = read_original(find_model(str(folder), None))
    assert original.config.text_config.model_type == "mistral"
    assert original.config.text_config.rope_parameters["rope_theta"] == 1_000_000.0
    assert original.chat_form == MISTRAL


def test_a_folder_with_only_sentencepieces_file_is_read(small_folder: Path, tmp_path: Path) -> None:
    folder = write_original(small_folder, tmp_path / "llava")
    for path in folder.glob("tokenizer*"):
        path.unlink()
    train_pieces(folder / "tokenizer.model", [f"a small boat number {n} lies in the harbor" for n in range(200)])
    original = read_original(find_model(str(folder), None))
    tokenizer = original.processor.tokenizer
    ids = tokenizer("USER: <image>\nDescribe a boat ASSISTANT:")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(original.config.image_token_index) == 1
    assert tokenizer.padding_side == "left"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mm_projector_type": "linear"}, "'linear'"),
        ({"mm_projector_type": "mlp3x_gelu"}, "'mlp3x_gelu'"),
        ({"model_type": "llava_mpt"}, "neither Llama nor Mistral"),
        ({"mm_use_im_start_end": True}, "mm_use_im_start_end"),
        ({"image_aspect_ratio": "anyres_max_9"}, "anyres_max_9"),
        ({"image_aspect_ratio": "anyres", "mm_patch_merge_type": "flat"}, "'flat'"),
        ({"mm_vision_select_feature": "cls"}, "'cls'"),
    ],
)
def test_a_kind_that_cannot_be_mapped_is_refused_in_one_sentence(
    open_engine: Open, small_folder: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    folder = write_original(small_folder, tmp_path / "llava", **change)
    with pytest.raises(BadCheckpointError, match=words) as caught:
        open_engine(folder)
    assert caught.value.sentence.count("\n") == 0


def test_a_lora_adapter_is_refused(open_engine: Open, small_folder: Path, tmp_path: Path) -> None:
    folder = write_original(small_folder, tmp_path / "llava")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(BadCheckpointError, match="LoRA"):
        open_engine(folder)


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    path = folder / "pytorch_model.bin"
    weights = torch.load(path, weights_only=True)
    change(weights)
    torch.save(weights, path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("model.layers.1.mlp.up_proj.weight"), "lacks model.language_model.layers.1.mlp.up_proj"),
        (lambda w: w.pop("model.mm_projector.2.bias"), "lacks model.multi_modal_projector.linear_2.bias"),
        (lambda w: w.pop("lm_head.weight"), "lacks lm_head.weight"),
        (lambda w: w.pop("model.embed_tokens.weight"), "lacks its embeddings"),
        (lambda w: w.update({"model.audio.weight": torch.zeros(2)}), "model.audio.weight"),
        (lambda w: w.update({"model.layers.7.mlp.up_proj.weight": torch.zeros(2)}), "has no place for model.language"),
        (lambda w: w.update({"model.norm.weight": torch.zeros(3)}), "another shape for model.language_model.norm"),
    ],
)
def test_a_checkpoint_with_a_gap_is_refused(
    open_engine: Open, small_folder: Path, tmp_path: Path, change: Any, words: str
) -> None:
    folder = write_original(small_folder, tmp_path / "llava")
    change_weights(folder, change)
    with pytest.raises(BadCheckpointError, match=words):
        open_engine(folder)


def test_a_tower_that_is_nowhere_needs_the_hub(open_engine: Open, small_folder: Path, tmp_path: Path) -> None:
    folder = write_original(small_folder, tmp_path / "llava", tower="folder")
    shutil.rmtree(tmp_path / "clip-tiny")
    with pytest.raises(HubUnreachableError, match="somebody/clip-tiny") as caught:
        open_engine(folder)
    assert str(tmp_path / "clip-tiny") in caught.value.hint


def test_a_tower_of_another_kind_is_refused(open_engine: Open, small_folder: Path, tmp_path: Path) -> None:
    folder = write_original(small_folder, tmp_path / "llava", tower="folder")
    (tmp_path / "clip-tiny" / "config.json").write_text('{"model_type": "siglip"}')
    with pytest.raises(BadCheckpointError, match="'siglip', not CLIP"):
        open_engine(folder)


def test_a_pickle_that_would_run_code_is_not_run(open_engine: Open, small_folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    folder = write_original(small_folder, tmp_path / "llava")
    torch.save({"model.norm.weight": Bomb()}, folder / "pytorch_model.bin")
    with pytest.raises(BadCheckpointError, match="damaged"):
        open_engine(folder)
    assert not (tmp_path / "ran").exists()


def test_a_truncated_weight_file_is_refused(open_engine: Open, small_folder: Path, tmp_path: Path) -> None:
    folder = write_original(small_folder, tmp_path / "llava")
    path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(BadCheckpointError, match="damaged"):
        open_engine(folder)


def test_a_part_that_the_index_names_must_be_there(open_engine: Open, small_folder: Path, tmp_path: Path) -> None:
    folder = write_original(small_folder, tmp_path / "llava", files="bin-index")
    (folder / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(BadCheckpointError, match=r"lacks pytorch_model-00002-of-00002\.bin"):
        open_engine(folder)


def test_the_formats_are_told_apart_by_the_config(small_folder: Path) -> None:
    assert not is_original(json.loads((small_folder / "config.json").read_text()))
    assert is_original({"mm_vision_tower": "openai/clip-vit-large-patch14-336"})
