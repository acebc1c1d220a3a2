"""Trains the demo LLaVA from nothing: `python -m captioner.demo.train --work FOLDER --out FOLDER`.

Draws the pictures, teaches the tower to see and the language model to write, joins both, and writes the folder that
ships. Every step goes on where it was stopped. The same arguments on the same machine give the same weights. Leaves
out judging them (score.py).

On a CPU half of the time goes into fresh memory pages unless the allocator keeps what it has; Debian's libjemalloc2:

    export LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2
    export MALLOC_CONF=oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:-1
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from captioner.demo import pictures, prompts, questions, tokenizer
from scenes.captions import brief, dense
from scenes.graph import sample_scene
from scenes.oldtext import old_text

STAGES = ("see", "write", "join")
#: Texts that the tokenizer learns from: scenes, and prompts and questions for each.
_TEXT_SCENES = 4000
#: Streams of random numbers that must not meet: pictures have the seed itself.
_TEXTS, _SEE, _WRITE, _JOIN, _WEIGHTS = 1001, 1002, 1003, 1004, 1005
_INTRODUCTION = 40  # batches


def main() -> None:
    given = _arguments()
    if given.stage:
        _stage(given)
        return
    given.work.mkdir(parents=True, exist_ok=True)
    pictures.prepare(given.work, given.pictures, given.seed, given.processes)
    for stage in STAGES:
        if _start(given, stage):
            sys.exit(f"The stage `{stage}` failed; its message is above. Start the command again to go on.")


def _start(given: argparse.Namespace, stage: str) -> int:
    """Runs a stage in processes of one thread each: on a CPU two of one are faster than one of two."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(given.processes)]
    names = ("pictures", "seed", *STAGES, "work", "out")
    numbers = [word for name in names for word in (f"--{name}", str(getattr(given, name)))]
    command = [sys.executable, *launch, "-m", "captioner.demo.train", "--stage", stage, *numbers]
    return subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False).returncode


def _stage(given: argparse.Namespace) -> None:
    import torch

    from captioner.demo import model, stages
    from captioner.demo.lessons import Course
    from captioner.demo.student import Student

    place = stages.here()
    words = tokenizer.train(texts(given.seed))
    drawn = pictures.load(given.work, given.pictures, given.seed)
    torch.manual_seed(_WEIGHTS + given.seed)
    student = Student(model.build(words, attention="eager"), words)
    see, write, join = (given.work / f"{stage}-{given.seed}.pt" for stage in STAGES)

    def course(stream: int, batch: int) -> Course:
        return Course(drawn, words, stream + given.seed, batch, place.rank, place.ranks)

    if given.stage == "see":
        stages.learn_to_see(student, course(_SEE, 64), given.see, place, see)
    elif given.stage == "write":
        stages.learn_to_write(student, course(_WRITE, 64), given.write, place, write)
    else:
        _meet(student, see, write)
        # Every process must find the same map: all of them read the same pictures here.
        explained = stages.introduce(student, Course(drawn, words, _SEE + given.seed, 64), _INTRODUCTION, place)
        if place.rank == 0:
            print(f"The tower explains {explained:.3f} of the oracle's embeddings.", flush=True)
        stages.join(student, course(_JOIN, 128), given.join, place, join)
        if place.rank == 0:
            model.save(student.llava, words, given.out)


def _meet(student: Any, see: Path, write: Path) -> None:
    """The tower of the one stage, everything else of the other."""
    import torch

    seen = torch.load(see, map_location="cpu")["student"]
    written = torch.load(write, map_location="cpu")["student"]
    tower = ("llava.model.vision_tower.", "heads.")
    student.load_state_dict({name: (seen if name.startswith(tower) else written)[name] for name in written})


def texts(seed: int) -> Iterator[str]:
    """What the tokenizer learns its words from."""
    for index in range(_TEXT_SCENES):
        rng = np.random.default_rng((_TEXTS + seed, index))
        scene = sample_scene(rng)
        yield f" {dense(scene)}"
        yield f" {brief(scene)}"
        yield f"\n{prompts.draw(old_text(scene, rng)[0], rng).text} ASSISTANT:"
        yield f"\n{questions.ask(scene, rng)[0]} ASSISTANT:"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the demo LLaVA.")
    parser.add_argument("--work", type=Path, required=True, help="folder for pictures and states, 30 GB at most")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--pictures", type=int, default=160_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2, help="as many as there are cores; one on a GPU")
    parser.add_argument("--see", type=int, default=3400, help="steps of 64 pictures")
    parser.add_argument("--write", type=int, default=1000, help="steps of 64 scenes")
    parser.add_argument("--join", type=int, default=1300, help="steps of 128 pictures")
    parser.add_argument("--stage", choices=STAGES, help="one stage alone, as the command starts it itself")
    return parser.parse_args()


if __name__ == "__main__":
    main()
