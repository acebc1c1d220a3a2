"""The three stages of training, each a plain loop over lessons: see, write, join.

A stage's result is decided by its seed, its number of steps and the number of processes. Every stage saves its state
from time to time and goes on from there when it is started again. Leaves out who starts what (train.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from captioner.demo.lessons import Course, Lessons
from captioner.demo.student import Student

MUON_RATE, ADAM_RATE, DECAY = 3e-3, 1.5e-3, 0.05
#: The rate rises over so many steps, stays, and falls to zero from this share of all steps on.
WARMUP, FALLS_FROM = 50, 0.5
CLIP = 1.0
#: Shares of further losses: of naming patches, of the tower's heads, of pointing.
NAMING, AUXILIARY, POINTING = 0.5, 0.3, 0.5
#: The tower's rate in the joint stage: it can see already.
TOWER_SHARE = 0.4
SAVE_EVERY, TELL_EVERY = 100, 50

Loss = Callable[[Lessons], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process runs: its device, and its number among all."""

    device: torch.device
    rank: int = 0
    ranks: int = 1

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16)


def here() -> Place:
    """This process's place: under torchrun one of several, by itself the only one."""
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else None
    ranks = int(os.environ.get("WORLD_SIZE", 1))
    if ranks > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if device else "gloo")
    return Place(device or torch.device("cpu"), int(os.environ.get("RANK", 0)), ranks)


def learn_to_see(student: Student, course: Course, steps: int, place: Place, file: Path) -> None:
    """Stage A: the tower and the heads, on patch facts."""

    def loss(lessons: Lessons) -> tuple[torch.Tensor, torch.Tensor]:
        return student.fact_loss(student.see(lessons.pixels), lessons.facts)

    parts = [(student.llava.model.vision_tower, 1.0), (student.heads, 1.0)]
    _run(student, parts, course, steps, place, file, loss, words=False)


def learn_to_write(student: Student, course: Course, steps: int, place: Place, file: Path) -> None:
    """Stage B: language model, projector and oracle, on facts, some of them wrong, in place of pictures."""

    def loss(lessons: Lessons) -> tuple[torch.Tensor, torch.Tensor]:
        hidden, before_last = student.read(student.imagine(lessons.guessed), lessons)
        captions = student.caption_loss(hidden, lessons)
        # Without naming patches the language model learns colours and places at once, and nouns not in 30,000 scenes;
        # without pointing its yes and no stay guesses.
        further = NAMING * student.naming_loss(hidden, lessons) + POINTING * student.pointing_loss(before_last, lessons)
        return captions + further, captions.detach()

    inner = student.llava.model
    modules = (inner.language_model, inner.multi_modal_projector, student.oracle, student.pointer)
    _run(student, [(module, 1.0) for module in modules], course, steps, place, file, loss, seen=False)


def join(student: Student, course: Course, steps: int, place: Place, file: Path) -> None:
    """Stage C: everything, on pictures: the answers' loss, and shares of the patch facts' and of pointing."""

    def loss(lessons: Lessons) -> tuple[torch.Tensor, torch.Tensor]:
        seen = student.see(lessons.pixels)
        hidden, before_last = student.read(seen, lessons)
        captions = student.caption_loss(hidden, lessons)
        facts, _ = student.fact_loss(seen, lessons.facts)
        return captions + AUXILIARY * facts + POINTING * student.pointing_loss(before_last, lessons), captions.detach()

    inner = student.llava.model
    parts = [
        (inner.vision_tower, TOWER_SHARE),
        (student.heads, TOWER_SHARE),
        (inner.multi_modal_projector, 1.0),
        (inner.language_model, 1.0),
        (student.pointer, 1.0),
    ]
    _run(student, parts, course, steps, place, file, loss)


