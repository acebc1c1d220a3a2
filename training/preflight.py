"""What a run will take, before it begins: samples, truncated captions, waste, parameters, memory, steps, speed, time.

Speed is measured: a few times forward and back on the first batch, gradients thrown away, so that weights stay as they
were. Memory of weights, gradients and optimiser is counted, that of activations measured where there is a GPU.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from training.prepare import Prepared
from training.task import Batch, generators

#: Steps that are timed, after one that is not.
PROBES = 3
#: Images of a probe at most.
PROBE_IMAGES = 32
#: Bytes for each number that is learnt: the weight, its gradient, AdamW's two averages; and the moving average.
_WEIGHT = 4


@dataclass(frozen=True, slots=True)
class Preflight:
    """`epochs`: how often each sample is read; `cut`: share of pixels that cropping loses; `left_over`: samples of an
    epoch in no full batch; `bytes_of_state`: weights, gradients, optimiser and average; `seconds`: of all steps."""

    samples: int
    truncated: int
    tokens: int
    buckets: int
    left_over: int
    cut: float
    parameters: int
    bytes_of_state: int
    bytes_of_activations: int | None
    steps: int
    batch: int
    epochs: float
    images_per_second: float
    seconds: float
    device: str

    def as_dict(self) -> dict[str, Any]:
        """Every figure by name, ready for JSON."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """(what, figure) for a table."""
        activations = self.bytes_of_activations
        return [
            ("samples", f"{self.samples:,}"),
            (
                f"captions longer than {self.tokens} tokens",
                f"{self.truncated:,} ({_share(self.truncated, self.samples)})",
            ),
            ("shapes", f"{self.buckets}"),
            ("samples in no full batch, each epoch", f"{self.left_over:,}"),
            ("pixels cut away", f"{self.cut:.1%}"),
            ("parameters", f"{self.parameters:,}"),
            ("memory of weights, gradients, optimiser, average", f"{self.bytes_of_state / 1e9:.2f} GB"),
            (
                "memory of activations",
                "not measured on a CPU" if activations is None else f"{activations / 1e9:.2f} GB",
            ),
            ("steps", f"{self.steps:,} of {self.batch} images: {self.epochs:.1f} epochs"),
            (f"speed on {self.device}", f"{self.images_per_second:.1f} images/s"),
            ("time", _duration(self.seconds)),
        ]


def preflight(made: Prepared, device: torch.device) -> Preflight:
    """Measures on `device`, in one process."""
    recipe = made.recipe
    speed, activations = _probe(made, device)
    copies = 4 + (recipe.run.ema > 0)
    samples = len(made.source.samples)
    return Preflight(
        samples=samples,
        truncated=made.truncated,
        tokens=recipe.captions.tokens,
        buckets=len(made.buckets),
        left_over=made.waste.left_over,
        cut=made.waste.cut,
        parameters=made.parameters,
        bytes_of_state=copies * _WEIGHT * made.parameters,
        bytes_of_activations=activations,
        steps=recipe.run.steps,
        batch=recipe.run.batch,
        epochs=recipe.run.steps * recipe.run.batch / samples,
        images_per_second=speed,
        seconds=recipe.run.steps * recipe.run.batch / speed,
        device=device.type,
    )


def _probe(made: Prepared, device: torch.device) -> tuple[float, int | None]:
    """(images per second, bytes of activations) of forward and backward passes."""
    recipe, task = made.recipe, made.task
    model: Any = task.model.to(device).train()
    _, cursor, places = next(made.epochs.read(0, 1))
    count = min(PROBE_IMAGES, recipe.run.batch // recipe.run.accumulate)
    batch = task.read(cursor, places[:count], generators(recipe.run.seed, 0, 0, count))
    given = {name: value.to(device) for name, value in batch.given.items()}
    batch = Batch(batch.latents.to(device), batch.generators, batch.keys, given)
    kind = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[recipe.run.precision]
    cuda = device.type == "cuda"
    before = torch.cuda.memory_allocated() if cuda else 0
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(1 + PROBES):
        began = time.perf_counter()
        with torch.autocast(device.type, kind, enabled=kind is not None):
            loss = task.losses(model, batch).mean()
        loss.backward()
        model.zero_grad()
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    peak = torch.cuda.max_memory_allocated() - before if cuda else None
    return count / min(times[1:]), peak


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"
