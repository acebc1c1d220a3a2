"""What a page shows of the captions themselves, gathered while they are counted: a few of them, and their lengths.

However many captions there are, no more than RESERVOIR of them are held at a time. Leaves out: pictures and old texts
(shown.py).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from analysis.nouns import Noun
from analysis.words import count_words

#: Captions drawn at random, all with the same chance, from which those that are shown are taken.
RESERVOIR = 480
#: A caption is kept, and shown, up to here.
TEXT_CHARACTERS = 2_000
#: Captions shown.
SHOWN = 12
SEED = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """One caption: `text` is its first TEXT_CHARACTERS, `spans` are the nouns that lie in them; `characters`, `words`
    and `nouns` are those of all of it.
    """

    key: str
    text: str
    characters: int
    words: int
    nouns: int
    spans: tuple[tuple[int, int], ...]


class Gathered:
    """Call it with every caption (tables.Counting.told). The same captions in the same order leave the same.

    `captions`: how many there were; `lengths`: how many of each number of words. `names`: proper nouns are nouns too.
    `wanted`: keys whose text is to be kept as well (`text_of`).
    """

    def __init__(self, *, names: bool = True, wanted: Collection[str] = ()) -> None:
        self.lengths: Counter[int] = Counter()
        self._names = names
        self._wanted = frozenset(wanted)
        self._texts: dict[str, str | None] = {}
        self.captions = 0
        self._kept: list[Heard] = []
        self._random = random.Random(SEED)

    def __call__(self, key: str, text: str, nouns: Sequence[Noun]) -> None:
        words = count_words(text)
        self.lengths[words] += 1
        if key in self._wanted:
            shown = text[: TEXT_CHARACTERS + 1]
            # A key that has two texts names no single sample.
            self._texts[key] = shown if self._texts.get(key, shown) == shown else None
        place = self.captions if self.captions < RESERVOIR else self._random.randrange(self.captions + 1)
        self.captions += 1
        if place < RESERVOIR:
            # A slot is new, or its caption gives way.
            self._kept[place : place + 1] = [self._heard(key, text, nouns, words)]

    def _heard(self, key: str, text: str, nouns: Sequence[Noun], words: int) -> Heard:
        spans = [(noun.start, noun.end) for noun in nouns if self._names or noun.tag == "NOUN"]
        inside = tuple(span for span in spans if span[1] <= TEXT_CHARACTERS)
        return Heard(key, text[:TEXT_CHARACTERS], len(text), words, len(spans), inside)

    def chosen(self, count: int = SHOWN) -> list[Heard]:
        """At most `count` captions, from few nouns to many: one from the middle of each of `count` equal parts."""
        ordered = sorted(self._kept, key=lambda heard: heard.nouns)
        if len(ordered) <= count:
            return ordered
        return [ordered[(2 * part + 1) * len(ordered) // (2 * count)] for part in range(count)]

    def keys(self) -> set[str]:
        """The keys of the captions that are shown: whose texts a baseline is asked for."""
        return {heard.key for heard in self.chosen()}

    def text_of(self, key: str) -> str | None:
        """The text of a wanted key, cut one character beyond TEXT_CHARACTERS; None where it had none, or several."""
        return self._texts.get(key)


def length_at(lengths: Counter[int], share: float) -> int:
    """The least number of words that `share` (0 to 1) of the captions do not exceed. Takes at least one caption."""
    left = share * lengths.total()
    for words in sorted(lengths):
        left -= lengths[words]
        if left <= 0:
            return words
    return max(lengths)
