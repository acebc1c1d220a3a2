"""Draws follow the softmax, and a row's draw is its own."""

from __future__ import annotations

import torch

from captioner.sampling import SeededDraw, processors
from core.spec import Generation


def draw(scores: torch.Tensor, seeds: list[int], temperature: float = 1.0, top_p: float = 1.0) -> list[int]:
    return SeededDraw(seeds, temperature, top_p, "cpu")(None, scores).argmax(dim=-1).tolist()


def test_greedy_decoding_needs_no_processor() -> None:
    assert processors(Generation(), [1], False, 3, "cpu") == []


def test_a_row_draws_the_same_alone_and_in_a_batch() -> None:
    scores = torch.randn(5, 50, generator=torch.Generator().manual_seed(0))
    seeds = [3, 1, 4, 1, 5]
    together = draw(scores, seeds)
    assert together == [draw(scores[row : row + 1], [seeds[row]])[0] for row in range(5)]


def test_another_seed_draws_otherwise() -> None:
    scores = torch.zeros(1, 1000)
    assert len({draw(scores, [seed])[0] for seed in range(20)}) > 15


def test_draws_have_the_softmaxs_frequencies() -> None:
    chances = torch.tensor([0.5, 0.3, 0.15, 0.05])
    found = torch.tensor(draw(chances.log().expand(20_000, 4), list(range(20_000))))
    shares = torch.bincount(found, minlength=4) / 20_000
    assert torch.allclose(shares, chances, atol=0.015), shares


def test_a_low_temperature_takes_the_likeliest() -> None:
    assert set(draw(torch.tensor([[1.0, 2.0, 0.0]]).expand(50, 3), list(range(50)), temperature=0.01)) == {1}


def test_top_p_keeps_the_likeliest_tokens_of_that_mass() -> None:
    scores = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().expand(300, 4)
    assert set(draw(scores, list(range(300)), top_p=0.7)) == {0, 1}
    assert set(draw(scores, list(range(300)), top_p=0.01)) == {0}
