"""What is gathered of captions while they are counted: bounded, the same every time, fair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from analysis.gathered import RESERVOIR, SHOWN, TEXT_CHARACTERS, Gathered, length_at
from tests.analysis.plain_nouns import PlainNouns


def gathered(captions: Iterable[tuple[str, str]], **options: object) -> Gathered:
    heard = Gathered(**options)  # type: ignore[arg-type]
    for key, text in captions:
        heard(key, text, next(PlainNouns().nouns([text])))
    return heard


def test_as_many_captions_are_held_as_the_reservoir_has_however_many_come() -> None:
    heard = gathered((str(number), "a dog") for number in range(3 * RESERVOIR))
    assert heard.captions == heard.lengths.total() == 3 * RESERVOIR
    assert len(heard.chosen(count=10**6)) == RESERVOIR


def test_every_caption_has_the_same_chance_to_be_kept() -> None:
    kept = gathered((str(number), "") for number in range(4 * RESERVOIR)).chosen(count=10**6)
    quarters = Counter(int(heard.key) // RESERVOIR for heard in kept)
    # Binomial with mean 120 and deviation 9.5; four deviations.
    assert all(80 < quarters[quarter] < 160 for quarter in range(4)), quarters


def test_the_same_captions_leave_the_same_choice() -> None:
    captions = [(str(number), "dog " * (number % 31)) for number in range(2000)]
    assert gathered(captions).chosen() == gathered(captions).chosen()


def test_the_choice_goes_from_few_nouns_to_many_by_equal_parts() -> None:
    chosen = gathered((str(number), "dog " * number) for number in range(120)).chosen()
    assert [heard.nouns for heard in chosen] == list(range(5, 120, 10))
    assert len(chosen) == SHOWN


def test_few_captions_are_all_chosen() -> None:
    chosen = gathered([("b", "a dog and a cat"), ("a", "red"), ("c", "a dog")]).chosen()
    assert [heard.key for heard in chosen] == ["a", "c", "b"]


def test_a_long_caption_is_kept_up_to_the_limit_and_counted_whole() -> None:
    (heard,) = gathered([("a", "dog " * 5000)]).chosen()
    assert (len(heard.text), heard.characters, heard.words, heard.nouns) == (TEXT_CHARACTERS, 20_000, 5000, 5000)
    assert len(heard.spans) == TEXT_CHARACTERS // 4


def test_names_are_no_nouns_where_they_do_not_count() -> None:
    (with_names,) = gathered([("a", "Rex the dog")]).chosen()
    (without,) = gathered([("a", "Rex the dog")], names=False).chosen()
    assert with_names.spans == ((0, 3), (8, 11))
    assert without.spans == ((8, 11),)


def test_texts_of_wanted_keys_are_kept_unless_a_key_has_two() -> None:
    heard = gathered([("a", "one"), ("b", "two"), ("c", "x"), ("c", "x"), ("d", "y"), ("d", "z")], wanted=set("acde"))
    assert [heard.text_of(key) for key in "abcde"] == ["one", None, "x", None, None]
    assert Gathered(wanted=heard.keys()).text_of("a") is None


def test_lengths_are_counted_in_words() -> None:
    lengths = gathered([("a", "a dog"), ("b", "the red dog's house"), ("c", ""), ("d", "a cat")]).lengths
    assert lengths == {2: 2, 4: 1, 0: 1}
    assert [length_at(lengths, share) for share in (0.25, 0.5, 0.75, 1.0)] == [0, 2, 2, 4]
