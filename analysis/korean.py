"""Korean nouns by Kiwi, a morphological analyser: common nouns (NNG) and names (NNP), cut off their particles.

Leaves out bound nouns (NNB: 마리, 것), pronouns, numerals and Latin words inside Korean text.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from analysis.nouns import Noun, Tag, in_turn, pieces_of
from analysis.words import clean, is_noun_form
from core.errors import MissingPackageError

TAGS: dict[str, Tag] = {"NNG": "NOUN", "NNP": "PROPN"}
#: A syllable in parts, as macOS writes file names (NFD). Kiwi takes a word of such parts for one unknown name.
_PARTS = re.compile("[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?|[\uac00-\ud7a3][\u11a8-\u11c2]")


class KiwiNouns:
    """Kiwi as a NounPipeline. Raises MissingPackageError where kiwipiepy is not installed."""

    def __init__(self) -> None:
        try:
            import kiwipiepy
            import kiwipiepy_model
        except ImportError as error:
            raise MissingPackageError(
                "The noun pipeline `ko` needs kiwipiepy.", hint="Install it: `pip install densify[korean]`."
            ) from error
        # The dictionary and weights are a package of their own, and decide as much as the program does.
        self.name = f"kiwi-{kiwipiepy.__version__}-model-{kiwipiepy_model.__version__}"
        self._kiwi: Any = kiwipiepy.Kiwi(num_workers=1)
        self._lock = threading.Lock()

    def nouns(self, texts: Iterable[str]) -> Iterator[list[Noun]]:
        """See NounPipeline. Texts of any length, in pieces of at most analysis.nouns.PIECE_CHARACTERS."""
        return in_turn(texts, self._lock, lambda batch: [list(self._nouns_of(text)) for text in batch])

    def _nouns_of(self, text: str) -> Iterator[Noun]:
        for offset, piece in pieces_of(clean(text)):
            syllables, places = compose(piece)
            for token in self._kiwi.tokenize(syllables):
                tag = TAGS.get(token.tag)
                start, end = places[token.start], places[token.start + token.len]
                surface = piece[start:end]
                # Kiwi keeps single syllables that are nouns (공, ball); is_noun_form lets them pass: they are no ASCII.
                if tag and is_noun_form(surface):
                    yield Noun(surface, token.form, tag, offset + start, offset + end)


def compose(text: str) -> tuple[str, Sequence[int]]:
    """The text with its jamo joined into syllables; and for each sign of that, and for its end, the place in `text`."""
    joined: list[str] = []
    places: list[int] = []
    done = 0
    for parts in _PARTS.finditer(text):
        syllable = unicodedata.normalize("NFC", parts[0])
        joined += [text[done : parts.start()], syllable]
        # A syllable that has its final consonant already takes no second one: both signs stay.
        places += [*range(done, parts.start()), *range(parts.start(), parts.start() + len(syllable))]
        done = parts.end()
    if not done:
        return text, range(len(text) + 1)
    return "".join([*joined, text[done:]]), [*places, *range(done, len(text) + 1)]
