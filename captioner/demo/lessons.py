"""Pictures and scenes into batches: pixels, patch facts, and a row of questions and answers for each picture.

One row holds a picture once and several exchanges about it, each of which sees the picture and itself only: exactly
the texts that the engine will build, at a fraction of their cost. Rows have one fixed length. Leaves out the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from captioner.demo import labels, prompts, questions
from captioner.demo.model import GRID, IMAGE_TOKENS, MEAN, STD
from captioner.demo.pictures import Pictures
from core.spec import PIXART_PROMPT
from scenes.captions import brief, dense
from scenes.graph import Relation, Scene, Thing
from scenes.oldtext import old_text
from scenes.vocabulary import COLOURS, NOUNS, ZONES, plural

#: Tokens of a row: the picture, the caption with its prompt, and as many questions as fit.
LENGTH = IMAGE_TOKENS + 104
#: Weight of the word yes or no beside any other: it is one token, and a caption is two dozen.
_VERDICT_WEIGHT = 6.0
IGNORED = -100
#: Share of a thing's patches that a tower takes for something else, about; measured at the end of its own stage.
_WRONG_NOUNS = 0.08


@dataclass(frozen=True, slots=True)
class Lessons:
    """A batch of b rows of LENGTH tokens; `first` is where each row's picture begins.

    pixels (b, 3, SIDE, SIDE) float; facts and `guessed`, the facts as a tower has them that errs, (b, patches, 8); ids,
    positions, targets, weights (b, LENGTH): `targets` holds the token that follows, IGNORED where nothing is learnt;
    mask (b, 1, LENGTH, LENGTH), true where a token is seen; pointed (b, LENGTH, 2): of a noun in a question the zone
    and the colour of the first such thing, or one more than there are zones and colours where there is none; IGNORED
    everywhere else.
    """

    pixels: torch.Tensor
    facts: torch.Tensor
    guessed: torch.Tensor
    ids: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    mask: torch.Tensor
    pointed: torch.Tensor
    first: int

    def to(self, device: torch.device) -> Lessons:
        moved = {field.name: getattr(self, field.name) for field in fields(self)}
        return Lessons(**{name: v.to(device) if isinstance(v, torch.Tensor) else v for name, v in moved.items()})


@dataclass(frozen=True, slots=True)
class Course:
    """Which rows a process reads: every picture once an epoch, in an order that the seed decides, half of them
    mirrored. `rank` of `ranks` processes reads its own part of every batch of `batch` rows."""

    pictures: Pictures
    tokenizer: Any
    seed: int
    batch: int
    rank: int = 0
    ranks: int = 1

    def steps(self, start: int, stop: int, *, words: bool = True, seen: bool = True) -> Iterator[Lessons]:
        """The batches of steps `start` to `stop`; without `words` no texts, without `seen` no pixels."""
        each = self.batch // self.ranks
        for step in range(start, stop):
            places = range(step * self.batch + self.rank * each, step * self.batch + (self.rank + 1) * each)
            rng = np.random.default_rng((self.seed, step, self.rank))
            yield self._batch([self._picture(place) for place in places], rng, words=words, seen=seen)

    def _picture(self, place: int) -> int:
        epoch, at = divmod(place, len(self.pictures))
        return int(_order(self.seed, epoch, len(self.pictures))[at])

    def _batch(self, chosen: list[int], rng: np.random.Generator, *, words: bool, seen: bool) -> Lessons:
        mirrored = rng.random(len(chosen)) < 0.5
        scenes = [self.pictures.scenes[i] for i in chosen]
        boxes, order = self.pictures.boxes[chosen], self.pictures.order[chosen]
        facts = labels.facts(scenes, boxes, order, GRID).reshape(len(chosen), GRID, GRID, -1)
        pixels = self.pictures.pixels(chosen) if seen else np.zeros((len(chosen), 1, 1, 3), np.uint8)
        for row in np.flatnonzero(mirrored):
            facts[row] = _mirror_zones(facts[row, :, ::-1])
            pixels[row] = pixels[row, :, ::-1]
        scenes = [mirror(scene) if flip else scene for scene, flip in zip(scenes, mirrored, strict=True)]
        rows = self._rows(scenes, rng) if words else [np.zeros((4, 1), np.float32)] * len(scenes)
        table = np.stack(rows)
        ids, segments, weights = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 3]
        facts = facts.reshape(len(chosen), GRID * GRID, -1)
        return Lessons(
            normalised(pixels),
            torch.from_numpy(facts),
            torch.from_numpy(_guessed(facts, rng)),
            torch.from_numpy(ids),
            torch.from_numpy(table[:, 2].astype(np.int64)),
            torch.from_numpy(_targets(ids, weights)),
            torch.from_numpy(np.roll(weights, -1, axis=1)),
            visible(torch.from_numpy(segments)),
            torch.from_numpy(self._pointed(scenes, ids, segments, weights)),
            len(self._prefix()),
        )

    def _pointed(
        self,
        scenes: list[Scene],
        ids: NDArray[np.int64],
        segments: NDArray[np.int64],
        weights: NDArray[np.float32],
    ) -> NDArray[np.int64]:
        found = np.full((*ids.shape, 2), IGNORED, np.int64)
        nouns = noun_tokens(self.tokenizer)
        asked = np.isin(ids, list(nouns)) & (segments > 1) & (weights == 0)
        for row, place in np.argwhere(asked).tolist():
            noun = nouns[int(ids[row, place])]
            thing = next((thing for thing in scenes[row].things if thing.noun == noun), None)
            found[row, place] = (
                (len(ZONES), len(COLOURS)) if thing is None else (ZONES.index(thing.zone), COLOURS.index(thing.colour))
            )
        return found

    def _prefix(self) -> list[int]:
        return list(self.tokenizer("USER: ").input_ids)

    def _rows(self, scenes: list[Scene], rng: np.random.Generator) -> list[NDArray[np.float32]]:
        return [self._row(exchanges) for exchanges in _exchanges(scenes, rng, self.tokenizer)]

    def _row(self, exchanges: list[Exchange]) -> NDArray[np.float32]:
        """-> (4, LENGTH): ids, segments (0 the picture's, -1 padding), positions, weights of answers."""
        image = self.tokenizer.convert_tokens_to_ids("<image>")
        shared = self._prefix() + [image] * IMAGE_TOKENS
        row = np.zeros((4, LENGTH), np.float32)
        row[0], row[1] = self.tokenizer.pad_token_id, -1
        end = len(shared)
        row[0, :end], row[1, :end], row[2, :end] = shared, 0, np.arange(end)
        for number, (prompt, answer) in enumerate(exchanges, start=1):
            tokens = prompt + answer
            stop = end + len(tokens)
            if stop > LENGTH:
                break
            row[0, end:stop], row[1, end:stop] = tokens, number
            row[2, end:stop] = len(shared) + np.arange(len(tokens))
            row[3, stop - len(answer) : stop] = 1.0
            if number > 1:
                row[3, stop - len(answer)] = _VERDICT_WEIGHT
            end = stop
        return row


#: A prompt and its answer, as tokens.
Exchange = tuple[list[int], list[int]]
_QUESTIONS = 3
#: Tokens before the picture, at most.
_SPARE = 8


def _exchanges(scenes: list[Scene], rng: np.random.Generator, tokenizer: Any) -> Iterator[list[Exchange]]:
    """For each scene: a caption's prompt and answer, then those of questions."""
    texts: list[str] = []
    for scene in scenes:
        prompt = prompts.draw(old_text(scene, rng)[0], rng)
        asked = [(prompt.text, brief(scene) if prompt.brief else dense(scene))]
        asked += [questions.ask(scene, rng, evidence=True) for _ in range(_QUESTIONS)]
        texts += [text for question, answer in asked for text in (f"\n{question} ASSISTANT:", f" {answer}")]
    tokens = tokenizer(texts, add_special_tokens=False).input_ids
    usual = tokenizer(f"\n{PIXART_PROMPT} ASSISTANT:", add_special_tokens=False).input_ids
    pairs = [(tokens[i], [*tokens[i + 1], tokenizer.eos_token_id]) for i in range(0, len(tokens), 2)]
    for start in range(0, len(pairs), 1 + _QUESTIONS):
        question, answer = pairs[start]
        if len(question) + len(answer) > LENGTH - IMAGE_TOKENS - _SPARE:
            question = usual
        yield [(question, answer), *pairs[start + 1 : start + 1 + _QUESTIONS]]


def noun_tokens(tokenizer: Any) -> dict[int, str]:
    """Each noun by the tokens of its singular and its plural."""
    forms = [(form, noun) for noun in NOUNS for form in (noun, plural(noun))]
    tokens = tokenizer([f" {form}" for form, _ in forms], add_special_tokens=False).input_ids
    return {ids[0]: noun for ids, (_, noun) in zip(tokens, forms, strict=True)}


def mirror(scene: Scene) -> Scene:
    """The scene with left and right changed over, as its mirrored picture shows it."""
    things = [
        Thing(t.noun, t.colour, t.size, t.pattern, ZONES[_mirrored_zone(ZONES.index(t.zone))]) for t in scene.things
    ]
    relations = tuple(Relation(r.subject, r.kind, r.object) for r in scene.relations)
    return Scene(scene.background, scene.style, tuple(things), relations)


def normalised(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) float32, as the model's image processor gives them."""
    scaled = (pixels.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))


