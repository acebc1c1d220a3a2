"""The variational term of DiT's and PixArt's hybrid loss: what teaches a model the variance of its own steps.

Improved DDPM, sections 3.1 and 3.4 (arXiv 2102.09672): the model's second half of channels says, from -1 to 1, where
between the two possible log variances of a step it lies; the loss is the distance (KL, in bits for each value) from the
true step that training knows, and at the first step the likelihood of the image itself.
"""

from __future__ import annotations

import math
from typing import Any

import torch

#: Latents are scored as values in 255 steps of [-1, 1], as DiT does with them.
_HALF_STEP = 1 / 255
_LEAST = 1e-12


def variational_bound(
    schedule: Any,
    epsilon: torch.Tensor,
    variance: torch.Tensor,
    latents: torch.Tensor,
    clean: torch.Tensor,
    times: torch.Tensor,
) -> torch.Tensor:
    """(n) bits for each value. `epsilon`, `variance` (n, c, h, w): both halves of what the model said of `latents` at
    `times` (n, integers); `schedule`: diffusers' DDPMScheduler."""
    kept = schedule.alphas_cumprod.to(latents)
    before = torch.cat([kept.new_ones(1), kept[:-1]])
    betas = schedule.betas.to(latents)
    posterior = betas * (1 - before) / (1 - kept)
    # The first one is zero; its neighbour stands in for it.
    least = torch.cat([posterior[1:2], posterior[1:]]).log()

    def at(values: torch.Tensor) -> torch.Tensor:
        return values[times].view(-1, *(1 for _ in latents.shape[1:]))

    share = (variance + 1) / 2
    log_variance = share * at(betas.log()) + (1 - share) * at(least)
    guess = (latents - at((1 - kept).sqrt()) * epsilon) / at(kept.sqrt())
    of_clean, of_noised = at(betas * before.sqrt() / (1 - kept)), at((1 - before) * (1 - betas).sqrt() / (1 - kept))
    true, ours = of_clean * clean + of_noised * latents, of_clean * guess + of_noised * latents
    distance = _kl(true, at(least), ours, log_variance)
    likelihood = -_log_likelihood(clean, ours, log_variance / 2)
    bits = torch.where(at(torch.arange(len(kept), device=times.device)) == 0, likelihood, distance) / math.log(2)
    return bits.flatten(1).mean(1)


def _kl(
    mean: torch.Tensor, log_variance: torch.Tensor, other: torch.Tensor, other_log_variance: torch.Tensor
) -> torch.Tensor:
    """KL of two normal distributions, in nats."""
    return 0.5 * (
        -1.0
        + other_log_variance
        - log_variance
        + (log_variance - other_log_variance).exp()
        + (mean - other).square() * (-other_log_variance).exp()
    )


def _log_likelihood(value: torch.Tensor, mean: torch.Tensor, log_deviation: torch.Tensor) -> torch.Tensor:
    """Log of the mass that a normal distribution has on the value's own step of [-1, 1]; the ends have the tails."""
    normal = torch.distributions.Normal(mean, log_deviation.exp())
    above, below = normal.cdf(value + _HALF_STEP), normal.cdf(value - _HALF_STEP)
    mass = torch.where(value > 0.999, 1 - below, torch.where(value < -0.999, above, above - below))
    return mass.clamp(min=_LEAST).log()
