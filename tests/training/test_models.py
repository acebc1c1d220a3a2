"""The models that learn: their sizes, how they begin, and that every result is diffusers' own class."""

from __future__ import annotations

import pytest
import torch
from diffusers import DiTTransformer2DModel, PixArtTransformer2DModel

from training.models import SIZES, Size, dit, drop_classes, parameters, pixart, share_embedders

SMALL = Size(2, 2, 16, text=24, side=8)


def test_parameters_are_those_of_the_papers() -> None:
    with torch.device("meta"):
        at_256 = PixArtTransformer2DModel(sample_size=32, caption_channels=4096)
        at_1024 = PixArtTransformer2DModel(sample_size=128, caption_channels=4096)
        class_conditional = DiTTransformer2DModel(out_channels=8)
    assert parameters(at_256) == 610_856_096
    assert parameters(at_1024) == 611_349_152, "with size conditions"
    assert parameters(class_conditional) == 749_826_464, "an embedder in each of 28 blocks"
    share_embedders(class_conditional)
    assert parameters(class_conditional) == 674_834_720


@pytest.mark.parametrize("name", SIZES)
def test_a_named_size_is_what_diffusers_makes_of_its_numbers(name: str) -> None:
    size = SIZES[name]
    with torch.device("meta"):
        model = pixart(size, learn_sigma=True)
    assert (model.inner_dim, model.config.num_layers, model.out_channels) == (size.width, size.layers, 8)
    assert (name != "XL/2") or parameters(model) == 610_856_096


def test_a_new_pixart_says_nothing_and_hears_no_caption() -> None:
    torch.manual_seed(0)
    model = pixart(SMALL).eval()
    latents, captions = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 24)
    with torch.no_grad():
        assert not model(latents, encoder_hidden_states=captions, timestep=torch.tensor([3, 700])).sample.any()
        torch.nn.init.normal_(model.proj_out.weight)
        said = [
            model(latents, encoder_hidden_states=text, timestep=torch.tensor([3, 700])).sample
            for text in (captions, torch.zeros_like(captions))
        ]
    assert said[0].any()
    assert torch.equal(*said)


def test_blocks_of_a_dit_share_one_embedder_and_classes_are_dropped_once() -> None:
    torch.manual_seed(0)
    model = dit(SMALL, classes=5).train()
    embedders = {id(block.norm1.emb) for block in model.transformer_blocks}
    assert len(embedders) == 1
    for block in model.transformer_blocks:
        torch.nn.init.normal_(block.norm1.linear.weight)
    torch.nn.init.normal_(model.proj_out_2.weight)
    latents, times = torch.randn(1, 4, 8, 8), torch.tensor([10])
    kept = drop_classes(torch.tensor([2, 2]), torch.tensor([False, True]), model)
    assert kept.tolist() == [2, 5]
    said = [model(latents, times, torch.tensor([2])).sample for _ in range(4)]
    assert all(torch.equal(said[0], again) for again in said), "nothing is dropped inside, though it is in training"


def test_weights_go_from_one_resolution_to_the_next_with_their_positions() -> None:
    small, large = pixart(SMALL), pixart(SMALL, side=16)
    large.load_state_dict(small.state_dict())
    low = small.pos_embed.pos_embed.view(4, 4, -1)
    high = large.pos_embed.pos_embed.view(8, 8, -1)
    assert torch.allclose(low, high[::2, ::2], atol=1e-6)
