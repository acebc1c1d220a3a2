"""Draws tokens so that a row's caption depends on that row's seed, not on its neighbours in the batch.

`generate` samples all rows of a batch from one stream of random numbers. Here each row has a stream of its own, and
adds Gumbel noise to its scores: the greatest noisy score is a draw from the softmax (the Gumbel-max trick), so
`generate` decodes greedily. Serves transformers_engine.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.spec import Generation

#: Strength of `limit_repeats`: scores of tokens that the caption holds are weakened by this factor.
REPETITION_PENALTY = 1.15


class SeededDraw:
    """A logits processor. `seeds`: one per row, below 2**63. One object serves one call of `generate`."""

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float, device: Any) -> None:
        import torch

        self.temperature = temperature
        self.top_p = top_p
        self.streams = [torch.Generator(device=device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """scores: (rows, vocabulary), float32. Returns noisy scores of the same shape."""
        import torch

        scores = scores / self.temperature
        if self.top_p < 1.0:
            scores = self._nucleus(scores)
        noise = torch.empty_like(scores)
        for row, stream in enumerate(self.streams):
            noise[row].exponential_(generator=stream)
        return scores - noise.clamp_min(torch.finfo(noise.dtype).tiny).log()

    def _nucleus(self, scores: Any) -> Any:
        """Keeps the likeliest tokens whose mass reaches `top_p`, the one that crosses it included."""
        ordered, places = scores.sort(dim=-1, descending=True)
        mass = ordered.softmax(dim=-1).cumsum(dim=-1)
        beyond = (mass - ordered.softmax(dim=-1)) >= self.top_p
        return scores.masked_fill(beyond.scatter(-1, places, beyond), float("-inf"))


def processors(
    generation: Generation, seeds: Sequence[int], limit_repeats: bool, prompt_tokens: int, device: Any
) -> list[Any]:
    """The logits processors that `generation` asks for; none for greedy decoding without `limit_repeats`."""
    found: list[Any] = []
    if limit_repeats:
        from transformers import RepetitionPenaltyLogitsProcessor

        found.append(RepetitionPenaltyLogitsProcessor(REPETITION_PENALTY, prompt_ignore_length=prompt_tokens))
    if generation.do_sample:
        found.append(SeededDraw(seeds, generation.temperature, generation.top_p, device))
    return found
