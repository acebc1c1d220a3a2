"""What a run will take, before it begins: samples, truncated captions, waste, parameters, memory, steps, speed, time.

Speed is measured, by the loop's own model, optimisers and average in as many processes as were started: a few steps on
samples of the first batch, whose features alone are computed; nothing of it is kept. Memory of weights, gradients,
optimiser and encoders is counted, that of activations measured where there is a GPU.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training import processes
from training.epoch import Cursor
from training.loop import Loop, Told
from training.memory import WEIGHTS, part_of, room
from training.prepare import Meter, Prepared, labels_over, prepare
from training.recipe import Recipe
from training.task import generators
from training.validation import held_out

#: Steps that are timed, after one that is not.
PROBES = 3
#: Images of a probe on a CPU at most: there is no memory to measure, and a full part may take minutes.
PROBE_IMAGES = 32
#: Bytes for each number that is learnt: the weight, its gradient, AdamW's two averages; and the moving average.
_WEIGHT = 4


@dataclass(frozen=True, slots=True)
class Preflight:
    """`epochs`: how often each sample is read; `cut`: share of pixels that cropping loses; `left_over`: samples of an
    epoch in no full batch; `moved`: samples that are cut to another shape than their own, since `merged` shapes have
    fewer than a batch; `bytes_of_state`: weights, gradients, optimiser and average that a process holds;
    `bytes_of_encoders`: VAE and text encoder, which stay beside them; `images_per_second`: of all `processes` together;
    `seconds`: of all steps."""

    samples: int
    truncated: int
    tokens: int
    buckets: int
    left_over: int
    moved: int
    merged: int
    cut: float
    parameters: int
    bytes_of_state: int
    bytes_of_encoders: int
    bytes_of_activations: int | None
    steps: int
    batch: int
    epochs: float
    images_per_second: float
    seconds: float
    device: str
    processes: int

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
            ("samples in no full batch, each epoch others", f"{self.left_over:,}"),
            (
                f"samples of shapes with fewer than {self.batch:,}, cut to the nearest other",
                f"{self.moved:,} in {self.merged} shapes",
            ),
            ("pixels cut away", f"{self.cut:.1%}"),
            ("parameters", f"{self.parameters:,}"),
            ("memory of weights, gradients, optimiser, average", f"{self.bytes_of_state / 1e9:.2f} GB"),
            ("memory of the encoders", f"{self.bytes_of_encoders / 1e9:.2f} GB"),
            (
                "memory of activations",
                f"not measured on {self.device}" if activations is None else f"{activations / 1e9:.2f} GB",
            ),
            ("steps", f"{self.steps:,} of {self.batch} images: {self.epochs:.1f} epochs"),
            (
                f"speed of {_count(self.processes)} on {self.device}, together",
                f"{self.images_per_second:.1f} images/s",
            ),
            ("time", _duration(self.seconds)),
        ]


class _Silent:
    """An observer of nothing."""

    def told(self, said: Told) -> None:
        del said

    def stepped(self, step: int) -> None:
        del step


def preflight(recipe: Recipe, meter: Meter, device: torch.device) -> Preflight:
    """Measures on `device`, in as many processes as there are; all of them must call it. Leaves no file.

    Raises what prepare raises, what the validation split is refused for, and OutOfMemoryError where a step does not
    fit.
    """
    ranks = processes.join()[1]
    size = max(1, recipe.run.batch // (ranks * recipe.run.accumulate))
    count = size if device.type == "cuda" else min(PROBE_IMAGES, size)
    with tempfile.TemporaryDirectory(prefix="densify-dry-run-") as folder:
        made = prepare(recipe, Path(folder), meter, device, probe=count)
        if recipe.validation.every:
            labels_over(made, held_out(recipe).some(recipe.validation.samples, recipe.run.seed))
        learning, moving, activations = _probe(made, count, Path(folder))
    seconds = recipe.run.accumulate * learning * size / count + moving
    copies = 4 + (recipe.run.ema > 0)
    samples = len(made.source.samples)
    return Preflight(
        samples=samples,
        truncated=made.truncated,
        tokens=recipe.captions.tokens,
        buckets=len(made.buckets),
        left_over=made.waste.left_over,
        moved=made.waste.moved,
        merged=made.waste.merged,
        cut=made.waste.cut,
        parameters=made.parameters,
        bytes_of_state=copies * _WEIGHT * _held(made, ranks),
        bytes_of_encoders=sum(map(_bytes, (made.images.vae, made.texts.encoder if made.texts else None))),
        bytes_of_activations=activations,
        steps=recipe.run.steps,
        batch=recipe.run.batch,
        epochs=recipe.run.steps * recipe.run.batch / samples,
        images_per_second=recipe.run.batch / seconds,
        seconds=recipe.run.steps * seconds,
        device=device.type,
        processes=ranks,
    )


def _probe(made: Prepared, count: int, folder: Path) -> tuple[float, float, int | None]:
    """(seconds of a part's way forward and back, seconds of a step's clipping, optimisers and average, bytes of a
    part's activations), by the loop's own parts and settings. `count`: images of a part."""
    recipe, task = made.recipe, made.task
    loop = Loop(recipe, task, made.epochs, folder, _Silent())
    accelerator = loop.accelerator
    device, rank = accelerator.device, accelerator.process_index
    chance = generators(recipe.run.seed, 0, rank * count, count)
    batch = task.read(Cursor(0, 0), np.arange(count), chance).to(device)
    cuda = device.type == "cuda"
    gradients = _WEIGHT * _held(made, accelerator.num_processes)
    times, most = [], 0
    for _ in range(1 + PROBES):
        before = torch.cuda.memory_allocated() if cuda else 0
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        began = _now(cuda)
        with room(device, *part_of(recipe, count)):
            accelerator.backward(task.losses(loop.model, batch).mean())
            learnt = _now(cuda)
        # The gradients that the way back leaves are counted with the state.
        most = (torch.cuda.max_memory_allocated() if cuda else 0) - before - gradients
        with room(device, *WEIGHTS):
            accelerator.clip_grad_norm_(loop.model.parameters(), recipe.optimiser.clip)
            for optimiser in loop.optimisers:
                optimiser.step()
                optimiser.zero_grad()
            if loop.average is not None:
                loop.average.step(accelerator.unwrap_model(loop.model).parameters())
        times.append((learnt - began, _now(cuda) - learnt))
    learning, moving = (min(column) for column in zip(*times[1:], strict=True))
    return learning, moving, max(0, most) if cuda else None


def _held(made: Prepared, ranks: int) -> int:
    """Numbers that are learnt and that one process holds."""
    return made.parameters // (ranks if made.recipe.run.shard else 1)


def _now(cuda: bool) -> float:
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def _bytes(model: Any) -> int:
    return sum(each.numel() * each.element_size() for each in model.parameters()) if model is not None else 0


def _count(processes: int) -> str:
    return "one process" if processes == 1 else f"{processes} processes"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"
