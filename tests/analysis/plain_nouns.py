"""A noun pipeline without a model, for tests of everything behind it: `names` are PROPN, listed words are not nouns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from analysis.nouns import Noun

NOT_NOUNS = frozenset({"a", "the", "is", "and", "on", "red", "of", "two"})


class PlainNouns:
    """Every word is a noun but NOT_NOUNS; one that begins with a capital is a name; the lemma drops a final s."""

    name = "plain-1"

    def nouns(self, texts: Iterable[str]) -> Iterator[list[Noun]]:
        for text in texts:
            yield [
                Noun(word, word.lower().removesuffix("s"), "PROPN" if word[0].isupper() else "NOUN", *match.span())
                for match in re.finditer(r"[^\W\d_]+", text)
                if (word := match[0]).lower() not in NOT_NOUNS
            ]
