"""Gold parts of speech: reads CoNLL-U files and scores a tagger on them. Serves training and tests, never the service.

Leaves out everything of a treebank but word forms, spacing and UPOS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The universal parts of speech that count as nouns: common nouns and names.
NOUN_TAGS = frozenset({"NOUN", "PROPN"})


@dataclass(frozen=True, slots=True)
class Sentence:
    """Three equally long tuples: word forms, whether a space follows, universal part of speech."""

    words: tuple[str, ...]
    spaces: tuple[bool, ...]
    tags: tuple[str, ...]


def read_conllu(path: Path) -> Iterator[Sentence]:
    """Yields a CoNLL-U file's sentences; empty nodes (8.1) are passed over, a word range (3-4) lends its spacing."""
    rows: list[tuple[str, bool, str]] = []
    glued_until = 0
    space_after_range = True
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.strip():
                if rows:
                    yield Sentence(*zip(*rows, strict=True))
                rows, glued_until = [], 0
            elif not line.startswith("#"):
                columns = line.rstrip("\n").split("\t")
                number, space = columns[0], "SpaceAfter=No" not in columns[9]
                if "-" in number:
                    glued_until, space_after_range = int(number.split("-")[1]), space
                elif "." not in number:
                    if int(number) < glued_until:
                        space = False
                    elif int(number) == glued_until:
                        space = space_after_range
                    rows.append((columns[1], space, columns[3]))
    if rows:
        yield Sentence(*zip(*rows, strict=True))


@dataclass(frozen=True, slots=True)
class NounScore:
    """NOUN and PROPN as one class, token by token."""

    gold: int
    predicted: int
    correct: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 to 1."""
        return 2 * self.correct / (self.gold + self.predicted) if self.gold + self.predicted else 0.0


def score_nouns(nlp: Any, sentences: Iterable[Sentence]) -> NounScore:
    """Scores a spaCy pipeline that writes UPOS into TAG, on the treebank's own tokens."""
    from spacy.tokens import Doc

    sentences = list(sentences)
    docs = (Doc(nlp.vocab, words=list(s.words), spaces=list(s.spaces)) for s in sentences)
    gold = predicted = correct = 0
    for sentence, doc in zip(sentences, nlp.pipe(docs), strict=True):
        for tag, token in zip(sentence.tags, doc, strict=True):
            is_noun, said_noun = tag in NOUN_TAGS, token.tag_ in NOUN_TAGS
            gold += is_noun
            predicted += said_noun
            correct += is_noun and said_noun
    return NounScore(gold, predicted, correct)
