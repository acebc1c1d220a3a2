from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.words import as_written, clean, count_words, fold, is_noun_form, printable


@pytest.mark.parametrize(
    "token",
    [
        "https://example.org/a.jpg?x=1",
        "www.example.org",
        "example.com",
        "shop.example.com/cat",
        "mail@example.org",
        "<mail@example.org>",
        "@handle",
        "IMG_2034.jpg",
        "photo.JPEG",
        "report.pdf,",
        "DSC01234",
        "img-2034",
        "screenshot_20240101",
        "<b>",
        "</a>",
        "<img src='x' alt='dog'>",
        "&nbsp;",
        "&#39;",
        "\x00\x07",
        "\ud800",
    ],
)
def test_what_is_no_word_is_blanked(token: str) -> None:
    text = f"a dog {token} a cat"
    assert clean(text).split() == ["a", "dog", "a", "cat"]


@pytest.mark.parametrize(
    "token", ["dog.", "dog.It", "U.S.", "T-shirt", "don't", "(cat)", "e.g.", "café", "개", "3D", "R&D"]
)
def test_words_stay(token: str) -> None:
    assert clean(f"a {token} b") == f"a {token} b"


def test_signs_that_glue_words_together_become_spaces() -> None:
    assert clean("Photo|Stock dress_watch") == "Photo Stock dress watch"


@settings(deadline=None)
@given(st.text(max_size=300))
def test_cleaning_keeps_the_length_and_leaves_valid_utf_8(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    cleaned.encode()


@pytest.mark.parametrize("unit", [")", "(a", "<a ", "a@", "x.", "&am", "_", "'s", "-a", "a.b@", "<!", "://", "1a"])
def test_a_hostile_caption_takes_linear_time(unit: str) -> None:
    started = time.monotonic()
    clean(unit * (1_000_000 // len(unit)))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("surface", "is_noun"),
    [
        ("dog", True),
        ("개", True),
        ("mp3", True),
        ("L69", False),
        ("2024", False),
        ("4k", False),
        ("x", False),
        ("-", False),
        ("🐶", False),
        ("", False),
        ("   ", False),
    ],
)
def test_a_noun_has_more_letters_than_digits_and_more_than_one(surface: str, is_noun: bool) -> None:
    assert is_noun_form(surface) is is_noun


@pytest.mark.parametrize(
    ("surface", "form"),
    [
        ("Dog", "dog"),
        ("DOGS", "dogs"),
        ("'cat'", "cat"),
        ("cafe\u0301", "café"),
        ("CAFÉ", "café"),
        ("T-shirt", "t-shirt"),
        ("“house”", "house"),
        ("dog_", "dog"),
    ],
)
def test_folding_drops_case_edges_and_unicode_variants(surface: str, form: str) -> None:
    assert fold(surface) == form


@settings(deadline=None)
@given(st.text(max_size=40))
def test_folding_twice_is_folding_once(surface: str) -> None:
    assert fold(fold(surface)) == fold(surface)


@pytest.mark.parametrize(
    ("surface", "form"),
    [("Dog", "Dog"), ("DOGS", "DOGS"), ("'Cat'", "Cat"), ("Cafe\u0301", "Café"), ("“House”", "House"), ("--", "")],
)
def test_a_form_as_written_keeps_its_case_and_drops_edges(surface: str, form: str) -> None:
    assert as_written(surface) == form


@settings(deadline=None)
@given(st.text(max_size=40))
def test_a_form_as_written_stays_what_it_is_and_folds_to_the_same(surface: str) -> None:
    assert as_written(as_written(surface)) == as_written(surface)
    assert fold(as_written(surface)) == fold(surface)


def test_what_is_printable_has_no_sign_that_moves_a_cursor_or_breaks_utf_8() -> None:
    assert printable("a\x1b[31m\tb\n\ud83d\x00c") == "a [31m\tb\n  c"


def test_words_are_runs_of_letters_and_digits_joined_by_apostrophes_and_hyphens() -> None:
    assert count_words("A close-up of a dog, don't you see? 3 cats!") == 10
    assert count_words(" \n--- ") == 0
