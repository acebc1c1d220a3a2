from __future__ import annotations

import re

import pytest

from scenes.vocabulary import (
    BACKGROUND_PLACES,
    BACKGROUND_VIEWS,
    BACKGROUNDS,
    COLOURS,
    HIDDEN_COLOURS,
    HIDDEN_IN_STYLE,
    NOUNS,
    PATTERNS,
    RELATION_PHRASES,
    RELATIONS,
    SIZES,
    STYLE_CLOSINGS,
    STYLE_OPENINGS,
    STYLES,
    UNFIT_NOUNS,
    UNFIT_STYLES,
    ZONE_PHRASES,
    ZONES,
    plural,
    with_article,
)

FIXED_PHRASES = [
    *BACKGROUND_VIEWS.values(),
    *BACKGROUND_PLACES.values(),
    *STYLE_OPENINGS.values(),
    *STYLE_CLOSINGS.values(),
    *ZONE_PHRASES.values(),
    *RELATION_PHRASES.values(),
]


def test_the_world_is_as_large_as_promised() -> None:
    assert len(NOUNS) >= 52
    assert [len(words) for words in (COLOURS, SIZES, PATTERNS, ZONES, RELATIONS)] == [10, 2, 3, 9, 4]
    assert (len(BACKGROUNDS), len(STYLES)) == (12, 5)


def test_no_word_means_two_things() -> None:
    words = [*NOUNS, *COLOURS, *SIZES, *PATTERNS, *BACKGROUNDS, *STYLES]
    assert len(set(words)) == len(words)
    plurals = [plural(noun) for noun in NOUNS]
    assert len(set(plurals)) == len(plurals)
    assert [noun for noun in NOUNS if plural(noun) in NOUNS] == ["fish"]


@pytest.mark.parametrize("phrase", FIXED_PHRASES)
def test_fixed_phrases_hold_no_thing(phrase: str) -> None:
    things = {*NOUNS, *map(plural, NOUNS)}
    assert things.isdisjoint(re.findall(r"[a-z]+", phrase.lower()))


def test_every_table_covers_its_words_and_no_others() -> None:
    assert set(BACKGROUND_PLACES) == set(HIDDEN_COLOURS) == set(BACKGROUNDS)
    assert set(STYLE_CLOSINGS) == set(STYLES)
    assert set(HIDDEN_IN_STYLE) <= set(STYLES)
    assert set(UNFIT_NOUNS) | set(UNFIT_STYLES) <= set(BACKGROUNDS)
    assert frozenset().union(*UNFIT_NOUNS.values()) <= set(NOUNS)
    assert frozenset().union(*HIDDEN_COLOURS.values(), *HIDDEN_IN_STYLE.values()) <= set(COLOURS)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_background_leaves_most_colours_visible_in_every_style(background: str) -> None:
    for style in STYLES:
        hidden = HIDDEN_COLOURS[background] | HIDDEN_IN_STYLE.get(style, frozenset())
        assert len(set(COLOURS) - hidden) >= 6


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("apple", "apples"),
        ("bench", "benches"),
        ("bus", "buses"),
        ("butterfly", "butterflies"),
        ("cactus", "cacti"),
        ("fish", "fish"),
        ("key", "keys"),
        ("leaf", "leaves"),
        ("snowman", "snowmen"),
    ],
)
def test_plurals_are_correct_english(noun: str, expected: str) -> None:
    assert plural(noun) == expected


def test_the_article_follows_the_sound() -> None:
    assert with_article("orange cup") == "an orange cup"
    assert with_article("umbrella") == "an umbrella"
    assert with_article("house") == "a house"
    assert not [noun for noun in NOUNS if re.match(r"hour|hono|heir|uni|eu|one", noun)], "with_article does not know"
