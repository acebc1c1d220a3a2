"""The loop: every method's, on one process or many (accelerate), resumed bit for bit.

What a step does follows from its number alone: which samples (epoch.py), which noise (task.py), which rate
(optimisers.py). So a checkpoint holds weights, averages and the optimisers' state, and a run that was killed goes on as
if it had not been. Leaves out: what a checkpoint looks like on disk (states.py), and what is told (an Observer does).
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from core.errors import TrainingStoppedError
from training import processes, sharding
from training.epoch import Epochs, share
from training.memory import WATCHES, WEIGHTS, part_of, room
from training.optimisers import optimisers, set_rates, share_of_rate
from training.recipe import Recipe
from training.states import States
from training.task import Batch, Task, generators


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a step: its number from 1, the mean loss since the last time, the gradient's length, the share of
    the full rate, and images per second since the last time."""

    step: int
    loss: float
    gradient: float
    rate: float
    images_per_second: float


class Observer(Protocol):
    """Hears of the run while it goes on, in the first process alone."""

    def told(self, said: Told) -> None:
        """Every `run.log_every` steps."""
        ...

    def stepped(self, step: int) -> None:
        """After every step."""
        ...


#: Called in every process after these steps, with the step and the averaged model: previews, validation.
Watch = Callable[[int, Any], None]


