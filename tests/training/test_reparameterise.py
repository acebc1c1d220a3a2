"""PixArt's re-parameterisation: at the chosen time step the text model says what the class model said without class."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.errors import BadFieldError
from training.models import Size, dit
from training.reparameterise import WithoutClass, pixart_from_dit

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
