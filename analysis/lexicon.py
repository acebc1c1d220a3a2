"""What the English tagger sees of a word: four features of its spelling, one of them from a dictionary; no context.

The dictionary (lemminflect's, MIT licence) is stored inside the trained model, so the features change with the weights
and never with an installed version. Importing this module imports spaCy, and makes the layer known to `spacy.load`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from spacy.lang.lex_attrs import word_shape
from spacy.strings import hash_string  # type: ignore[attr-defined]
from spacy.util import registry
from thinc.api import HashEmbed, Maxout, Model, chain, concatenate, list2ragged, ragged2list, with_array

#: Features of a word, in the order of the columns: the word itself, its last three letters, its shape, its entry.
FEATURES = 4
#: Stands for every word that training did not see at least twice; no token can be equal to it.
UNSEEN = " "
#: First item of the line that lists the words seen in training.
SEEN_LINE = "+"
#: An unknown word is looked up by its ending (`tabletop` by `top`), if both parts have so many letters.
LEAST_PART = 3
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "″": '"', "–": "-", "—": "-"})


class Lexicon:
    """Words with their parts of speech, and the words seen in training.

    `text` has one line per kind of word: the kind, then its words, all divided by single spaces. A kind has a letter
    for each part of speech: N noun, V verb, A adjective, R adverb, X auxiliary, in lower case where the word is an
    inflected form (`nv`: leaves), and P for a name. The line that begins with SEEN_LINE holds the words seen in
    training.
    """

    def __init__(self, text: str) -> None:
        self._kinds: dict[str, str] = {}
        self._seen: frozenset[str] = frozenset()
        for line in text.splitlines():
            kind, *words = line.split(" ")
            if kind == SEEN_LINE:
                self._seen = frozenset(words)
            else:
                self._kinds.update(dict.fromkeys(words, kind))

    def kind(self, word: str) -> str:
        """The dictionary's entry; for an unknown word a mark that tells its case and the entry of its ending."""
        return self._kind(word, folded(word))

    def _kind(self, word: str, low: str) -> str:
        known = self._kinds.get(low)
        if known is not None:
            return known
        if not any(map(str.isalpha, low)):
            return "0" if any(map(str.isdigit, low)) else "."
        mark = "?x" if low == word else "?XX" if word.isupper() and len(word) > 1 else "?X"
        for start in range(LEAST_PART, len(low) - LEAST_PART + 1):
            ending = self._kinds.get(low[start:])
            if ending is not None:
                return mark + ending
        return mark

    def features(self, word: str) -> tuple[int, int, int, int]:
        """64-bit hashes of the word's FEATURES."""
        low = folded(word)
        return (
            hash_string(low if low in self._seen else UNSEEN),
            hash_string(low[-3:]),
            hash_string(_shape(word)),
            hash_string(self._kind(word, low)),
        )


def _shape(word: str) -> str:
    """spaCy's shape of a word (`Xxxxx`, `dd-xx`); that of plain words without a look at each letter."""
    if word.isascii() and word.isalpha() and len(word) < 100:
        if word.islower():
            return "xxxx"[: len(word)]
        if len(word) > 1 and word.istitle():
            return "X" + "xxxx"[: len(word) - 1]
    return str(word_shape(word))


def folded(word: str) -> str:
    """Lower case, with straight quotes and hyphens."""
    return word.lower().translate(_QUOTES)


def lexicon_text(kinds: Mapping[str, str], seen: Iterable[str]) -> str:
    """What Lexicon reads, from {word: kind} and the words seen in training. Equal contents give an equal text."""
    lines: dict[str, list[str]] = {}
    for word in sorted(kinds):
        lines.setdefault(kinds[word], []).append(word)
    return "\n".join([" ".join([SEEN_LINE, *sorted(seen)]), *(" ".join([k, *lines[k]]) for k in sorted(lines))])


@lru_cache(maxsize=2)
def parsed(text: str) -> Lexicon:
    """The Lexicon of a text, read once."""
    return Lexicon(text)


def lexicon_of(model: Model[Any, Any]) -> Lexicon:
    """The lexicon stored in a model that has a LexiconEmbed."""
    return parsed(_features_of(model).attrs["lexicon"])


def store_lexicon(model: Model[Any, Any], text: str) -> None:
    """Puts a lexicon's text into a model that has a LexiconEmbed, before it is trained."""
    _features_of(model).attrs["lexicon"] = text


def _features_of(model: Model[Any, Any]) -> Model[Any, Any]:
    return next(node for node in model.walk() if node.name == "word_features")


@registry.architectures("densify.LexiconEmbed.v1")  # type: ignore[untyped-decorator]
def LexiconEmbed(width: int, rows: list[int]) -> Model[Any, Any]:
    """Docs to a vector of `width` per token: hash tables of `rows` for the FEATURES, mixed by one maxout layer.

    Its reference `types` is the part from features to vectors: the vector of a token depends on its text alone.
    """
    if len(rows) != FEATURES:
        raise ValueError(f"{FEATURES} tables are needed, not {len(rows)}")
    tables: list[Model[Any, Any]] = [
        HashEmbed(width, count, column=column, seed=8 + column, dropout=0.0) for column, count in enumerate(rows)
    ]
    types: Model[Any, Any] = chain(
        concatenate(*tables), Maxout(width, width * FEATURES, nP=3, dropout=0.0, normalize=True)
    )
    model: Model[Any, Any] = chain(_word_features(), list2ragged(), with_array(types), ragged2list())
    model.set_ref("types", types)
    return model


def _word_features() -> Model[Any, Any]:
    return Model("word_features", _forward, attrs={"lexicon": ""})


def _forward(model: Model[Any, Any], docs: list[Any], is_train: bool) -> tuple[list[Any], Callable[[Any], list[Any]]]:
    features = _cached_features(model.attrs["lexicon"])
    arrays: Iterator[Any] = (
        np.array([features(token.text) for token in doc], np.uint64).reshape(-1, FEATURES) for doc in docs
    )
    return [model.ops.asarray(array) for array in arrays], lambda gradient: []


@lru_cache(maxsize=1)
def _cached_features(text: str) -> Callable[[str], tuple[int, int, int, int]]:
    return lru_cache(maxsize=50_000)(parsed(text).features)
