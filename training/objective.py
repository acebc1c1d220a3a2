"""What is learnt: how an image is noised, what the model must say of it, and how wrong it was.

`flow`: a straight line from image to noise, the model says its direction (rectified flow, arXiv 2209.03003; time steps
drawn logit-normally as in arXiv 2403.03206). `epsilon` and `v`: the linear schedule of DDPM as DiT and PixArt train it,
betas from 0.0001 to 0.02 (diffusers' DDPMScheduler), times 1,000 / steps where there are others than 1,000 of them, as
DiT does, so that any number ends in noise. `learn_sigma` adds DiT's variational term (variance.py).
Leaves out: dropping captions and classes, which is done where they are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from training.recipe import Objective
from training.variance import variational_bound

if TYPE_CHECKING:
    from diffusers import SchedulerMixin

#: DDPM's linear schedule of 1,000 steps (arXiv 2006.11239), which DiT and PixArt keep.
BETAS, STEPS = (0.0001, 0.02), 1000
#: Time steps that a flow model is told: 0 to 1 times this, as diffusers' samplers say them.
FLOW_STEPS = 1000


@dataclass(frozen=True, slots=True)
class Noised:
    """A batch on its way: `latents` (n, c, h, w) with noise, `times` (n) as the model is told, `target` like latents,
    `weights` (n)."""

    latents: torch.Tensor
    times: torch.Tensor
    target: torch.Tensor
    weights: torch.Tensor


class Learning:
    """The objective of a recipe, ready to make batches."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.schedule: Any = None if objective.kind == "flow" else _schedule(objective)

    def draw(self, shape: torch.Size, generators: Sequence[torch.Generator]) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise for latents of this shape (n, c, h, w), and (n) places on the way from image to noise, 0 to 1.

        Every image has its own chance, so that it meets the same noise whatever else is in its batch. Offset noise is
        one value more for each channel.
        """
        strength = self.objective.offset_noise
        noises, places = [], []
        for chance in generators:
            place = (
                torch.randn(1, generator=chance).sigmoid() if self._is_logit_normal else torch.rand(1, generator=chance)
            )
            noise = torch.randn(shape[1:], generator=chance)
            if strength:
                noise += strength * torch.randn((shape[1], 1, 1), generator=chance)
            noises.append(noise)
            places.append(place)
        return torch.stack(noises), torch.cat(places)

    @property
    def _is_logit_normal(self) -> bool:
        return self.objective.times == "logit_normal"

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, places: torch.Tensor) -> Noised:
        """`clean` latents (n, c, h, w) at `places` (n), 0 to 1, on the way to `noise`."""
        if self.schedule is None:
            share = places.view(-1, *(1 for _ in clean.shape[1:])).to(clean)
            times = places.to(clean) * FLOW_STEPS
            weights = torch.ones_like(times)
            return Noised((1 - share) * clean + share * noise, times, noise - clean, weights)
        times = (places * self.objective.steps).long().clamp(max=self.objective.steps - 1).to(clean.device)
        latents = self.schedule.add_noise(clean, noise, times)
        target = noise if self.objective.kind == "epsilon" else self.schedule.get_velocity(clean, noise, times)
        return Noised(latents, times, target, self._weights(times).to(clean))

    def loss(self, said: torch.Tensor, batch: Noised, clean: torch.Tensor) -> torch.Tensor:
        """(n) the loss of each image; `said`: the model's output, twice as many channels with `learn_sigma`."""
        if not self.objective.learn_sigma:
            return _mean((said - batch.target).square()) * batch.weights
        mean, variance = said.chunk(2, dim=1)
        # The variational term teaches the variance alone (DiT, as in arXiv 2102.09672).
        bound = variational_bound(self.schedule, mean.detach(), variance, batch.latents, clean, batch.times)
        return _mean((mean - batch.target).square()) * batch.weights + bound

    def sampler(self) -> SchedulerMixin:
        """The scheduler that draws with what was learnt, as it is saved beside the model."""
        from diffusers import DPMSolverMultistepScheduler

        if self.schedule is None:
            return DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
        kind = {"epsilon": "epsilon", "v": "v_prediction"}[self.objective.kind]
        zero = self.objective.zero_terminal_snr
        first, last = _betas(self.objective.steps)
        return DPMSolverMultistepScheduler(
            num_train_timesteps=self.objective.steps,
            beta_start=first,
            beta_end=last,
            beta_schedule="linear",
            prediction_type=kind,
            rescale_betas_zero_snr=zero,
            timestep_spacing="trailing" if zero else "linspace",
            # Without it the last step of sampling divides by a sigma of zero.
            euler_at_final=zero,
        )

    def _weights(self, times: torch.Tensor) -> torch.Tensor:
        """Min-SNR (arXiv 2303.09556, section 3.4): min(SNR, gamma) / SNR for epsilon, / (SNR + 1) for v.

        At zero terminal SNR that is 0 at the last step, where drawing begins: it weighs 1, as in the authors' code.
        """
        gamma = self.objective.min_snr
        if gamma is None:
            return torch.ones(times.shape)
        kept = self.schedule.alphas_cumprod.to(times.device)[times]
        snr = kept / (1 - kept)
        whole = snr if self.objective.kind == "epsilon" else snr + 1
        weights = snr.clamp(max=gamma) / whole
        if self.objective.zero_terminal_snr:
            weights = weights.where(times < self.objective.steps - 1, 1.0)
        return weights


def _schedule(objective: Objective) -> SchedulerMixin:
    from diffusers import DDPMScheduler

    first, last = _betas(objective.steps)
    return DDPMScheduler(
        num_train_timesteps=objective.steps,
        beta_start=first,
        beta_end=last,
        beta_schedule="linear",
        prediction_type="epsilon" if objective.kind == "epsilon" else "v_prediction",
        rescale_betas_zero_snr=objective.zero_terminal_snr,
        clip_sample=False,
    )


def _betas(steps: int) -> tuple[float, float]:
    """First and last beta of so many steps."""
    return BETAS[0] * STEPS / steps, BETAS[1] * STEPS / steps


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.flatten(1).mean(1)
