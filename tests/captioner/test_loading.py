"""No weight is ever left random, and every refusal to start is one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from captioner.loading import load_model, pick_device, pick_dtype
from captioner.transformers_engine import TransformersEngine
from core.errors import BadCheckpointError, EngineConfigError, MissingPackageError
from tests.captioner.helpers import GREEDY, pictures, requests, settings, spec_of

Weights = dict[str, torch.Tensor]


def changed(folder: Path, target: Path, change: Callable[[Weights], Any]) -> Path:
    """A copy of a small model with other weights."""
    shutil.copytree(folder, target)
    weights = load_file(target / "model.safetensors")
    change(weights)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


def load(folder: Path, **more: object) -> Any:
    return load_model(spec_of(folder, **more), settings())


@pytest.mark.parametrize("kind", ["llava", "llava_next", "llava_onevision"])
def test_every_family_loads_in_float32_on_a_cpu(small_folders: dict[str, Path], kind: str) -> None:
    model = load(small_folders[kind]).model
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert model.device.type == "cpu"
    assert not model.training


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("language_model.lm_head.weight"), "lacks lm_head.weight"),
        (lambda w: w.pop("multi_modal_projector.linear_1.bias"), "lacks model.multi_modal_projector.linear_1.bias"),
        (lambda w: w.update({"vision_tower.extra": torch.zeros(2)}), "has no place for .*vision_tower.extra"),
        (
            lambda w: w.update({"language_model.model.norm.weight": torch.zeros(3)}),
            "has another shape for .*norm.weight",
        ),
    ],
)
def test_a_checkpoint_with_a_gap_is_refused(small_folder: Path, tmp_path: Path, change: Any, words: str) -> None:
    folder = changed(small_folder, tmp_path / "broken", change)
    with pytest.raises(BadCheckpointError, match=words) as caught:
        load(folder)
    assert "\n" not in caught.value.sentence


def test_many_missing_weights_are_counted_not_listed(small_folder: Path, tmp_path: Path) -> None:
    def drop_tower(weights: Weights) -> None:
        for name in [name for name in weights if name.startswith("vision_tower")]:
            del weights[name]

    with pytest.raises(BadCheckpointError, match=r"and \d+ more"):
        load(changed(small_folder, tmp_path / "broken", drop_tower))


def test_weights_named_as_in_the_published_checkpoints_are_found(small_folder: Path, tmp_path: Path) -> None:
    def rename(weights: Weights) -> None:
        for name in [name for name in weights if name.startswith("vision_tower.")]:
            weights[name.replace("vision_tower.", "vision_tower.vision_model.", 1)] = weights.pop(name)

    published = load(changed(small_folder, tmp_path / "published", rename)).model
    ours = load(small_folder).model
    assert all(torch.equal(a, b) for a, b in zip(published.parameters(), ours.parameters(), strict=True))


def test_a_truncated_weight_file_is_refused(small_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "broken"))
    data = (folder / "model.safetensors").read_bytes()
    for size in (len(data) - 1000, 100, 0):
        (folder / "model.safetensors").write_bytes(data[:size])
        with pytest.raises(BadCheckpointError):
            load(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "processor_config.json"])
def test_a_missing_file_is_refused(small_folder: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "broken"))
    (folder / name).unlink()
    with pytest.raises(BadCheckpointError):
        load(folder)


def test_a_model_of_another_family_is_refused(small_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "other"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gemma3"}))
    with pytest.raises(EngineConfigError, match="type 'gemma3'"):
        load(folder)


def test_a_processor_that_does_not_fit_the_model_shows_at_the_start(small_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "misfit"))
    config = json.loads((folder / "processor_config.json").read_text())
    (folder / "processor_config.json").write_text(json.dumps(config | {"patch_size": 4}))
    with pytest.raises(EngineConfigError, match="cannot caption a plain picture"):
        TransformersEngine.load(spec_of(folder), settings())


def test_quantization_needs_its_package(small_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for bits in ("8bit", "4bit"):
        with pytest.raises(MissingPackageError, match="bitsandbytes") as caught:
            load(small_folder, quantization=bits)
        assert "densify[quantize]" in caught.value.hint


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "meta", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(EngineConfigError, match=name):
        pick_device(name)


def test_auto_is_float32_on_a_cpu_and_bfloat16_on_a_gpu_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("cuda", 0)
    for has_it, dtype in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, found=has_it: found)
        assert pick_dtype("auto", torch.device("cuda", 0)) == dtype
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    assert pick_dtype("auto", torch.device("cpu")) == torch.float32
    assert pick_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16


def test_sampling_settings_of_the_checkpoint_do_not_change_captions(
    engine: TransformersEngine, open_engine: Callable[..., TransformersEngine], small_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "hot"))
    own = json.loads((folder / "generation_config.json").read_text())
    hot = {"do_sample": True, "temperature": 5.0, "repetition_penalty": 3.0, "max_length": 7}
    (folder / "generation_config.json").write_text(json.dumps(own | hot))
    asked = requests(pictures(3))
    assert list(open_engine(folder).caption(asked, GREEDY)) == list(engine.caption(asked, GREEDY))
