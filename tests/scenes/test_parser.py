from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenes.captions import brief, dense
from scenes.graph import Relation, Scene, sample_scene
from scenes.parser import MOST_PARSED, ParsedScene, PartialThing, parse
from scenes.vocabulary import NOUNS, plural


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(31)
    return [sample_scene(rng) for _ in range(2000)]


def test_a_dense_caption_reads_back_as_its_scene(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert parse(dense(scene)).scene() == scene


def test_a_brief_caption_reads_back_as_far_as_it_says(scenes: list[Scene]) -> None:
    for scene in scenes:
        parsed = parse(brief(scene))
        assert (parsed.background, parsed.style, parsed.relations) == (scene.background, None, ())
        expected = Counter(PartialThing(thing.noun, thing.colour) for thing in scene.things)
        assert Counter(parsed.things) == expected


def test_a_partial_scene_is_no_whole_scene(scenes: list[Scene]) -> None:
    assert all(parse(brief(scene)).scene() is None for scene in scenes[:100])
    assert ParsedScene().scene() is None


def test_letter_case_and_spaces_do_not_matter(scenes: list[Scene]) -> None:
    for scene in scenes[:200]:
        assert parse(dense(scene).upper().replace(" ", "  ")).scene() == scene


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_is_read_in_both_numbers(noun: str) -> None:
    assert parse(f"a {noun}").things == (PartialThing(noun),)
    assert parse(f"Three red {plural(noun)}!").things == (PartialThing(noun, "red"),) * 3


RED_BOAT = PartialThing("boat", "red")


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("A photo of a red wooden boat.", (RED_BOAT,)),
        ("a boat, red", (PartialThing("boat"),)),
        ("blue waves and a boat", (PartialThing("boat"),)),
        ("Red. Boat.", (PartialThing("boat"),)),
        ("two red boats at the top", (PartialThing("boat", "red", zone="top"),) * 2),
        ("2 red boats", (RED_BOAT,) * 2),
        ("red boats", (RED_BOAT,) * 2),
        ("no boats, one red boat", (RED_BOAT,)),
        ("99999999999999999999 boat", (PartialThing("boat"),)),
        ("There is a red boat. The boat is large.", (RED_BOAT,)),
        ("There is a red boat. The red boat is in the centre.", (PartialThing("boat", "red", zone="centre"),)),
        ("There is a red boat. The blue boat is far.", (RED_BOAT, PartialThing("boat", "blue"))),
        ("in the middle a red boat", (PartialThing("boat", "red", zone="centre"),)),
        ("a red boat in the top-left corner", (PartialThing("boat", "red", zone="top left"),)),
        (
            "a boat at the top, and on the right a cup",
            (PartialThing("boat", zone="top"), PartialThing("cup", zone="right")),
        ),
        ("a dragon on the left. A cup", (PartialThing("cup"),)),
        ("two stars: one on the left", (PartialThing("star", zone="left"), PartialThing("star"))),
        ("", ()),
    ],
)
def test_loose_words_are_understood(text: str, things: tuple[PartialThing, ...]) -> None:
    assert parse(text).things == things


@pytest.mark.parametrize(
    "text",
    [
        "A bird on top of a tree.",
        "A bird is on a tree",
        "A bird is on top of the tree.",
        "There is a tree with a bird on top of it.",
        "a tree and a bird on top of it",
        "A tree. A bird is on top of the tree.",
        "A bird on a tree. The bird is on the tree.",
    ],
)
def test_relations_are_read_from_either_side(text: str) -> None:
    parsed = parse(text)
    ((subject, kind, base),) = [
        (parsed.things[r.subject].noun, r.kind, parsed.things[r.object].noun) for r in parsed.relations
    ]
    assert (subject, kind, base) == ("bird", "on", "tree")
    assert len(parsed.things) == 2


def test_a_place_is_no_relation() -> None:
    parsed = parse("A cup on a stage, a key on the left, a boat in front of a brick wall with a star")
    assert parsed.relations == ()
    assert parsed.background == "stage"


def test_background_and_style_are_the_first_ones_named() -> None:
    parsed = parse("A watercolor of a meadow, like pixel art of the sea.")
    assert (parsed.background, parsed.style) == ("meadow", "watercolour")


def test_two_companions_of_a_group_find_their_own_members() -> None:
    text = "There are two red cups: one at the top with a key under it, and one on the left with a hat beside it."
    parsed = parse(text)
    assert [(t.noun, t.zone) for t in parsed.things] == [
        ("cup", "top"),
        ("cup", "left"),
        ("key", "top"),
        ("hat", "left"),
    ]
    assert parsed.relations == (Relation(2, "under", 0), Relation(3, "beside", 1))


LOOSE = "a the one two no red small striped boat stars on top of it with in centre . : sea flat 3"
WORDS = st.sampled_from(LOOSE.split())


@given(st.one_of(st.text(), st.lists(WORDS, max_size=60).map(" ".join)))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_the_parser(text: str) -> None:
    parsed = parse(text)
    assert len(parsed.things) <= MOST_PARSED
    for relation in parsed.relations:
        assert {relation.subject, relation.object} <= set(range(len(parsed.things)))


@pytest.mark.parametrize(
    "words",
    [
        "twelve red boats ",
        "a bird on the tree ",
        "one ",
        "on top of it ",
        "the cup on the hat, the key on the bed ",
        "two cups: one one ",
        "x",
    ],
)
def test_a_huge_text_is_read_in_a_moment(words: str) -> None:
    start = time.process_time()
    parsed = parse(words * (500_000 // len(words)))
    assert time.process_time() - start < 10
    assert len(parsed.things) <= MOST_PARSED
    assert len(parsed.relations) <= MOST_PARSED
