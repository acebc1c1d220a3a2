"""Trains the demo's image encoder: `python -m training.demo.vae --work FOLDER --out FOLDER`.

diffusers' AutoencoderKL, small: 64 pixels to 16 x 16 x 8. Mean error and a little of its square (squares alone blur),
and a KL term that only keeps latents together. Four channels of latents lose what tells small things apart (25 dB
after 1,800 steps), whatever the denoiser does. Goes on where it was stopped. Leaves out: judging (prints the error on
pictures it never saw).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.demo import resume, scenes64
from training.optimisers import MOMENTUM

CHANNELS, LATENTS, BATCH = (16, 32, 48), 8, 32
#: Of the loss: squares beside the mean error, and the distance from a normal distribution.
SQUARES, KL = 2.0, 1e-6
#: Rates of matrices and convolutions (Muon), and of everything else (AdamW).
MATRIX_RATE, RATE = 3e-3, 1e-3
#: Share of the steps at the end in which the rate falls.
DECAY = 0.7
#: Pictures that it is judged on, of another seed.
UNSEEN, UNSEEN_SEED = 512, 2
TELL_EVERY = 100


def build() -> Any:
    """The model with random weights; it says little of its own doubt at first (variance e^-5)."""
    from diffusers import AutoencoderKL

    model = AutoencoderKL(
        block_out_channels=CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=LATENTS,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=scenes64.SIDE,
    )
    with torch.no_grad():
        model.quant_conv.bias[LATENTS:] = -5.0
        model.quant_conv.weight[LATENTS:] = 0.0
    return model


class Convolutions:
    """Muon for weights of more than two dimensions: each is a matrix of one row for each channel that goes out."""

    def __init__(self, weights: list[nn.Parameter], rate: float) -> None:
        self._weights = weights
        # The same memory, seen as matrices: what Muon moves is the weights.
        self._matrices = [nn.Parameter(each.detach().view(len(each), -1)) for each in weights]
        self.muon = torch.optim.Muon(
            self._matrices, lr=rate, momentum=MOMENTUM, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
        )

    def step(self) -> None:
        """Moves the weights by their gradients."""
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            assert weight.grad is not None
            matrix.grad = weight.grad.view(len(weight), -1)
        self.muon.step()


def train(pictures: torch.Tensor, unseen: torch.Tensor, steps: int, state: Path, seed: int = 0) -> Any:
    """The trained model. `pictures`, `unseen` (n, 64, 64, 3) uint8; `state`: file to go on from."""
    torch.manual_seed(seed)
    model = build()
    convolutions = [each for each in model.parameters() if each.ndim == 4 and min(each.shape[:2]) > 4]
    rest = [each for each in model.parameters() if not any(each is other for other in convolutions)]
    muon = Convolutions(convolutions, MATRIX_RATE)
    adamw = torch.optim.AdamW(rest, lr=RATE, weight_decay=0.0)
    first = resume.load(state, model, muon.muon, adamw)
    for step in range(first, steps):
        share = min(1.0, (steps - step) / (DECAY * steps))
        for optimiser, rate in ((muon.muon, MATRIX_RATE), (adamw, RATE)):
            optimiser.param_groups[0]["lr"] = rate * share
        chance = torch.Generator().manual_seed(seed * 1_000_003 + step)
        chosen = torch.randint(len(pictures), (BATCH,), generator=chance)
        clean = _scaled(pictures[chosen])
        with torch.autocast("cpu", torch.bfloat16):
            found = model.encode(clean).latent_dist
            noise = torch.randn(found.mean.shape, generator=chance)
            again = model.decode(found.mean + found.std * noise).sample
        error = again.float() - clean
        loss = error.abs().mean() + SQUARES * error.square().mean() + KL * found.kl().float().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step()
        adamw.step()
        model.zero_grad()
        if (step + 1) % TELL_EVERY == 0 or step + 1 == steps:
            print(f"step {step + 1} of {steps}: {loss.item():.4f}, {decibels(model, unseen):.2f} dB", flush=True)
            resume.save(state, step + 1, model, muon.muon, adamw)
    return model


@torch.inference_mode()
def decibels(model: Any, pictures: torch.Tensor) -> float:
    """Peak signal-to-noise ratio of pictures (n, 64, 64, 3) through the model and back."""
    errors = []
    for batch in pictures.split(64):
        clean = _scaled(batch)
        again = model.decode(model.encode(clean).latent_dist.mode()).sample.clamp(-1, 1)
        errors.append((again - clean).square().flatten(1).mean(1))
    return -10 * math.log10(float(torch.cat(errors).mean()) / 4)


@torch.inference_mode()
def scale(model: Any, pictures: torch.Tensor) -> float:
    """What latents are multiplied by, so that their standard deviation is 1."""
    latents = torch.cat([model.encode(_scaled(batch)).latent_dist.mode() for batch in pictures.split(64)])
    return 1 / float(latents.std())


def _scaled(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demo's image encoder.")
    parser.add_argument("--work", type=Path, required=True, help="folder for pictures and states")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--pictures", type=int, default=30_000)
    parser.add_argument("--steps", type=int, default=2_500, help=f"of {BATCH} pictures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2, help="that draw pictures")
    given = parser.parse_args()
    for _ in _prepared(given):
        pass
    pictures = torch.from_numpy(scenes64.load(given.work, given.pictures, given.seed))
    unseen = torch.from_numpy(scenes64.load(given.work, UNSEEN, UNSEEN_SEED))
    model = train(pictures, unseen, given.steps, given.work / "vae.pt", given.seed)
    model.register_to_config(scaling_factor=scale(model, pictures[:4096]))
    model.to(torch.float16).save_pretrained(given.out)


def _prepared(given: argparse.Namespace) -> Iterator[int]:
    yield from scenes64.prepare(given.work, UNSEEN, UNSEEN_SEED, given.processes)
    for left in scenes64.prepare(given.work, given.pictures, given.seed, given.processes):
        print(f"drawing: {left} parts left", flush=True)
        yield left


if __name__ == "__main__":
    main()
