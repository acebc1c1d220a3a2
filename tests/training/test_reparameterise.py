"""PixArt's re-parameterisation: at the chosen time step the text model says what the class model said without class."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import BadFieldError
from training import reparameterise
from training.models import Size, dit
from training.reparameterise import WithoutClass, hear_own_times, pixart_from_dit

SMALL = Size(3, 2, 16, text=24, side=8)
CLASSES = 7


@pytest.fixture
def trained() -> Any:
    """A DiT as training leaves it: no weight is zero."""
    torch.manual_seed(0)
    model = dit(SMALL, CLASSES, learn_sigma=True)
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    return model.eval()


@pytest.mark.parametrize("without", ["null", "zero"])
@pytest.mark.parametrize("at", [500, 120])
@torch.no_grad()
def test_at_the_chosen_step_both_say_the_same_whatever_the_caption(
    trained: Any, without: WithoutClass, at: int
) -> None:
    made = pixart_from_dit(trained, text=24, at=at, without=without).eval()
    if without == "zero":
        trained.transformer_blocks[0].norm1.emb.class_embedder.embedding_table.weight[CLASSES] = 0
    latents, times, nothing = torch.randn(2, 4, 8, 8), torch.tensor([at, at]), torch.tensor([CLASSES, CLASSES])
    expected = trained(latents, times, nothing).sample
    for captions in (torch.randn(2, 5, 24), torch.zeros(2, 1, 24)):
        said = made(latents, encoder_hidden_states=captions, timestep=times).sample
        torch.testing.assert_close(said, expected, atol=1e-5, rtol=0)
    elsewhere = made(latents, encoder_hidden_states=captions, timestep=times + 200).sample
    assert (elsewhere - expected).abs().max() > 0.1, "at other steps the MLP's own time steps count"


@torch.no_grad()
def test_the_two_meanings_of_no_class_differ(trained: Any) -> None:
    one, other = (pixart_from_dit(trained, text=24, without=without) for without in ("null", "zero"))
    assert not torch.allclose(one.scale_shift_table, other.scale_shift_table)


def test_a_dit_that_knows_no_null_class_is_refused(trained: Any) -> None:
    table = trained.transformer_blocks[0].norm1.emb.class_embedder.embedding_table
    table.weight = torch.nn.Parameter(table.weight[:CLASSES])
    with pytest.raises(BadFieldError, match="without a class for no class"):
        pixart_from_dit(trained, text=24, without="null")
    pixart_from_dit(trained, text=24, without="zero")


@torch.no_grad()
def test_at_another_resolution_the_old_positions_stay_what_they_were(trained: Any) -> None:
    made = pixart_from_dit(trained, text=24, side=16)
    assert made.config.sample_size == 16
    old = trained.pos_embed.pos_embed.view(4, 4, -1)
    new = made.pos_embed.pos_embed.view(8, 8, -1)
    torch.testing.assert_close(new[::2, ::2], old, atol=1e-5, rtol=0)


def test_the_two_classes_hear_time_steps_differently_as_is_said() -> None:
    of_dit = dit(SMALL, CLASSES).transformer_blocks[0].norm1.emb.time_proj
    of_pixart = pixart_from_dit(dit(SMALL, CLASSES), text=24).adaln_single.emb.time_proj
    times = torch.tensor([300, 500, 700, 900])
    cosines = torch.cosine_similarity(of_dit(times), of_pixart(times))
    assert [round(float(each), 2) for each in cosines] == [0.93, 0.82, 0.68, 0.55]
    told = "0.93 at t = 300, 0.82 at 500, 0.68 at 700, 0.55 at 900"
    assert told in " ".join((reparameterise.__doc__ or "").split())
    page = Path(__file__).resolve().parents[2] / "docs" / "training.md"
    assert told in " ".join(page.read_text().split())


@torch.no_grad()
def test_a_dit_of_its_own_code_hears_its_own_times_and_its_pixart_the_same_at_every_step(trained: Any) -> None:
    hear_own_times(trained)
    embedder = trained.transformer_blocks[2].norm1.emb
    times = torch.tensor([0, 17, 500, 999])
    # DiT's own: cosines before sines, of 10000^(-i/128).
    angles = times[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
    torch.testing.assert_close(embedder.time_proj(times), torch.cat([angles.cos(), angles.sin()], 1))
    made = pixart_from_dit(trained, text=24)
    heard = made.adaln_single.emb(times, None, None, len(times), torch.float32)
    torch.testing.assert_close(heard, embedder.timestep_embedder(embedder.time_proj(times)))
