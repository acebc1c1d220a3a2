"""Starts of another resolution: positions stay what they were, or it is said that they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import BadCheckpointError
from training import models
from training.checkpoints import dit_from_diffusers, pixart_from_diffusers
from training.models import Size, dit, pixart, separate_embedders
from training.recipe import Recipe
from training.start import start

WIDE = Size(2, 2, 12, text=12, side=8)
CLASSES = 5


@pytest.fixture(autouse=True)
def _wide_is_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models.SIZES, "wide", WIDE)


def shaken(model: Any) -> Any:
    torch.manual_seed(0)
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    return model.eval()


def begun(at: Path, method: str, side: int) -> Any:
    recipe = Recipe.model_validate(
        {
            "method": method,
            "data": {"handoff": "none", "resolution": 8 * side},
            "model": {"start": str(at)},
            "run": {"steps": 1, "batch": 1},
        }
    )
    return start(recipe, side=side, channels=4, text=12, classes=CLASSES)[0].eval()


@pytest.fixture(params=["folder", "file"])
def stage_one(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path]:
    """A trained DiT of latents of 8 values, and where it lies, as diffusers' folder or a file of DiT's own names."""
    model = separate_embedders(shaken(dit(WIDE, CLASSES)))
    if request.param == "folder":
        model.save_pretrained(tmp_path / "dit")
        return model, tmp_path / "dit"
    state = dit_from_diffusers(model.state_dict()) | {"pos_embed": model.pos_embed.pos_embed}
    torch.save(state, tmp_path / "dit.pt")
    return model, tmp_path / "dit.pt"


@torch.no_grad()
def test_a_pixart_made_of_a_dit_of_another_resolution_keeps_its_positions(stage_one: tuple[Any, Path]) -> None:
    model, at = stage_one
    made = begun(at, "pixart", 16)
    old, new = model.pos_embed.pos_embed.view(4, 4, -1), made.pos_embed.pos_embed.view(8, 8, -1)
    torch.testing.assert_close(new[::2, ::2], old, atol=1e-5, rtol=0)
    assert made.config.sample_size == 16
    same = begun(at, "pixart", 8)
    torch.testing.assert_close(same.pos_embed.pos_embed, model.pos_embed.pos_embed)


def test_a_dit_goes_on_at_its_own_resolution_alone(stage_one: tuple[Any, Path]) -> None:
    _, at = stage_one
    assert begun(at, "dit", 8).config.sample_size == 8
    with pytest.raises(BadCheckpointError, match=r"latents of 8 values a side, and data\.resolution makes 16"):
        begun(at, "dit", 16)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_the_1024_pixel_pixart_begun_with_at_another_resolution_reads_no_sizes_and_draws_in_plain_diffusers(
    tmp_path: Path, kind: str
) -> None:
    was = shaken(pixart(Size(2, 2, 12, text=12, side=64), side=128, conditions=True))
    at = tmp_path / "x.pth"
    if kind == "folder":
        at = tmp_path / "pixart"
        was.save_pretrained(at)
    else:
        torch.save(pixart_from_diffusers(was.state_dict()), at)
    assert begun(at, "pixart", 128).use_additional_conditions
    made = begun(at, "pixart", 64)
    assert not made.use_additional_conditions
    old, new = was.pos_embed.pos_embed.view(64, 64, -1), made.pos_embed.pos_embed.view(32, 32, -1)
    torch.testing.assert_close(new, old[::2, ::2], atol=1e-5, rtol=0)
    latents, texts = torch.randn(1, 4, 64, 64), torch.randn(1, 5, 12)
    # What diffusers' pipeline gives where the side is not 128.
    nothing = {"resolution": None, "aspect_ratio": None}
    said = made(latents, encoder_hidden_states=texts, timestep=torch.tensor([500]), added_cond_kwargs=nothing).sample
    sizes = {"resolution": torch.full((1, 2), 512.0), "aspect_ratio": torch.ones(1, 1)}
    asked = pixart(Size(2, 2, 12, text=12, side=64), side=64, conditions=True).eval()
    asked.load_state_dict(was.state_dict())
    expected = asked(latents, encoder_hidden_states=texts, timestep=torch.tensor([500]), added_cond_kwargs=sizes)
    torch.testing.assert_close(said, expected.sample, atol=1e-4, rtol=0)
    made.save_pretrained(tmp_path / "out")
    assert not type(made).from_pretrained(tmp_path / "out").use_additional_conditions