class Loop:
    """A run of a recipe. `folder`: where its states are; `watches`: (every so many steps, what is called)."""

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        epochs: Epochs,
        folder: Path,
        observer: Observer,
        watches: tuple[tuple[int, Watch], ...] = (),
    ) -> None:
        from accelerate import Accelerator, DistributedType
        from accelerate.state import AcceleratorState

        self.recipe, self.task, self.epochs = recipe, task, epochs
        self.observer, self.watches = observer, watches
        precision = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}[recipe.run.precision]
        processes.join()
        # accelerate keeps the precision of the first run of a process for all others.
        AcceleratorState._reset_state()
        self.accelerator = Accelerator(mixed_precision=precision, cpu=processes.on_cpu())
        kind = self.accelerator.distributed_type
        if kind not in (DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU):
            raise TrainingStoppedError(
                f"accelerate is set up for {kind.value}, which this loop does not drive.",
                hint="Start with torchrun; run.shard=true spreads the model over the processes.",
            )
        if recipe.run.batch % (self.accelerator.num_processes * recipe.run.accumulate):
            raise TrainingStoppedError(
                f"A batch of {recipe.run.batch} cannot be divided among {self.accelerator.num_processes} processes in "
                f"{recipe.run.accumulate} parts each.",
                hint="Change run.batch or run.accumulate.",
            )
        model = task.model
        if recipe.run.checkpointing:
            model.enable_gradient_checkpointing()
        if self.accelerator.device.type == "cpu" and hasattr(model, "set_attn_processor"):
            from diffusers.models.attention_processor import AttnProcessor

            # In bf16 on a CPU a step with torch's fused attention takes nearly twice as long; in fp32 they are equal.
            model.set_attn_processor(AttnProcessor())
        model.train()
        #: Of a model that is spread over processes: one like it that is whole, for pictures and measurements.
        self._whole = copy.deepcopy(model) if recipe.run.shard else None
        if recipe.run.shard:
            sharding.shard(model, self.accelerator.device)
        if recipe.run.compile:
            model = torch.compile(model)
        moved = optimisers(task.model, recipe.optimiser)
        with room(self.accelerator.device, *WEIGHTS):
            # A model that is spread adds up gradients by itself: accelerate must not wrap it once more.
            self.model = self.accelerator.prepare_model(model, evaluation_mode=recipe.run.shard)
            self.optimisers = [self.accelerator.prepare_optimizer(each) for each in moved]
            self.average = _average(task.model, recipe.run.ema, self.accelerator.device)
        self.states = States(folder, recipe.run.keep, task.model, moved, self.average, self.accelerator.scaler)

    def run(self, until: int | None = None) -> int:
        """Trains from the newest state to the recipe's last step, or to `until`; returns the step that it reached.

        Raises TrainingStoppedError where a loss is no number (the last good state stays), OutOfMemoryError.
        """
        first, last = self.states.load(), min(self.recipe.run.steps, until or self.recipe.run.steps)
        heard: list[torch.Tensor] = []
        owed = self.states.owed() == first
        processes.wait()
        if owed:
            self._watch(first)
        began = time.monotonic()
        for step, batch in self._batches(first, last):
            loss, gradient = self._step(step, batch)
            heard.append(loss)
            done = step + 1
            if self.accelerator.is_main_process:
                self.observer.stepped(done)
            if done % self.recipe.run.log_every == 0 or done == last:
                mean = self._checked(heard, done)
                if self.accelerator.is_main_process:
                    speed = len(heard) * self.recipe.run.batch / max(1e-9, time.monotonic() - began)
                    rate = share_of_rate(self.recipe.optimiser, step, self.recipe.run.steps)
                    self.observer.told(Told(done, mean, gradient, rate, speed))
                heard, began = [], time.monotonic()
            if done % self.recipe.run.save_every == 0 or done == last:
                self._checked(heard, done)
                if self._due(done):
                    # A kill before they were called is made good when the run goes on.
                    self.states.owe(done)
                self.states.save(done)
            paused = time.monotonic()
            self._watch(done)
            # The speed that is told is that of learning.
            began += time.monotonic() - paused
        return last

    def _due(self, done: int) -> list[Watch]:
        """What is called after this step, by the number of steps that were taken."""
        last = done == self.recipe.run.steps
        return [watch for every, watch in self.watches if every and (last or done % every == 0)]

    def _watch(self, done: int) -> None:
        for watch in self._due(done):
            with room(self.accelerator.device, *WATCHES), self.averaged() as model:
                watch(done, model)
        if self._due(done):
            self.states.settle()

    def _batches(self, first: int, last: int) -> Iterator[tuple[int, Batch]]:
        """This process's part of each step, read one step ahead."""
        rank, ranks = self.accelerator.process_index, self.accelerator.num_processes
        each = self.recipe.run.batch // ranks
        with ThreadPoolExecutor(1) as pool:
            ahead = None
            for step, cursor, places in self.epochs.read(first, last):
                mine = share(places, rank, ranks)
                chance = generators(self.recipe.run.seed, step, rank * each, each)
                following = pool.submit(self.task.read, cursor, mine, chance)
                if ahead is not None:
                    yield ahead[0], ahead[1].result()
                ahead = step, following
            if ahead is not None:
                yield ahead[0], ahead[1].result()

    def _step(self, step: int, batch: Batch) -> tuple[torch.Tensor, float]:
        """(mean loss of this process's part, length of the gradient)."""
        set_rates(self.optimisers, share_of_rate(self.recipe.optimiser, step, self.recipe.run.steps))
        parts = self.recipe.run.accumulate
        size = len(batch.keys) // parts
        total = torch.zeros((), device=self.accelerator.device)
        with room(self.accelerator.device, *part_of(self.recipe, size)):
            for number in range(parts):
                part = batch.part(number * size, (number + 1) * size).to(self.accelerator.device)
                with self._collecting(number == parts - 1):
                    loss = self.task.losses(self.model, part).mean() / parts
                    self.accelerator.backward(loss)
                total += loss.detach()
        with room(self.accelerator.device, *WEIGHTS):
            clipped = self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.optimiser.clip)
            gradient = float(sharding.whole(clipped))
            # With fp16 a gradient may overflow: accelerate then leaves the step out and scales less.
            if not math.isfinite(gradient) and self.recipe.run.precision != "fp16":
                raise self._stopped(step)
            for optimiser in self.optimisers:
                optimiser.step()
                optimiser.zero_grad()
            if self.average is not None:
                self.average.step(self.accelerator.unwrap_model(self.model).parameters())
        return total, gradient

    def _collecting(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        """While it lasts, a backward pass adds the gradients of all processes only for the last part of a batch."""
        if self._whole is not None:
            sharding.collect_at_last(self.task.model, last)
            return contextlib.nullcontext()
        return contextlib.nullcontext() if last else self.accelerator.no_sync(self.model)

    def _checked(self, heard: list[torch.Tensor], done: int) -> float:
        """The mean of the losses of the latest steps over all processes, after `done` steps.

        Raises TrainingStoppedError where one is no number.
        """
        if not heard:
            return 0.0
        told = self.accelerator.reduce(torch.stack(heard), "mean")
        mean = float(told.mean())
        if not math.isfinite(mean):
            raise self._stopped(done - len(heard) + int((~told.isfinite()).int().argmax()))
        return mean

    def _stopped(self, step: int) -> TrainingStoppedError:
        """What ends a run at this step, from 0: it names the whole batch, since any process's part may be the cause."""
        ((_, cursor, places),) = self.epochs.read(step, step + 1)
        batch = self.task.read(cursor, places, generators(self.recipe.run.seed, step, 0, len(places)))
        broken = [key for key, one in zip(batch.keys, batch.latents, strict=True) if not one.isfinite().all()]
        named = broken or batch.keys
        keys = ", ".join(named[:8]) + (" …" if len(named) > 8 else "")
        kept = self.states.newest()
        return TrainingStoppedError(
            f"The loss of step {step + 1}, or its gradient, is no number. "
            + (f"The latents of {keys} are none." if broken else f"The batch held {keys}."),
            hint=f"The state of step {kept} is kept." if kept else "No state was saved yet.",
        )

    @contextlib.contextmanager
    def averaged(self) -> Iterator[Any]:
        """The task's model with its averaged weights, not training; afterwards it is as it was.

        All processes must call it.
        """
        if self._whole is not None:
            yield self._collected(self._whole)
            self._whole.to("cpu")
            return
        model = self.accelerator.unwrap_model(self.model)
        if self.average is not None:
            self.average.store(model.parameters())
            self.average.copy_to(model.parameters())
        model.eval()
        try:
            yield model
        finally:
            model.train()
            if self.average is not None:
                self.average.restore(model.parameters())

    @torch.no_grad()
    def _collected(self, model: Any) -> Any:
        """`model` with all of the weights, averaged, that the processes have a part of each."""
        spread = self.task.model.parameters() if self.average is None else self.average.shadow_params
        for into, value in zip(model.parameters(), spread, strict=True):
            into.copy_(sharding.whole(value))
        return model.eval().to(self.accelerator.device)


def _average(model: Any, decay: float, device: torch.device) -> Any:
    """diffusers' moving average of the weights; None without one."""
    if not decay:
        return None
    from diffusers.training_utils import EMAModel

    average = EMAModel(model.parameters(), decay=decay, foreach=True)
    average.to(device)
    return average
