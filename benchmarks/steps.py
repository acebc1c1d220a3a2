"""Steps of training to be timed: through Densify's loop, and the same written plainly in PyTorch.

Both have the same model class, AdamW, gradient clipping, moving average and objective (flow matching), and random
features. Through the loop they lie in feature files and are read one step ahead; plainly they are tensors on the device
and noise is drawn for the whole batch: what people write themselves. Each is meant for a process of its own
(record.alone). Serves training_step.py and pixart_gpu.py.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from adaln import AdaLn

from training.epoch import Epochs
from training.features import Features, write_features
from training.loop import Loop, Told
from training.models import SIZES, Size, pixart
from training.recipe import Recipe
from training.text_to_image import Cached, Place, TextToImage

RATE, DECAY, CLIP, EMA = 2e-5, 0.03, 1.0, 0.9999
TYPES = {"fp32": None, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Work:
    """What is timed: `steps` steps of `batch` images after `warmup`; `twin`: of the model with adaLN (plainly
    alone)."""

    size: str
    precision: str
    batch: int
    steps: int
    device: str = "cpu"
    warmup: int = 2
    tokens: int = 120
    compiled: bool = False
    twin: bool = False

    @property
    def shape(self) -> Size:
        return SIZES[self.size]


@dataclass(frozen=True, slots=True)
class Timing:
    """`seconds` of a step; `mib`: peak of the memory allocated on a GPU, None elsewhere."""

    seconds: float
    mib: float | None


class Enough(Exception):
    """The steps that are timed are done."""


class Clock:
    """Takes the time of a work's steps; is an Observer of the loop, and ends it."""

    def __init__(self, work: Work) -> None:
        self.work, self.began, self.timing = work, 0.0, Timing(0.0, None)
        if work.device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def told(self, said: Told) -> None:
        """Nothing to do."""

    def stepped(self, step: int) -> None:
        """Raises Enough after the last step."""
        if step == self.work.warmup:
            self.began = self._now()
        if step == self.work.warmup + self.work.steps:
            seconds = (self._now() - self.began) / self.work.steps
            mib = torch.cuda.max_memory_allocated() / 2**20 if self.work.device == "cuda" else None
            self.timing = Timing(seconds, mib)
            raise Enough

    def _now(self) -> float:
        if self.work.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def through_loop(work: Work) -> Timing:
    """Densify's loop: what `densify train` does, states and previews left out. Raises OutOfMemoryError."""
    if work.device == "cpu":
        os.environ["ACCELERATE_USE_CPU"] = "true"
    recipe = Recipe.model_validate(
        {
            "method": "pixart",
            "data": {"handoff": "none"},
            "captions": {"dropout": 0.0},
            "objective": {"kind": "flow", "times": "logit_normal"},
            "optimiser": {"rate": RATE, "weight_decay": DECAY, "clip": CLIP},
            "run": {
                "steps": work.warmup + work.steps + 1,
                "batch": work.batch,
                "precision": work.precision,
                "compile": work.compiled,
                "ema": EMA,
                "log_every": 1_000_000,
                "save_every": 1_000_000,
            },
        }
    )
    with tempfile.TemporaryDirectory(prefix="densify-steps-") as name:
        folder = Path(name)
        task = TextToImage(recipe, _model(work), _features(work, folder))
        epochs = Epochs([0] * work.batch, [0] * work.batch, batch=work.batch, window=work.batch, seed=0)
        clock = Clock(work)
        with contextlib.suppress(Enough):
            Loop(recipe, task, epochs, folder, clock).run()
        return clock.timing


def plainly(work: Work) -> Timing:
    """A step as one writes it in PyTorch. Raises torch.OutOfMemoryError."""
    device, kind = torch.device(work.device), TYPES[work.precision]
    model = _model(work).to(device).train()
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA))
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    called: Any = torch.compile(model) if work.compiled else model
    clean = torch.randn(work.batch, 4, work.shape.side, work.shape.side, device=device)
    texts = torch.randn(work.batch, work.tokens, work.shape.text, device=device)
    mask = torch.ones(work.batch, work.tokens, device=device)
    clock = Clock(work)
    with contextlib.suppress(Enough):
        for step in range(1, work.warmup + work.steps + 1):
            noise = torch.randn_like(clean)
            places = torch.randn(work.batch, device=device).sigmoid()
            share = places.view(-1, 1, 1, 1)
            with torch.autocast(device.type, kind, enabled=kind is not None):
                said = called(
                    (1 - share) * clean + share * noise,
                    encoder_hidden_states=texts,
                    encoder_attention_mask=mask,
                    timestep=places * 1000,
                ).sample
            loss = torch.nn.functional.mse_loss(said.float(), noise - clean)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimiser.step()
            optimiser.zero_grad()
            average.update_parameters(model)
            clock.stepped(step)
    return clock.timing


def _model(work: Work) -> Any:
    torch.manual_seed(0)
    model = pixart(work.shape)
    return AdaLn(model, work.shape.text) if work.twin else model


def _features(work: Work, folder: Path) -> Cached:
    """One batch of random features, in files."""
    chance = torch.Generator().manual_seed(0)
    side, width = work.shape.side, work.shape.text
    latents, texts = folder / "latents.safetensors", folder / "texts.safetensors"
    write_features(latents, (torch.randn(4, side, side, generator=chance) for _ in range(work.batch)), {})
    write_features(texts, (torch.randn(work.tokens, width, generator=chance) for _ in range(work.batch)), {})
    places = [Place(f"{at:08d}", 0, at, False) for at in range(work.batch)]
    return Cached(places, [Features(latents)], [Features(texts)], [], torch.zeros(1, width))