def visible(segments: torch.Tensor) -> torch.Tensor:
    """(n, l) segments -> (n, 1, l, l): a token sees itself and, before it, the picture and its own exchange."""
    length = segments.shape[1]
    query, key = segments[:, :, None], segments[:, None, :]
    before = torch.ones(length, length, dtype=torch.bool).tril()
    itself = torch.eye(length, dtype=torch.bool)
    return ((before & ((key == 0) | (key == query))) | itself)[:, None]


def _targets(ids: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.int64]:
    following = np.where(weights > 0, ids, IGNORED)
    return np.concatenate([following[:, 1:], np.full((len(ids), 1), IGNORED)], axis=1)


def _guessed(facts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The facts, with another noun on some of the things' patches: who reads them learns to ask all of a thing's."""
    guessed = facts.copy()
    wrong = (facts[..., 0] > 0) & (rng.random(facts.shape[:-1]) < _WRONG_NOUNS)
    guessed[wrong, 0] = rng.integers(1, len(NOUNS) + 1, int(wrong.sum()))
    return guessed


def _mirrored_zone(zone: int) -> int:
    return zone // 3 * 3 + 2 - zone % 3


def _mirror_zones(facts: NDArray[np.int64]) -> NDArray[np.int64]:
    facts = facts.copy()
    column = list(labels.FACTS).index("zone")
    zones = facts[..., column]
    facts[..., column] = np.where(zones == labels.NONE, labels.NONE, zones // 3 * 3 + 2 - zones % 3)
    return facts


_orders: dict[tuple[int, int, int], NDArray[np.int64]] = {}


def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of an epoch; the last one asked for is kept."""
    key = (seed, epoch, count)
    if key not in _orders:
        _orders.clear()
        _orders[key] = np.random.default_rng((seed, epoch)).permutation(count)
    return _orders[key]