@torch.no_grad()
def introduce(student: Student, course: Course, batches: int, place: Place) -> float:
    """Between B and C: the projector learns to read the tower instead of the oracle. Returns the share explained.

    The linear map from what the tower says of a patch to the oracle's embedding of it is a least-squares problem; its
    solution is folded into the projector's first layer.
    """
    width = student.heads.in_features
    cross, square = torch.zeros(width + 1, width), torch.zeros(width + 1, width + 1)
    spread = torch.zeros(())
    for lessons in course.steps(0, batches, words=False):
        moved = lessons.to(place.device)
        with place.autocast():
            seen = student.see(moved.pixels)
        x = seen.float().flatten(0, 1).cpu()
        x = torch.cat([x, torch.ones(len(x), 1)], dim=1)
        y = student.imagine(moved.facts).flatten(0, 1).cpu()
        cross += x.T @ y
        square += x.T @ x
        spread += y.square().sum()
    ridge = 1e-4 * square.diagonal().mean() * torch.eye(width + 1)
    solution = torch.linalg.solve(square + ridge, cross)  # (width + 1, width)
    first = student.llava.model.multi_modal_projector.linear_1
    solution = solution.to(first.weight.device)
    first.bias += first.weight @ solution[-1]
    first.weight.copy_(first.weight @ solution[:-1].T)
    return float((solution.cpu() * cross).sum() / spread)


def _run(
    student: Student,
    parts: list[tuple[nn.Module, float]],
    course: Course,
    steps: int,
    place: Place,
    file: Path,
    loss: Loss,
    **reads: bool,
) -> None:
    student.to(place.device).train()
    optimisers = _optimisers(parts)
    state = torch.load(file, map_location=place.device) if file.exists() else None
    start = 0
    if state:
        start = state["step"]
        student.load_state_dict(state["student"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
    learning = [p for part, _ in parts for p in part.parameters() if p.requires_grad]
    began, told = time.monotonic(), []
    for step, lessons in enumerate(_ahead(course.steps(start, steps, **reads)), start=start):
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["full_lr"] * rate(step, steps)
        with place.autocast():
            value, figure = loss(lessons.to(place.device))
        value.backward()
        _average(learning, place)
        nn.utils.clip_grad_norm_(learning, CLIP)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        told.append(float(figure))
        done = step + 1
        if place.rank == 0 and (done % TELL_EVERY == 0 or done == steps):
            each = (time.monotonic() - began) / (done - start)
            print(
                f"{file.stem}: step {done} of {steps}, {sum(told) / len(told):.4f}, "
                f"{course.batch / each:.0f} pictures/s, {each * (steps - done):.0f} s left",
                flush=True,
            )
            told.clear()
        if place.rank == 0 and (done % SAVE_EVERY == 0 or done == steps):
            _save(file, step=done, student=student.state_dict(), optimisers=[o.state_dict() for o in optimisers])


def rate(step: int, steps: int) -> float:
    """The share of the full rate at a step: up, constant, then down to nothing in a straight line."""
    falls = int(steps * FALLS_FROM)
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 1.0 if step < falls else (steps - step) / (steps - falls)


def _optimisers(parts: list[tuple[nn.Module, float]]) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the networks; AdamW for the rest: embeddings, heads, norms, biases, convolutions."""
    matrices, others = [], []
    for part, share in parts:
        for module in part.modules():
            inner = isinstance(module, nn.Linear) and module is not part
            for name, weight in module.named_parameters(recurse=False):
                if not weight.requires_grad:
                    continue
                if inner and name == "weight":
                    matrices.append({"params": [weight], "lr": MUON_RATE * share})
                else:
                    others.append({"params": [weight], "lr": ADAM_RATE * share})
    muon = torch.optim.Muon(_grouped(matrices), lr=MUON_RATE, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(_grouped(others), lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    for optimiser in (muon, adam):
        for group in optimiser.param_groups:
            group["full_lr"] = group["lr"]
    return [muon, adam]


def _grouped(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One group for each rate."""
    by_rate: dict[float, list[nn.Parameter]] = {}
    for group in groups:
        by_rate.setdefault(group["lr"], []).extend(group["params"])
    return [{"params": weights, "lr": value} for value, weights in by_rate.items()]


def _average(weights: Iterable[nn.Parameter], place: Place) -> None:
    """Gradients become their mean over all processes, in one exchange."""
    if place.ranks == 1:
        return
    grads = [weight.grad for weight in weights if weight.grad is not None]
    flat = torch.cat([grad.flatten() for grad in grads])
    distributed.all_reduce(flat)
    flat /= place.ranks
    for grad, part in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(part.view_as(grad))


def _ahead(lessons: Iterator[Lessons]) -> Iterator[Lessons]:
    """The lessons, the next one being prepared by a thread while one is worked on."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, lessons, None)
        while (found := coming.result()) is not None:
            coming = thread.submit(next, lessons, None)
            yield found


def _save(file: Path, **state: Any) -> None:
    draft = file.with_suffix(".draft")
    torch.save(state, draft)
    draft.rename(file)
