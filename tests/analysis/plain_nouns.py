"""Noun pipelines without a model, for tests of everything behind them: capitals begin names; NOT_NOUNS are none."""

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


class SpacedNouns:
    """Every run without white space is a noun, whatever its signs; one that begins with a capital is a name."""

    name = "spaced-1"

    def nouns(self, texts: Iterable[str]) -> Iterator[list[Noun]]:
        for text in texts:
            yield [
                Noun(match[0], match[0].removesuffix("s"), "PROPN" if match[0][0].isupper() else "NOUN", *match.span())
                for match in re.finditer(r"\S+", text)
            ]
