"""Files of DiT's and PixArt's own code are starts like any other."""

from __future__ import annotations

import pytest
import torch
from structlog.testing import capture_logs

from core.errors import BadCheckpointError
from training import models
from training.checkpoints import dit_from_diffusers, pixart_from_diffusers
from training.models import Size, dit, pixart, separate_embedders
from training.originals import load_original

SMALL = Size(2, 2, 8, text=12, side=8)


@pytest.fixture(autouse=True)
def _small_is_a_size(monkeypatch):
    monkeypatch.setitem(models.SIZES, "small", SMALL)
    monkeypatch.setitem(models.SIZES, "wide", WIDE)


#: Its width is one of three parts, as size conditions need it.
WIDE = Size(2, 2, 12, text=12, side=32)


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """With weights that are not zero anywhere."""
    with torch.no_grad():
        for each in model.parameters():
            each.add_(0.1 * torch.randn_like(each))
    return model.eval()


@pytest.mark.parametrize("inside", [None, "ema", "state_dict"])
def test_a_pixart_file_says_what_the_model_said(tmp_path, inside):
    model = shaken(pixart(SMALL, learn_sigma=True))
    state = pixart_from_diffusers(model.state_dict()) | {"pos_embed": torch.zeros(1, 16, 16)}
    file = tmp_path / "model.pth"
    torch.save(state if inside is None else {inside: state, "epoch": 3}, file)
    again = load_original(file, 8).eval()
    latents, texts = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 12)
    given = {"encoder_hidden_states": texts, "timestep": torch.tensor([3, 700])}
    assert torch.equal(model(latents, **given).sample, again(latents, **given).sample)


def test_a_dit_file_keeps_its_classes_and_its_licence_is_announced(tmp_path):
    model = separate_embedders(shaken(dit(SMALL, 5, learn_sigma=True)))
    file = tmp_path / "dit.pt"
    torch.save(dit_from_diffusers(model.state_dict()), file)
    with capture_logs() as said:
        again = load_original(file, 8)
    assert again.config.num_embeds_ada_norm == 5
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert any("CC-BY-NC-4.0" in each["event"] for each in said)


def test_a_file_of_another_kind_or_size_is_refused_with_a_sentence(tmp_path):
    file = tmp_path / "x.pth"
    torch.save({"some.weight": torch.zeros(2)}, file)
    with pytest.raises(BadCheckpointError, match="neither DiT's nor PixArt's"):
        load_original(file, 8)
    torch.save(pixart_from_diffusers(pixart(Size(1, 2, 8, text=12, side=8)).state_dict()), file)
    with pytest.raises(BadCheckpointError, match="1 layers of 16 channels"):
        load_original(file, 8)
    file.write_bytes(b"no weights")
    with pytest.raises(BadCheckpointError, match="cannot be read as weights"):
        load_original(file, 8)


def test_a_missing_weight_is_named(tmp_path):
    state = pixart_from_diffusers(pixart(SMALL).state_dict())
    del state["blocks.1.mlp.fc1.weight"]
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(BadCheckpointError, match=r"transformer_blocks\.1\.ff"):
        load_original(tmp_path / "x.pt", 8)


@pytest.mark.parametrize("table", [True, False])
def test_a_file_that_reads_sizes_is_the_1024_pixel_model(tmp_path, table):
    model = shaken(pixart(Size(2, 2, 12, text=12, side=64), side=128, conditions=True))
    state = pixart_from_diffusers(model.state_dict())
    assert "csize_embedder.mlp.0.weight" in state
    if table:
        state["pos_embed"] = torch.zeros(1, 64 * 64, 24)
    file = tmp_path / "PixArt-XL-2-1024-MS.pth"
    torch.save({"state_dict": state}, file)
    with capture_logs() as said:
        again = load_original(file, 128).eval()
    assert again.config.interpolation_scale == 2, "positions of 1,024 pixels were halved in training"
    given = {
        "encoder_hidden_states": torch.randn(1, 5, 12),
        "timestep": torch.tensor([700]),
        "added_cond_kwargs": {"resolution": torch.tensor([[768.0, 1280.0]]), "aspect_ratio": torch.tensor([[0.6]])},
    }
    latents = torch.randn(1, 4, 12, 20)
    assert torch.equal(model(latents, **given).sample, again(latents, **given).sample)
    assert said == []


def test_a_file_without_positions_is_taken_to_be_of_the_runs_resolution_and_that_is_said(tmp_path):
    torch.save(pixart_from_diffusers(shaken(pixart(WIDE)).state_dict()), tmp_path / "x.pth")
    with capture_logs() as said:
        assert load_original(tmp_path / "x.pth", 64).config.interpolation_scale == 1
    assert any("no table of positions" in each["event"] for each in said)


def test_a_dit_file_comes_back_for_the_latents_it_was_trained_on(tmp_path):
    model = separate_embedders(shaken(dit(SMALL, 5)))
    state = dit_from_diffusers(model.state_dict()) | {"pos_embed": torch.zeros(1, 16, 16)}
    torch.save(state, tmp_path / "dit.pt")
    assert load_original(tmp_path / "dit.pt", 16).config.sample_size == 8
