"""Trains the demo LLaVA from nothing: `python -m captioner.demo.train --work FOLDER --out FOLDER`.

Draws the pictures, teaches the tower to see and the language model to write (side by side on a CPU), joins both, and
writes the folder that ships. Every step goes on where it was stopped. The same arguments on the same machine give the
same weights. Leaves out judging them (score.py).
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

STAGES = ("see", "write", "join", "ground")
#: Texts that the tokenizer learns from: scenes, and prompts and questions for each.
_TEXT_SCENES = 4000
#: Streams of random numbers that must not meet: pictures have the seed itself.
_TEXTS, _SEE, _WRITE, _JOIN, _WEIGHTS, _GROUND = 1001, 1002, 1003, 1004, 1005, 1006
_INTRODUCTION = 40  # batches
#: From this step of the joint stage on, yes and no come with evidence. Without it the answers stayed guesses: nothing
#: but a bit in each told the language model which thing a question was about.
EVIDENCE_FROM = 400
#: In the last stage a word of yes or no weighs as much as a dozen of a caption.
VERDICT_WEIGHT = 12.0


def main() -> None:
    given = _arguments()
    if given.stage:
        _stage(given)
        return
    given.work.mkdir(parents=True, exist_ok=True)
    pictures.prepare(given.work, given.pictures, given.seed, given.processes)
    first = [_start(given, stage) for stage in ("see", "write")]
    if any(process.wait() for process in first):
        sys.exit("A stage failed; its message is above. Start the command again to go on.")
    for stage in ("join", "ground"):
        if _start(given, stage, given.processes).wait():
            sys.exit(f"The stage `{stage}` failed; its message is above. Start the command again to go on.")


def _start(given: argparse.Namespace, stage: str, processes: int = 1) -> subprocess.Popen[bytes]:
    """One stage in processes of its own, of one thread each on a CPU: two of one are faster than one of two."""
    launch = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    )
    numbers = [word for name in ("pictures", "seed", *STAGES) for word in (f"--{name}", str(getattr(given, name)))]
    command = [sys.executable, *launch, "-m", "captioner.demo.train", "--stage", stage, *numbers]
    command += ["--work", str(given.work), "--out", str(given.out)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})


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
    see, write, join, ground = (given.work / f"{stage}-{given.seed}.pt" for stage in STAGES)
    if given.stage == "see":
        stages.learn_to_see(student, Course(drawn, words, _SEE + given.seed, 32), given.see, place, see)
    elif given.stage == "write":
        stages.learn_to_write(student, Course(drawn, words, _WRITE + given.seed, 32), given.write, place, write)
    elif given.stage == "join":
        course = Course(drawn, words, _JOIN + given.seed, 128, place.rank, place.ranks, EVIDENCE_FROM)
        _meet(student, see, write)
        explained = stages.introduce(student, Course(drawn, words, _SEE + given.seed, 64), _INTRODUCTION, place)
        if place.rank == 0:
            print(f"The tower explains {explained:.3f} of the oracle's embeddings.", flush=True)
        stages.join(student, course, given.join, place, join)
    else:
        course = Course(drawn, words, _GROUND + given.seed, 128, place.rank, place.ranks, 0, VERDICT_WEIGHT)
        student.load_state_dict(student.state_dict() | torch.load(join, map_location="cpu")["student"])
        stages.ground(student, course, given.ground, place, ground)
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
    parser.add_argument("--pictures", type=int, default=120_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2, help="as many as there are cores; one on a GPU")
    parser.add_argument("--see", type=int, default=4000, help="steps of 32 pictures")
    parser.add_argument("--write", type=int, default=800, help="steps of 32 scenes")
    parser.add_argument("--join", type=int, default=700, help="steps of 128 pictures")
    parser.add_argument("--ground", type=int, default=760, help="steps of 128 pictures")
    parser.add_argument("--stage", choices=STAGES, help="one stage alone, as the command starts it itself")
    return parser.parse_args()


if __name__ == "__main__":
    main()
