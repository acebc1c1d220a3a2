"""Yes/no questions on a scene, half of them true: is this thing, colour, number, place or background in the picture?

A false question is a near miss: one fact of the scene changed to another that it does not have. Leaves out prompts
for captions (prompts.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import numpy as np

from scenes.captions import describe
from scenes.graph import Scene, Thing
from scenes.vocabulary import (
    BACKGROUND_PLACES,
    BACKGROUNDS,
    COLOURS,
    NOUNS,
    NUMBERS,
    PATTERNS,
    ZONE_PHRASES,
    ZONES,
    plural,
    with_article,
)

YES, NO = "Yes.", "No."

#: How a question on a thing begins and ends; the thing with its article goes between.
FRAMES: Final[tuple[tuple[str, str], ...]] = (
    ("Is there ", " in the image?"),
    ("Is there ", " in this picture?"),
    ("Is there ", "?"),
    ("Does the image show ", "?"),
    ("Does this picture contain ", "?"),
    ("Can you see ", "?"),
    ("Can you see ", " in the picture?"),
    ("Can ", " be seen in the image?"),
    ("Do you see ", " here?"),
    ("Is ", " visible in the image?"),
    ("Look at the image. Is there ", "?"),
    ("Answer yes or no: is there ", " in the image?"),
)
#: What may follow any question.
ENDINGS: Final[tuple[str, ...]] = ("", "", "", " Answer yes or no.", " Yes or no?", " Answer with yes or no only.")

Question = tuple[str, str]
#: A question's words, and the thing that its answer can point at.
_Asked = tuple[str, Thing | None]


def ask(scene: Scene, rng: np.random.Generator, *, evidence: bool = False) -> Question:
    """A question and its answer, `Yes.` or `No.`, each with an even chance whatever the kind of question.

    With `evidence` the answer points at what was looked for, or at what is there instead: `No, a small blue boat is on
    the left.` The generator is used alike with and without.
    """
    true = bool(rng.integers(2))
    kind = _KINDS[int(rng.choice(len(_KINDS), p=_WEIGHTS))]
    text, thing = kind(scene, true, rng)
    text += _pick(rng, ENDINGS)
    answer = YES if true else NO
    if evidence and thing is not None:
        answer = f"{answer[:-1]}, {describe(thing)} is {ZONE_PHRASES[thing.zone]}."
    return text, answer


def says_yes(answer: str) -> bool:
    """Whether an answer, with or without evidence, begins with yes."""
    return answer.lower().startswith("yes")


def _noun(scene: Scene, true: bool, rng: np.random.Generator) -> _Asked:
    there = {thing.noun for thing in scene.things}
    noun = _pick(rng, sorted(there) if true else [noun for noun in NOUNS if noun not in there])
    return _frame(with_article(noun), rng), _first(scene, noun)


def _colour(scene: Scene, true: bool, rng: np.random.Generator) -> _Asked:
    there = {(thing.colour, thing.noun) for thing in scene.things}
    thing = _thing(scene, rng)
    colour = thing.colour
    if not true:
        colour = _other(rng, COLOURS, lambda word: (word, thing.noun) in there)
    return _frame(with_article(f"{colour} {thing.noun}"), rng), thing


def _swapped(scene: Scene, true: bool, rng: np.random.Generator) -> _Asked:
    """The colour of one thing with the noun of another: what a model without binding would affirm."""
    there = {(thing.colour, thing.noun) for thing in scene.things}
    crossed = sorted({(a.colour, b.noun) for a in scene.things for b in scene.things} - there)
    if true or not crossed:
        return _colour(scene, true, rng)
    colour, noun = crossed[int(rng.integers(len(crossed)))]
    return _frame(with_article(f"{colour} {noun}"), rng), _first(scene, noun)


def _pattern(scene: Scene, true: bool, rng: np.random.Generator) -> _Asked:
    there = {(thing.pattern, thing.noun) for thing in scene.things}
    told = [thing for thing in scene.things if thing.pattern != "plain"]
    if not told and true:
        return _colour(scene, true, rng)
    thing = told[int(rng.integers(len(told)))] if told and true else _thing(scene, rng)
    pattern = thing.pattern
    if not true:
        free = [word for word in PATTERNS if word != "plain" and (word, thing.noun) not in there]
        if not free:
            return _colour(scene, true, rng)
        pattern = _pick(rng, free)
    return _frame(with_article(f"{pattern} {thing.noun}"), rng), thing


def _position(scene: Scene, true: bool, rng: np.random.Generator) -> _Asked:
    there = {(thing.noun, thing.zone) for thing in scene.things}
    thing = _thing(scene, rng)
    zone = thing.zone if true else _other(rng, ZONES, lambda word: (thing.noun, word) in there)
    head, what = _pick(rng, ("Is there ", "Can you see ", "Do you see ")), with_article(thing.noun)
    return f"{head}{what} {ZONE_PHRASES[zone]}?", thing


def _number(scene: Scene, true: bool, rng: np.random.Generator) -> _Asked:
    """Several of a kind where there are some, else exactly one: a form that were mostly false would answer itself."""
    counts = Counter(thing.noun for thing in scene.things)
    several = sorted(noun for noun, number in counts.items() if number > 1)
    if several:
        noun = _pick(rng, several)
        number = counts[noun] if true else int(rng.choice([n for n in range(2, 6) if n != counts[noun]]))
        return f"Are there {NUMBERS[number]} {plural(noun)} in the image?", None
    noun = _pick(rng, sorted(counts) if true else [noun for noun in NOUNS if noun not in counts])
    return f"Is there exactly one {noun} in the image?", None


def _background(scene: Scene, true: bool, rng: np.random.Generator) -> _Asked:
    name = scene.background if true else _other(rng, BACKGROUNDS, lambda word: word == scene.background)
    head = _pick(rng, ("Is this", "Is this scene", "Is this picture set", "Are the things in this image"))
    return f"{head} {BACKGROUND_PLACES[name]}?", None


_KINDS: Final[tuple[Callable[[Scene, bool, np.random.Generator], _Asked], ...]] = (
    _noun,
    _colour,
    _swapped,
    _pattern,
    _position,
    _number,
    _background,
)
_WEIGHTS: Final = (0.3, 0.2, 0.15, 0.08, 0.12, 0.08, 0.07)


def _frame(what: str, rng: np.random.Generator) -> str:
    head, tail = FRAMES[int(rng.integers(len(FRAMES)))]
    return head + what + tail


def _first(scene: Scene, noun: str) -> Thing | None:
    return next((thing for thing in scene.things if thing.noun == noun), None)


def _thing(scene: Scene, rng: np.random.Generator) -> Thing:
    return scene.things[int(rng.integers(len(scene.things)))]


def _other(rng: np.random.Generator, words: tuple[str, ...], taken: Callable[[str], bool]) -> str:
    return _pick(rng, [word for word in words if not taken(word)])


def _pick(rng: np.random.Generator, words: list[str] | tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]
