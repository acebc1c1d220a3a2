"""The English noun pipeline that ships: spaCy's tokens (chunks.py), tagged by the trained network (forward.py).

Its tags are those of the spaCy pipeline in the same folder, which `load_english` gives. Leaves out how that was trained
(train_en.py), and what is no word (words.py).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from analysis import lexicon
from analysis.chunks import Chunks, Piece, chunks_of
from analysis.forward import FRAME, Forward
from analysis.nouns import PIECE_CHARACTERS, Noun, Tag, batches_of, english_lemma, in_turn, pieces_of
from analysis.words import clean, needs_cleaning


def load_english(folder: Path) -> Any:
    """The trained spaCy pipeline; it writes UPOS into TAG. Importing this module has told spaCy of its layer."""
    import spacy

    return spacy.load(folder)


class EnglishNouns:
    """A pipeline with a LexiconEmbed as a NounPipeline, of the given name. `nlp` is its own from then on."""

    def __init__(self, name: str, nlp: Any) -> None:
        self.name = name
        self._nlp = nlp
        # A word's text is all that is looked at: its other attributes take longer than tokenising.
        nlp.vocab.lex_attr_getters = {}
        tagger = nlp.get_pipe("tagger")
        self._features = lexicon.lexicon_of(tagger.model).features
        self._forward = Forward(tagger)
        self._chunks = Chunks(nlp)
        self._tags: dict[int, Tag] = {self._forward.labels.index(tag): tag for tag in ("NOUN", "PROPN")}
        # Tables and buffers are shared, and a spaCy vocabulary is not safe under threads.
        self._lock = threading.Lock()

    def nouns(self, texts: Iterable[str]) -> Iterator[list[Noun]]:
        """See NounPipeline."""
        return in_turn(texts, self._lock, self._batch)

    def _batch(self, texts: list[str]) -> list[list[Noun]]:
        found: list[list[Noun]] = [[] for _ in texts]
        # Words seen in a zone are forgotten after it: the vocabulary does not grow with the corpus.
        with self._nlp.memory_zone():
            pieces, rest = self._as_they_are(texts)
            self._tag(pieces, found)
            parts = ((owner, *part) for owner in rest for part in pieces_of(clean(texts[owner])))
            for group in batches_of(parts, lambda part: len(part[2])):
                self._tag(self._cleaned(group), found)
        return found

    def _as_they_are(self, texts: list[str]) -> tuple[list[Piece], list[int]]:
        """The texts that need no cleaning, as pieces, and the numbers of the others."""
        divided = {
            owner: chunks_of(text)
            for owner, text in enumerate(texts)
            if len(text) <= PIECE_CHARACTERS and not needs_cleaning(text)
        }
        self._chunks.learn(chain.from_iterable(divided.values()))
        numbers = {owner: self._chunks.numbers(chunks) for owner, chunks in divided.items()}
        pieces = [Piece(owner, 0, texts[owner], found) for owner, found in numbers.items() if found]
        return pieces, [owner for owner in range(len(texts)) if numbers.get(owner) is None]

    def _cleaned(self, group: list[tuple[int, int, str]]) -> list[Piece]:
        divided = [chunks_of(text) for _, _, text in group]
        self._chunks.learn(chain.from_iterable(divided))
        rows = zip(group, map(self._chunks.numbers_of_clean, divided), strict=True)
        return [Piece(*part, numbers) for part, numbers in rows if numbers]

    def _tag(self, pieces: list[Piece], found: list[list[Noun]]) -> None:
        """Adds the nouns of pieces to those of their owners; afterwards the numbers of chunks may mean nothing."""
        if not pieces:
            return
        types, numbers, starts = self._chunks.tokens(pieces)
        surfaces = self._chunks.surfaces
        new = surfaces[self._forward.types :]
        self._forward.add(np.array([self._features(surface) for surface in new], np.uint64))
        places = np.arange(len(types)) + FRAME * (numbers + 1)
        framed = np.zeros(len(types) + FRAME * (len(pieces) + 1), np.intp)
        framed[places] = types
        best = self._forward.best(framed)[places]
        countable = np.array(self._chunks.noun_form)[types] != 0
        where = (np.isin(best, list(self._tags)) & countable).nonzero()[0]
        rows = zip(*(column[where].tolist() for column in (types, numbers, starts, best)), strict=True)
        for kind, number, start, label in rows:
            piece, surface, tag = pieces[number], surfaces[kind], self._tags[label]
            start += piece.offset
            noun = Noun(surface, english_lemma(surface, tag), tag, start, start + len(surface))
            found[piece.owner].append(noun)
        if self._chunks.full:
            self._chunks.clear()
            self._forward.clear()
