"""Yes/no questions: their answers are true, half of them are yes, and a false one is a near miss."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from captioner.demo.questions import NO, YES, ask, says_yes
from scenes.graph import Scene, sample_scene
from scenes.parser import parse
from scenes.vocabulary import BACKGROUND_PLACES, COLOURS, NOUNS, NUMBERS, PATTERNS, ZONE_PHRASES, plural

NAMES = {form: noun for noun in NOUNS for form in (noun, plural(noun))}


def truth(scene: Scene, question: str) -> bool:
    """Whether what a question asks for is in the scene, read from its words alone."""
    places = [name for name, words in BACKGROUND_PLACES.items() if f" {words}?" in question]
    words = re.findall(r"[a-z]+", question)
    nouns = [NAMES[word] for word in words if word in NAMES]
    if places and not nouns:
        return scene.background == places[0]
    (noun,) = nouns
    matching = [thing for thing in scene.things if thing.noun == noun]
    numbers = [
        NUMBERS.index(word) for word in words if (word in NUMBERS[1:] and "exactly" in words) or word in NUMBERS[2:]
    ]
    if numbers:
        return len(matching) == numbers[0]
    for zone in sorted(ZONE_PHRASES, key=lambda name: -len(ZONE_PHRASES[name])):
        if f" {ZONE_PHRASES[zone]}?" in question:
            return any(thing.zone == zone for thing in matching)
    colours = [word for word in words if word in COLOURS]
    patterns = [word for word in words if word in PATTERNS]
    return any(
        (not colours or thing.colour == colours[0]) and (not patterns or thing.pattern == patterns[0])
        for thing in matching
    )


@pytest.fixture(scope="module")
def asked() -> list[tuple[Scene, str, str]]:
    rng = np.random.default_rng(8)
    scenes = [sample_scene(np.random.default_rng((8, index))) for index in range(3000)]
    return [(scene, *ask(scene, rng)) for scene in scenes]


def test_every_answer_is_true(asked: list[tuple[Scene, str, str]]) -> None:
    for scene, question, answer in asked:
        assert truth(scene, question) == (answer == YES), (question, answer, scene)


def test_half_of_the_answers_are_yes_whatever_the_form_of_the_question(asked: list[tuple[Scene, str, str]]) -> None:
    assert 0.47 < np.mean([answer == YES for _, _, answer in asked]) < 0.53
    heads: dict[str, Counter[str]] = {}
    for _, question, answer in asked:
        heads.setdefault(" ".join(question.split()[:2]), Counter())[answer] += 1
    for head, answers in heads.items():
        if answers.total() >= 100:
            assert 0.38 < answers[YES] / answers.total() < 0.62, (head, answers)


def test_false_questions_are_near_misses(asked: list[tuple[Scene, str, str]]) -> None:
    """Most ask for a thing of the scene with one fact changed, so that a list of nouns is not enough to answer."""
    near = [
        any(NAMES.get(word) in {thing.noun for thing in scene.things} for word in re.findall(r"[a-z]+", question))
        for scene, question, answer in asked
        if answer == NO
    ]
    assert 0.5 < np.mean(near) < 0.8


def test_evidence_is_in_the_scene_and_changes_nothing_else() -> None:
    pointed = 0
    for index in range(500):
        scene = sample_scene(np.random.default_rng((9, index)))
        question, answer = ask(scene, np.random.default_rng(index))
        same, evidence = ask(scene, np.random.default_rng(index), evidence=True)
        assert same == question
        assert says_yes(evidence) == says_yes(answer) == (answer == YES)
        if evidence != answer:
            pointed += 1
            said = parse(evidence.split(", ", 1)[1]).things
            assert len(said) == 1
            thing = said[0]
            assert any(
                (found.noun, found.colour, found.size, found.zone) == (thing.noun, thing.colour, thing.size, thing.zone)
                and found.pattern == (thing.pattern or "plain")
                for found in scene.things
            )
            assert thing.noun in [NAMES.get(word) for word in re.findall(r"[a-z]+", question)]
    assert pointed > 250
