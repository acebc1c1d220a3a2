"""Words of many texts at once: spaCy's tokens, with each chunk of text between spaces tokenised once, then remembered.

Tokens are those of `nlp.tokenizer` on the text as analysis.words.clean leaves it, to the letter. What is remembered is
dropped as a whole when it is full, so memory does not grow with the corpus.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.words import clean, is_noun_form

Ints = NDArray[np.intp]

#: As much is remembered: word types, chunks, and the characters of both.
MOST_TYPES = 24_000
MOST_CHUNKS = 64_000
MOST_CHARACTERS = 1_000_000
#: Number of a chunk that `clean` changes: the text that has it must be cleaned first.
_UNCLEAN = -1
_CHUNK = re.compile(r"\S+ ?|\s+")


class Piece(NamedTuple):
    """A clean text, or a part of a long one, as numbers of chunks; whose part it is, and where it begins there."""

    owner: int
    offset: int
    text: str
    chunks: list[int]


class Tokens(NamedTuple):
    """The tokens of several pieces, one after another: word type, number of the piece, first character in the piece."""

    types: Ints
    pieces: Ints
    starts: Ints


def chunks_of(text: str) -> list[str]:
    """The text divided as spaCy first does: a word with the space behind it; more white space is a chunk of its own."""
    return _CHUNK.findall(text)


class Chunks:
    """Chunks and word types under numbers. Not safe under threads; to be used inside a `memory_zone` of `nlp`.

    `surfaces[type]` is a word; type 0 is none. `noun_form` tells for each type whether it can be counted as a noun.
    """

    def __init__(self, nlp: Any) -> None:
        self._tokenizer = nlp.tokenizer
        self._cases = frozenset(nlp.tokenizer.rules)
        self._pairs = _pairs(nlp)
        self._left, self._right = ({pair[side] for pair in self._pairs} for side in (0, 1))
        self.clear()

    def clear(self) -> None:
        """Forgets all; numbers given out before mean nothing from here on."""
        self._numbers: dict[str, int] = {}
        # Numbers of what is left after cleaning and would be cleaned again: rare.
        self._left_over: dict[str, int] = {}
        self._type_numbers: dict[str, int] = {}
        self._characters = 0
        self.surfaces = [""]
        self.noun_form, self._is_left, self._is_right = array("b", [0]), array("b", [0]), array("b", [0])
        # Of each chunk: its first token, how many it has, its characters. Of each token: word type, place in its chunk.
        self._first, self._count, self._length = array("q"), array("q"), array("q")
        self._type, self._place = array("q"), array("q")

    @property
    def full(self) -> bool:
        """Whether it is time to clear."""
        return (
            len(self.surfaces) > MOST_TYPES
            or len(self._first) > MOST_CHUNKS
            or self._characters + len(self._type) > MOST_CHARACTERS
        )

    def learn(self, chunks: Iterable[str]) -> None:
        """Tokenises those of the chunks that are new, in one go."""
        fit = []
        for chunk in dict.fromkeys(chunks):
            if chunk not in self._numbers:
                self._numbers[chunk] = _UNCLEAN
                self._characters += len(chunk)
                if chunk.rstrip(" ").isalpha() or clean(chunk) == chunk:
                    fit.append(chunk)
        self._numbers.update(zip(fit, self._add(fit), strict=True))

    def numbers(self, chunks: Sequence[str]) -> list[int] | None:
        """The numbers of learned chunks; None where the text that they are must be cleaned first."""
        known = self._numbers
        found = [known[chunk] for chunk in chunks]
        return None if _UNCLEAN in found else found

    def numbers_of_clean(self, chunks: Sequence[str]) -> list[int]:
        """The numbers of the learned chunks of a text that has been cleaned."""
        again = [chunk for chunk in chunks if self._numbers[chunk] < 0 and chunk not in self._left_over]
        self._left_over.update(zip(again, self._add(again), strict=True))
        return [number if (number := self._numbers[chunk]) >= 0 else self._left_over[chunk] for chunk in chunks]

    def tokens(self, pieces: Sequence[Piece]) -> Tokens:
        """The tokens of pieces that have a chunk or more each."""
        tokens, odd = self._tokens(pieces)
        if odd:
            # As a chunk of its own, such a piece goes through spaCy's tokeniser from end to end.
            whole = [
                piece._replace(chunks=[self._add_whole(piece.text)]) if number in odd else piece
                for number, piece in enumerate(pieces)
            ]
            tokens, _ = self._tokens(whole)
        return tokens

    def _tokens(self, pieces: Sequence[Piece]) -> tuple[Tokens, set[int]]:
        """The tokens, and the pieces in which spaCy's tokeniser might join tokens of neighbouring chunks."""
        chunks = np.fromiter(chain.from_iterable(piece.chunks for piece in pieces), np.intp)
        sizes = np.fromiter((len(piece.chunks) for piece in pieces), np.intp, len(pieces))
        first, count, types = (np.array(column) for column in (self._first, self._count, self._type))
        firsts, counts = first[chunks], count[chunks]
        ends = np.cumsum(counts)
        token = np.arange(ends[-1]) + np.repeat(firsts - (ends - counts), counts)
        owners = np.repeat(np.arange(len(pieces)), sizes)
        starts = np.repeat(self._chunk_starts(chunks, sizes), counts) + np.array(self._place)[token]
        left, right = types[firsts + counts - 1][:-1], types[firsts][1:]
        meet = np.array(self._is_left)[left] & np.array(self._is_right)[right] & (owners[1:] == owners[:-1])
        odd = {
            int(owners[at])
            for at in meet.nonzero()[0]
            if (self.surfaces[left[at]], self.surfaces[right[at]]) in self._pairs
        }
        return Tokens(types[token], np.repeat(owners, counts), starts), odd

    def _chunk_starts(self, chunks: Ints, sizes: Ints) -> Ints:
        lengths = np.array(self._length)[chunks]
        starts: Ints = np.cumsum(lengths) - lengths
        starts -= np.repeat(starts[np.cumsum(sizes) - sizes], sizes)
        return starts

    def _add(self, chunks: Sequence[str]) -> range:
        """Tokenises chunks; their numbers."""
        numbers = range(len(self._first), len(self._first) + len(chunks))
        words = [chunk if chunk.isspace() else chunk.rstrip(" ") for chunk in chunks]
        whole = [self._is_token(word) for word in words]
        # A line each: white space is a token of its own, so nothing is joined across it.
        lines = "\n".join(word for word, is_token in zip(words, whole, strict=True) if not is_token)
        tokens = ((token.text, token.idx) for token in self._tokenizer(lines))
        line = 0
        for chunk, word, is_token in zip(chunks, words, whole, strict=True):
            self._begin_chunk(chunk)
            if is_token:
                self._add_token(word, 0)
                continue
            end = line + len(word)
            for surface, at in tokens:
                if at == end:
                    break
                self._add_token(surface, at - line)
            line = end + 1
        return numbers

    def _is_token(self, word: str) -> bool:
        """Whether spaCy leaves it in one piece; False also where that is not certain without a look at its rules."""
        return (word.isalpha() and word.isascii() and word not in self._cases) or word.isspace()

    def _add_whole(self, text: str) -> int:
        self._begin_chunk(text)
        for token in self._tokenizer(text):
            self._add_token(token.text, token.idx)
        return len(self._first) - 1

    def _begin_chunk(self, chunk: str) -> None:
        self._first.append(len(self._type))
        self._count.append(0)
        self._length.append(len(chunk))

    def _add_token(self, surface: str, place: int) -> None:
        number = self._type_numbers.get(surface)
        if number is None:
            number = self._type_numbers[surface] = len(self.surfaces)
            self.surfaces.append(surface)
            self.noun_form.append(is_noun_form(surface))
            self._is_left.append(surface in self._left)
            self._is_right.append(surface in self._right)
            self._characters += len(surface)
        self._type.append(number)
        self._place.append(place)
        self._count[-1] += 1


def _pairs(nlp: Any) -> frozenset[tuple[str, str]]:
    """Neighbouring tokens that spaCy's tokeniser may take for a part of a special case (`:` and `)`) across a space.

    It divides first and joins afterwards: so what joining has made (`:)`) stands for its own first and last part too.
    """
    from spacy.tokenizer import Tokenizer

    own = nlp.tokenizer
    bare = Tokenizer(
        nlp.vocab,
        prefix_search=own.prefix_search,
        suffix_search=own.suffix_search,
        infix_finditer=own.infix_finditer,
        token_match=own.token_match,
        url_match=own.url_match,
    )
    pairs: set[tuple[str, str]] = set()
    ending, beginning = defaultdict(set), defaultdict(set)
    for case in own.rules:
        parts, joined = ([token.text for token in tokenizer(case)] for tokenizer in (bare, own))
        pairs.update(pairwise(parts))
        ending[parts[-1]].add(joined[-1])
        beginning[parts[0]].add(joined[0])
    return frozenset(
        (left, right) for one, other in pairs for left in ending[one] | {one} for right in beginning[other] | {other}
    )
