"""Size conditions: told in pixels where a model asks, and put into the model where diffusers would tell none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.small_run import cached, recipe
from training.models import Size, pixart
from training.size_conditions import without_size_conditions
from training.task import Batch
from training.text_to_image import TextToImage

#: A third of the width is the vector of one size.
SIZE = Size(2, 2, 12, text=12, side=8)


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    made = pixart(SIZE, conditions=True).eval()
    for weights in made.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    return made


@torch.no_grad()
def test_of_squares_the_model_without_conditions_says_what_the_one_with_them_says(model: Any) -> None:
    made = without_size_conditions(model, 512).eval()
    assert not made.use_additional_conditions
    assert not any("resolution" in name or "aspect" in name for name in made.state_dict())
    latents, times = torch.randn(2, 4, 8, 8), torch.tensor([3, 700])
    given = {"encoder_hidden_states": torch.randn(2, 5, 12), "timestep": times}

    def said(pixels: float) -> torch.Tensor:
        sizes = {"resolution": torch.full((2, 2), pixels), "aspect_ratio": torch.ones(2, 1)}
        return model(latents, **given, added_cond_kwargs=sizes).sample

    without = made(latents, **given).sample
    torch.testing.assert_close(without, said(512.0), atol=1e-5, rtol=0)
    assert (without - said(1024.0)).abs().max() > 1e-3


def batch(count: int, height: int, width: int) -> Batch:
    texts, mask = torch.randn(count, 5, 12), torch.ones(count, 5)
    chance = tuple(torch.Generator().manual_seed(number) for number in range(count))
    return Batch(torch.randn(count, 4, height, width), chance, ("k",) * count, {"texts": texts, "mask": mask})


def test_sizes_are_told_in_pixels_height_first_as_diffusers_pipeline_does(model: Any, tmp_path: Path) -> None:
    task = TextToImage(recipe(data={"resolution": 64}), model, cached(tmp_path))
    told = task.conditions(batch(3, 6, 10))
    assert told is not None
    # A latent of 8 values is 64 pixels.
    assert told["resolution"].tolist() == [[48.0, 80.0]] * 3
    assert told["aspect_ratio"].flatten().tolist() == pytest.approx([0.6] * 3)
    assert told["aspect_ratio"].shape == (3, 1)
    losses = task.losses(model, batch(3, 6, 10))
    assert losses.shape == (3,)
    losses.sum().backward()
    assert model.adaln_single.emb.resolution_embedder.linear_1.weight.grad.any()


def test_a_model_that_asks_for_no_sizes_is_told_none(tmp_path: Path) -> None:
    assert TextToImage(recipe(), pixart(SIZE), cached(tmp_path)).conditions(batch(1, 8, 8)) is None
