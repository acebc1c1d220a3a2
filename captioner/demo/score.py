"""Judges a model on scenes that training never drew: `python -m captioner.demo.score [--model FOLDER]`.

Captions come from the engine that production uses. Printed: the scores of captions to the default prompt; of captions
to prompts that training never saw; the share of yes/no questions answered rightly; and whether batches and number
types change captions. Leaves out how facts are counted (scenes/scorer.py).
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from captioner.demo.prompts import HELD_OUT
from captioner.demo.questions import ask, says_yes
from captioner.engine import CaptionRequest, Engine, load_engine
from core.settings import Settings
from core.spec import DEMO_MODEL, PIXART_PROMPT, CaptionSpec, Generation
from scenes.dataset import sample
from scenes.graph import Scene
from scenes.scorer import Scores, score

#: Names the scenes that are judged; training, tests and the demo draw from other seeds.
SEED = 20_261_122
BATCH = 32

Picture = tuple[Scene, Image.Image]


@dataclass(frozen=True, slots=True)
class Answers:
    """Yes/no questions: how many were asked, and the share answered rightly: of all, of the true, of the false."""

    asked: int
    accuracy: float
    of_yes: float
    of_no: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that is printed. `single` and `half`: shares of captions that stay the same one by one, in fp16."""

    default: Scores
    held_out: Scores
    by_prompt: dict[str, float]
    answers: Answers
    compared: int
    single: float
    half: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "default": self.default.to_dict(),
            "held_out": self.held_out.to_dict(),
            "noun_f1_by_prompt": self.by_prompt,
            "answers": asdict(self.answers),
            "compared": self.compared,
            "single_equals_batched": self.single,
            "float16_equals_float32": self.half,
        }


def judge(model: str, scenes: int, compared: int, seed: int = SEED) -> Judgement:
    """Judges `model` on `scenes` scenes three times over, and compares captions of the first `compared`."""
    pictures = list(draw(scenes, seed))
    asked = [PIXART_PROMPT] * scenes
    others = [HELD_OUT[i % len(HELD_OUT)] for i in range(scenes)]
    with opened(model) as engine:
        default = answer(engine, pictures, asked)
        held_out = answer(engine, pictures, others)
        answers = question(engine, pictures, seed)
    with opened(model, batch=1) as engine:
        single = _same(default, answer(engine, pictures[:compared], asked))
    with opened(model, dtype="float16") as engine:
        half = _same(default, answer(engine, pictures[:compared], asked))
    by_prompt = {
        prompt: score(list(_pairs(pictures[i :: len(HELD_OUT)], held_out[i :: len(HELD_OUT)]))).noun.f1.value
        for i, prompt in enumerate(HELD_OUT)
        if i < scenes
    }
    return Judgement(
        score(_pairs(pictures, default)),
        score(_pairs(pictures, held_out)),
        by_prompt,
        answers,
        min(compared, scenes),
        single,
        half,
    )


def draw(scenes: int, seed: int) -> Iterator[Picture]:
    """Scenes and their pictures: 96 to 512 pixels on the longer side, aspects 1:2 to 2:1, from JPEG."""
    for index in range(scenes):
        members = sample(index, seed)[1]
        picture = Image.open(io.BytesIO(members["jpg"])).convert("RGB")
        yield Scene.from_dict(json.loads(members["json"])["scene"]), picture


@contextmanager
def opened(model: str, *, batch: int = BATCH, dtype: Literal["float32", "float16"] = "float32") -> Iterator[Engine]:
    """The engine with `model`, on the accelerator where there is one."""
    engine = load_engine(CaptionSpec(model=model), Settings(model=model, batch_size=batch, dtype=dtype))
    try:
        yield engine
    finally:
        engine.close()


def answer(engine: Engine, pictures: Sequence[Picture], prompts: Sequence[str]) -> list[str]:
    """What the engine says of each picture; a picture that it refuses counts as an empty caption."""
    requests = (
        CaptionRequest(str(n), picture, prompt)
        for n, ((_, picture), prompt) in enumerate(zip(pictures, prompts, strict=False))
    )
    return [completion.text for completion in engine.caption(requests, Generation())]


def question(engine: Engine, pictures: Sequence[Picture], seed: int) -> Answers:
    """One question on each picture, of the kinds that training asks, on scenes that it did not draw."""
    rng = np.random.default_rng((seed, len(pictures)))
    asked = [ask(scene, rng) for scene, _ in pictures]
    said = answer(engine, pictures, [text for text, _ in asked])
    yes = np.array([says_yes(truth) for _, truth in asked])
    right = np.array([found.lower().startswith("yes" if true else "no") for found, true in zip(said, yes, strict=True)])
    return Answers(len(asked), float(right.mean()), float(right[yes].mean()), float(right[~yes].mean()))


def tell(judgement: Judgement) -> str:
    """The judgement as lines of text."""
    answers = judgement.answers
    lines = ["Default prompt", judgement.default.table(), "", f"{len(HELD_OUT)} prompts that training never saw"]
    lines += [judgement.held_out.table(), "", "noun F1 of each"]
    lines += [f"  {value:.3f}  {prompt}" for prompt, value in judgement.by_prompt.items()]
    lines += [
        "",
        f"Yes/no questions: {answers.accuracy:.3f} of {answers.asked} right; where the answer is yes "
        f"{answers.of_yes:.3f}, where it is no {answers.of_no:.3f}",
        f"Captions alone and in batches of {BATCH}: {judgement.single:.3f} of {judgement.compared} the same",
        f"Captions in float16 and float32: {judgement.half:.3f} of {judgement.compared} the same",
    ]
    return "\n".join(lines)


def _pairs(pictures: Sequence[Picture], captions: Sequence[str]) -> Iterator[tuple[Scene, str]]:
    return ((scene, caption) for (scene, _), caption in zip(pictures, captions, strict=True))


def _same(batched: Sequence[str], others: Sequence[str]) -> float:
    return float(np.mean([a == b for a, b in zip(batched, others, strict=False)]))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Judge a model on unseen scenes of the demo world.")
    parser.add_argument("--model", default=DEMO_MODEL, help="name or folder; without it the model that ships")
    parser.add_argument("--scenes", type=int, default=2000)
    parser.add_argument("--compared", type=int, default=500, help="captions made again alone and in float16")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    judgement = judge(given.model, given.scenes, given.compared, given.seed)
    print(json.dumps(judgement.to_dict(), indent=1) if given.json else tell(judgement))


if __name__ == "__main__":
    main()
