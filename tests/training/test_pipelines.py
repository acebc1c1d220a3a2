"""What a run ends in draws in plain diffusers, whatever its encoders computed in; a full disk is said to be full."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.errors import StorageFullError
from tests.training.small_handoff import sections
from tests.training.test_prepare import Counted
from training.pipelines import save_pipeline
from training.prepare import Prepared, prepare
from training.recipe import Recipe
from training.start import find_transformer


def ready(small: dict[str, Path], folder: Path) -> Prepared:
    return prepare(Recipe.model_validate(sections(small)), folder, Counted())


def test_a_run_whose_encoders_are_in_half_precision_draws_in_plain_diffusers(
    small: dict[str, Path], tmp_path: Path
) -> None:
    from diffusers import PixArtAlphaPipeline

    made = ready(small, tmp_path)
    assert made.texts is not None
    # As on a GPU.
    made.images.vae.half()
    encoder = made.texts.encoder.half()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    folder = save_pipeline(tmp_path, made, made.task.model)
    assert made.texts.encoder.dtype == torch.float16
    assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in before.items())
    plain = PixArtAlphaPipeline.from_pretrained(folder)
    assert {plain.text_encoder.dtype, plain.transformer.dtype, plain.vae.dtype} == {torch.float32}
    written = plain.text_encoder.state_dict()
    assert all(torch.equal(value.float(), written[name]) for name, value in before.items())
    plain.set_progress_bar_config(disable=True)
    asked = {"num_inference_steps": 2, "width": 32, "height": 32, "use_resolution_binning": False}
    (image,) = plain("a red dog", clean_caption=False, **asked).images
    assert image.size == (32, 32)


def test_a_full_disk_leaves_the_pipeline_that_was_there(
    small: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    made = ready(small, tmp_path)
    folder = save_pipeline(tmp_path, made, made.task.model)
    files = {file.relative_to(folder) for file in folder.rglob("*")}

    def full(*given: object, **more: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(type(made.task.model), "save_pretrained", full)
        with pytest.raises(StorageFullError):
            save_pipeline(tmp_path, made, made.task.model)
    assert {file.relative_to(folder) for file in folder.rglob("*")} == files
    assert not list(tmp_path.glob("pipeline.*"))


def test_a_pipeline_that_stands_aside_is_found(small: dict[str, Path], tmp_path: Path) -> None:
    made = ready(small, tmp_path)
    folder = save_pipeline(tmp_path, made, made.task.model)
    folder.rename(tmp_path / "pipeline.old")
    assert find_transformer(str(tmp_path)) == tmp_path / "pipeline.old" / "transformer"
