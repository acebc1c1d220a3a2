"""A mixture of normal distributions as a data set of classes: what a perfect model and a perfect classifier say of it.

Both are modules of the interface that diffusers' DiT and transformers' ViT have, so that real code runs on the truth.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from training.guided import signal_and_noise


class Mixture(torch.nn.Module):
    """Classes of one chance each: normal distributions of `means` (k, c, h, w) and deviation `spread`.

    Called as a DiT is: class k stands for no class. `scheduler` says what is predicted, and of which noise.
    """

    def __init__(self, means: torch.Tensor, spread: float, scheduler: Any) -> None:
        super().__init__()
        self.means, self.spread, self.scheduler = means, spread, scheduler

    def likely(self, latents: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
        """(n, k) log-likelihood of noised latents in each class, up to a constant of all."""
        width = (signal * self.spread) ** 2 + noise**2
        return -(latents[:, None] - signal * self.means).square().flatten(2).sum(2) / (2 * width)

    def of_each(self, latents: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
        """(n, k, c, h, w) what is to be said of noised latents if their class is known."""
        width = (signal * self.spread) ** 2 + noise**2
        apart = (latents[:, None] - signal * self.means) / width
        epsilon, clean = noise * apart, self.means + signal * self.spread**2 * apart
        kind = self.scheduler.config.prediction_type
        if kind == "epsilon":
            return epsilon
        return epsilon - clean if kind == "flow_prediction" else signal * epsilon - noise * clean

    def said(self, latents: torch.Tensor, classes: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
        """(n, c, h, w) the perfect answer; class k: without a class."""
        count = len(self.means)
        shares = self.likely(latents, signal, noise).softmax(1)
        known = torch.nn.functional.one_hot(classes, count + 1)[:, :count].to(shares)
        shares = torch.where((classes == count)[:, None], shares, known)
        return (shares[:, :, None, None, None] * self.of_each(latents, signal, noise)).sum(1)

    def forward(self, latents: torch.Tensor, timestep: torch.Tensor, class_labels: torch.Tensor) -> Any:
        signal, noise = signal_and_noise(self.scheduler, float(timestep[0]))
        return SimpleNamespace(sample=self.said(latents, class_labels, signal, noise))


class Judge(torch.nn.Module):
    """The perfect classifier of a mixture, called as a classifier's model is: the last channel says the time."""

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.mixture = mixture

    def forward(self, pixel_values: torch.Tensor) -> Any:
        latents, told = pixel_values[:, :-1], float(pixel_values[0, -1, 0, 0].detach())
        steps = self.mixture.scheduler.config.num_train_timesteps
        signal, noise = signal_and_noise(self.mixture.scheduler, (told + 1) / 2 * steps)
        return SimpleNamespace(logits=self.mixture.likely(latents, signal, noise))
