"""Images of one brightness each, drawn by a model that makes no mistake: what the noise schedule alone does to them.

Brightness is normally distributed around a target. All values of an image are its brightness, so only their mean
matters: of `values` values it has noise of deviation 1 / sqrt(values), and the best guess of the brightness is a
weighted mean of the target and of what is seen. Steps of a sampler are linear in what they are given, so the expected
mean of what is drawn comes from the expected mean of pure noise, which is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from training.guided import signal_and_noise
from training.objective import Learning


@dataclass(frozen=True)
class Brightness:
    """A data set: brightness of deviation `spread` around a target, in images of so many `values`."""

    values: int
    spread: float = 0.3

    def guess(self, mean: torch.Tensor, target: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
        """The expected brightness, where `mean` is seen of the noised values."""
        # Precision of what is seen, over that of what is known beforehand.
        seen = self.values * (signal * self.spread) ** 2
        return (noise**2 * target + self.values * signal * self.spread**2 * mean) / (noise**2 + seen)

    def reached(self, learning: Learning, targets: torch.Tensor, steps: int) -> torch.Tensor:
        """The mean brightness of what is drawn for each target in so many steps, as the objective `v` draws."""
        scheduler: Any = learning.sampler()
        scheduler.set_timesteps(steps)
        mean, targets = torch.zeros_like(targets, dtype=torch.float64), targets.double()
        for time in scheduler.timesteps:
            signal, noise = signal_and_noise(scheduler, float(time))
            guess = self.guess(mean, targets, signal, noise)
            said = signal * (mean - signal * guess) / noise - noise * guess
            mean = scheduler.step(said, time, mean).prev_sample
        return mean

    def expected(self, target: float, signal: float) -> float:
        """The closed form for many steps, where the last time step of training leaves `signal` of the image.

        A perfect sampler takes every quantile of noise to the same quantile of brightness; it begins at 0, where the
        middle is at `signal` times the target.
        """
        deviation = math.hypot(signal * self.spread, math.sqrt((1 - signal**2) / self.values))
        return target * (1 - self.spread * signal / deviation)
