"""Noun pipelines: texts in, nouns out. `en` ships and works offline, `ko` is Korean, `auto` picks caption by caption.

spaCy is imported when a pipeline is loaded, not before: the API imports this room. Leaves out: counting (counts.py),
and what is no word at all (words.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from analysis.words import clean, fold, is_noun_form
from core.errors import BadFieldError, MissingPackageError

ENGLISH_FOLDER = Path(__file__).parent / "models" / "en"
#: Name in every table and count file. A change of weights or of analysis/words.py that moves counts takes a new number.
ENGLISH_NAME = "densify-en-2"
DEFAULT_PIPELINE = "en"

#: Texts tagged together, and the most characters among them; larger batches are slower (caches) and take memory.
BATCH_TEXTS = 256
BATCH_CHARACTERS = 120_000
#: Longer texts are tagged in pieces cut at white space, which bounds memory and time.
PIECE_CHARACTERS = 20_000


Tag = Literal["NOUN", "PROPN"]


class Noun(NamedTuple):
    """One noun of a text: `text[start:end] == surface`; `tag` is NOUN (common) or PROPN (name)."""

    surface: str
    lemma: str
    tag: Tag
    start: int
    end: int


class NounPipeline(Protocol):
    """Finds nouns. `name` says which one did, with its version: it stands in every table."""

    @property
    def name(self) -> str: ...

    def nouns(self, texts: Iterable[str]) -> Iterator[list[Noun]]:
        """One list of nouns for each text, in order, lazily; may be called from several threads."""
        ...


def in_turn(
    texts: Iterable[str], lock: threading.Lock, tag: Callable[[list[str]], list[list[Noun]]]
) -> Iterator[list[Noun]]:
    """Tags batch by batch, one at a time though several threads call; the lock is free between batches."""
    for batch in batches_of(texts, len):
        with lock:
            found = tag(batch)
        yield from found


class SpacyNouns:
    """Any spaCy pipeline that sets parts of speech (POS) as a NounPipeline."""

    def __init__(self, name: str, nlp: Any) -> None:
        self.name = name
        self._nlp = nlp
        self._noun, self._name = nlp.vocab.strings["NOUN"], nlp.vocab.strings["PROPN"]
        # A spaCy vocabulary is not safe under threads, and neither is a memory zone.
        self._lock = threading.Lock()

    def nouns(self, texts: Iterable[str]) -> Iterator[list[Noun]]:
        return in_turn(texts, self._lock, self._batch)

    def _batch(self, texts: list[str]) -> list[list[Noun]]:
        pieces = ((number, *piece) for number, text in enumerate(texts) for piece in pieces_of(clean(text)))
        found: list[list[Noun]] = [[] for _ in texts]
        for group in batches_of(pieces, lambda piece: len(piece[2])):
            # Words seen in a zone are forgotten after it: the vocabulary does not grow with the corpus.
            with self._nlp.memory_zone():
                docs = self._nlp.pipe([text for _, _, text in group], batch_size=BATCH_TEXTS)
                for (number, offset, _), doc in zip(group, docs, strict=True):
                    found[number].extend(self._nouns_of(doc, offset))
        return found

    def _nouns_of(self, doc: Any, offset: int) -> Iterator[Noun]:
        tags = doc.to_array("POS")
        for place in ((tags == self._noun) | (tags == self._name)).nonzero()[0].tolist():
            token = doc[place]
            surface = token.text
            if is_noun_form(surface):
                start = offset + token.idx
                tag: Tag = "NOUN" if tags[place] == self._noun else "PROPN"
                yield Noun(surface, token.lemma_ or surface, tag, start, start + len(surface))


T = TypeVar("T")


def batches_of(items: Iterable[T], length: Callable[[T], int]) -> Iterator[list[T]]:
    """The items in lists of at most BATCH_TEXTS; a list ends with the item that brings it to BATCH_CHARACTERS."""
    group: list[T] = []
    characters = 0
    for item in items:
        group.append(item)
        characters += length(item)
        if len(group) >= BATCH_TEXTS or characters >= BATCH_CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group


def pieces_of(text: str) -> Iterator[tuple[int, str]]:
    """(offset, piece): the text cut into pieces of at most PIECE_CHARACTERS, at white space where there is some."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        end = start + PIECE_CHARACTERS
        space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        cut = space + 1 if space > start else end
        yield start, text[start:cut]
        start = cut
    yield start, text[start:]


@lru_cache(maxsize=100_000)
def english_lemma(surface: str, tag: Tag) -> str:
    """The singular of a common noun (lemminflect's dictionary and rules); a name stays as it is. Lower case."""
    word = fold(surface)
    if tag != "NOUN" or not word:
        return word
    from lemminflect import getLemma  # type: ignore[import-untyped]

    # Its rules for unknown words know ASCII only ("café" becomes "caf"), and find rare plurals where there are none
    # ("CPI" becomes "cpus").
    lemmas = getLemma(word, upos="NOUN", lemmatize_oov=word.isascii() and word.endswith("s"))
    return lemmas[0].lower() if lemmas else word


@lru_cache(maxsize=4)
def load_pipeline(name: str = DEFAULT_PIPELINE) -> NounPipeline:
    """`en`, `ko`, `auto`, or `spacy:NAME` (an installed package or a folder). The same name gives the same object.

    Raises BadFieldError for a name that is neither, MissingPackageError for a pipeline that is not installed.
    """
    if name == "en":
        from analysis.english import EnglishNouns, load_english

        return EnglishNouns(ENGLISH_NAME, load_english(ENGLISH_FOLDER))
    if name == "ko":
        from analysis.korean import KiwiNouns

        return KiwiNouns()
    if name == "auto":
        from analysis.auto import AutoNouns

        return AutoNouns(load_pipeline("en"), load_pipeline("ko"))
    if name.startswith("spacy:") and name != "spacy:":
        return _load_spacy(name.removeprefix("spacy:"))
    raise BadFieldError(
        f"There is no noun pipeline {name!r}.",
        hint="Use `en`, `ko`, `auto`, or `spacy:NAME` for an installed spaCy pipeline.",
    )


def _load_spacy(package: str) -> NounPipeline:
    import spacy

    try:
        # Entities and trees cost most of the time and decide no part of speech.
        nlp = spacy.load(package, exclude=["ner", "parser", "senter", "textcat"])
    except OSError as error:
        raise MissingPackageError(
            f"The spaCy pipeline {package!r} is not installed.",
            hint=f"Run `python -m spacy download {package}`, or use the pipeline `en`, which ships with Densify.",
        ) from error
    with nlp.memory_zone():
        tagged = any(token.pos_ for token in nlp("A dog sleeps."))
    if not tagged:
        raise BadFieldError(
            f"The spaCy pipeline {package!r} sets no parts of speech.",
            hint="Use one with a tagger or morphologizer, for example spacy:en_core_web_sm.",
        )
    meta = nlp.meta
    return SpacyNouns(f"spacy:{meta['lang']}_{meta['name']}-{meta['version']}", nlp)
